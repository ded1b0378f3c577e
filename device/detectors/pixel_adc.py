"""The RP2350's ADC fed by a state machine: one conversion per pixel, without Python in between.

The state machine pushes one word per pixel. DMA carries it to the ADC's control register, where it
starts a conversion; a second channel carries each result from the ADC's FIFO into the caller's
array. Both are paced by the hardware's own requests, so the ADC runs at exactly the pixel rate.

Other readings of this ADC (battery, photodiode) must not come between: they go through
`BetweenFrames`. Registers and request numbers: RP2350 data sheet, ADC and DMA chapters. Not for
the ESP32-S3, which has neither state machines nor such an ADC: use a detector with a converter of
its own there. Not tested on hardware.
"""

import errno
import time

ADC_BASE = 0x400A0000
CS, FCS, RESULT_FIFO, DIV = ADC_BASE, ADC_BASE + 0x08, ADC_BASE + 0x0C, ADC_BASE + 0x10
CS_ENABLE, CS_START_ONCE, CS_CHANNEL_SHIFT = 1 << 0, 1 << 2, 12
FCS_ENABLE, FCS_DREQ = 1 << 0, 1 << 3
FCS_THRESHOLD_ONE = 1 << 24
FCS_TO_DMA = FCS_ENABLE | FCS_DREQ | FCS_THRESHOLD_ONE
FCS_CLEAR_ERRORS = 1 << 10 | 1 << 11  # under- and overflow, by writing ones
FCS_OVERFLOW = 1 << 11
FCS_EMPTY = 1 << 8
DREQ_ADC = 48
HALF_WORD, WORD = 1, 2
READ_OUT_MS = 20  # longer than any frame takes to be read out
FULL_COUNTS = 4095


def _dreq_of_receiver(number):
    return number // 4 * 8 + 4 + number % 4


_armed: list = [None]  # the PixelAdc whose frame is under way: the chip has one ADC


class PixelAdc:
    # `mem32` is machine.mem32; `trigger` and `pixels` are rp2.DMA channels; `channel` is the ADC
    # input of the video line (GPIO 26 is 0).
    def __init__(self, mem32, trigger, pixels, channel):
        self.start_word = CS_ENABLE | CS_START_ONCE | channel << CS_CHANNEL_SHIFT
        self.busy = False
        self._mem = mem32
        self._trigger = trigger
        self._pixels = pixels

    # Take the next `count` pixels that state machine `number` announces into `target`.
    def arm(self, state_machine, number, target, count):
        self.stop()
        memory = self._mem
        memory[CS] = self.start_word & ~CS_START_ONCE
        memory[DIV] = 0
        memory[FCS] = FCS_TO_DMA | FCS_CLEAR_ERRORS
        self._pixels.config(
            read=RESULT_FIFO,
            write=target,
            count=count,
            ctrl=self._pixels.pack_ctrl(size=HALF_WORD, inc_read=False, treq_sel=DREQ_ADC),
            trigger=True,
        )
        self._trigger.config(
            read=state_machine,
            write=CS,
            count=count,
            ctrl=self._trigger.pack_ctrl(
                size=WORD,
                inc_read=False,
                inc_write=False,
                treq_sel=_dreq_of_receiver(number),
            ),
            trigger=True,
        )
        self.busy = True
        _armed[0] = self

    # Whether pixels are still to come. Asks the hardware: who waits here keeps `done` from running.
    def waiting(self):
        return self.busy and self._pixels.active()

    # True when every pixel is in the array. OSError if a conversion was lost on the way.
    def done(self):
        if self._pixels.active():
            return False
        lost = self._mem[FCS] & FCS_OVERFLOW
        self.stop()
        if lost:
            raise OSError(errno.EIO, "the ADC lost a pixel")
        return True

    def stop(self):
        self._trigger.active(0)
        self._pixels.active(0)
        memory = self._mem
        while not memory[FCS] & FCS_EMPTY:
            memory[RESULT_FIFO]  # reading takes it out
        memory[FCS] = 0  # results of other readings must not pile up in the FIFO
        self.busy = False
        _armed[0] = None

    # While a frame integrates, the result of another reading must not become its first pixel.
    def to_dma(self, on):
        self._mem[FCS] = FCS_TO_DMA if on else 0


# A machine.ADC whose readings wait for the pixels of a frame, which take some 15 ms, and stay out
# of a frame that integrates. `reading_out` says which of the two it is.
class BetweenFrames:
    def __init__(self, adc, reading_out):
        self._adc = adc
        self._reading_out = reading_out

    def read_u16(self):
        since_ms = time.ticks_ms()
        while self._reading_out():
            if time.ticks_diff(time.ticks_ms(), since_ms) > READ_OUT_MS:
                raise OSError(errno.EAGAIN, "the ADC reads a frame")
            time.sleep_ms(1)
        armed = _armed[0]
        if armed is None:
            return self._adc.read_u16()
        armed.to_dma(False)
        try:
            return self._adc.read_u16()
        finally:
            armed.to_dma(True)
