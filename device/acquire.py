"""One measurement: reference dark, pre-shot for the exposure, light frames, dark frames, flags.

The buffers are given (`frames`). Nothing is subtracted: raw and dark sums go to the host. Emission
has its own bound here, besides the interlock's deadline and the hardware one-shot. Between frames
and while waiting the guard task polls the interlock; `check` turns what it found into the UnitError
that ends the measurement with the laser off. A dark or unknown sample is measured gently: at low
power, in pulses, and no further once its background rises; what was seen until then is kept.
"""

import asyncio

import coadd
import cosmic
import interlock as machine
from faults import fault
from laser import LOW_UW
from rising import Rising

PRESHOT_US = 20000
PRESHOT_MAX_US = 300000  # a weak sample gets longer pre-shots, up to this
PRESHOT_PERMILLE = 250  # of the laser power
PRESHOTS = 4
SIGNAL_MIN_PERMILLE = 5  # of full scale: a pre-shot below this says too little about the rate
SETTLE_MS = 5
PROBES = 3  # further pre-shots of a dark sample, only to see whether it heats
PULSE_GAP_MS = 30  # without light between the pulses: heat flows away
MARGIN_MS = 150  # emission ends this long before max_on_ms: read-out and switching take time
RETRIES = 3  # a saturated first frame halves the exposure this often
LOW_SIGNAL_SNR = 20  # strongest band over its noise; below this the sample gave too little light
SATURATING = 2  # that many pixels at full scale in one frame are no cosmic ray


class Shot:
    # What a measurement was, besides the sums in Acquirer.raw and Acquirer.dark.
    def __init__(self):
        self.exposure_us = 0
        self.frames = 0
        self.dark_frames = 0
        self.saturated_pixels = 0  # the most in one frame
        self.saturated_frames = 0
        self.rejected_pixels = 0  # cosmic rays, as pixels of single frames
        self.laser_set_uw = 0
        self.laser_uw = 0
        self.laser_mdegc = 0
        self.detector_mdegc = 0
        self.dark_mdegc = 0
        self.low_signal = False
        self.stopped = ""  # why it ended early, if there is something to keep
        self.last_frame_ms = 0  # ticks at the end of the last exposure


class Acquirer:
    def __init__(self, board, laser, settings, frames, ticks_ms):
        self.frame, self.raw, self.dark = frames.frame, frames.raw, frames.dark
        self.phase = ""  # "", "warning", "light", "dark"
        self.done_permille = 0  # progress of the phase
        self._stopped = ""  # why somebody asked to stop
        self._board = board
        self._laser = laser
        self._limits = settings["acquire"]
        self._full_uw = self._power_uw = settings["laser"]["power_uw"]
        self._low_uw = min(self._full_uw, settings["laser"]["low_power_uw"], LOW_UW)
        self._rising = None  # watches a dark sample
        self._level = 0  # of the reference dark
        self._set_uw = 0  # the power of the light, of each pulse
        self._seen_uw = 0  # what the photodiode saw of it
        self._max_on_ms = settings["laser"]["max_on_ms"]
        self._ticks_ms = ticks_ms
        self._fired_ms = 0

    def stop(self, code):
        self._stopped = code

    # The UnitError that ends the running measurement, or None; for the guard and between frames.
    def problem(self):
        if not self.phase:
            return None
        if self._stopped:
            return fault(self._stopped)
        state = self._laser.interlock.state
        wanted = {"warning": machine.ARMED, "light": machine.EMITTING}.get(self.phase)
        if (wanted and state != wanted) or state == machine.FAULT:
            return self._laser.why_stopped()
        if not self._laser.interlock.closed:
            return self._laser.why_stopped()
        return None

    def check(self):
        found = self.problem()
        if found:
            raise found

    # The machine must be ARMED. Returns a Shot or raises UnitError; the laser is off either way.
    # `gentle` for a sample that is, or may be, dark or coloured.
    async def measure(self, gentle):
        self._stopped = ""
        self._rising = None
        self._power_uw = self._low_uw if gentle else self._full_uw
        shot = Shot()
        try:
            self.phase = "warning"
            await self._reference()
            if gentle:
                mdegc = self._board.detector.temperature_mdegc()
                self._rising = Rising(self._board.full_scale_counts, mdegc)
            # `phase` changes to "light" only when emission has begun: the states must agree.
            self._set_uw = self._power_uw * PRESHOT_PERMILLE // 1000
            with self._laser.emission(self._set_uw):
                self.phase = "light"
                self._fired_ms = self._ticks_ms()
                await self._choose_exposure(shot)
                if not shot.stopped:
                    await self._full_power()
                    await self._lights(shot)
                # Still emitting: what the photodiode and the driver say about these frames.
                if not gentle:
                    self._laser.read()
                    self._seen_uw = self._laser.light_uw
                self.check()
                self.phase = "dark"
            shot.laser_set_uw = self._set_uw
            shot.laser_uw = max(0, self._seen_uw)
            shot.laser_mdegc = self._laser.mdegc
            shot.detector_mdegc = self._board.detector.temperature_mdegc()
            await self._darks(shot)
            shot.dark_mdegc = self._board.detector.temperature_mdegc()
        except OSError as error:
            self._board.log("fault", {"code": "detector_failed", "detail": repr(error)})
            raise fault("detector_failed") from None
        finally:
            self._laser.off()
            self.phase = ""
        shot.low_signal = self._is_low(shot)
        return shot

    # One dark frame at the pre-shot's exposure while the warning runs, then the rest of the
    # warning.
    async def _reference(self):
        await self._expose(self._bounded(PRESHOT_US))
        coadd.add(self.dark, self.frame, self._board.pixels, self._board.full_scale_counts, True)
        self._level = coadd.level(self.dark, self._board.pixels)
        total_ms = max(1, self._laser.warning_left_ms())
        while True:
            self.check()
            left_ms = self._laser.warning_left_ms()
            self.done_permille = 1000 - left_ms * 1000 // total_ms
            if left_ms == 0:
                return
            await asyncio.sleep_ms(min(left_ms, 20))

    # Sets shot.exposure_us; or shot.stopped, and then the shot is the last pre-shot.
    async def _choose_exposure(self, shot):
        wanted_us = await self._preshots(shot)
        probes = PROBES if self._rising else 0
        for _ in range(probes):
            if shot.stopped:
                break
            await self._expose(shot.exposure_us)
            shot.stopped = self._is_rising(shot.exposure_us, self._count_full())
        if shot.stopped:
            shot.frames = 1
        else:
            shot.exposure_us = wanted_us

    async def _preshots(self, shot):
        board = self._board
        n = board.pixels
        full = board.full_scale_counts
        shortest = self._limits["exposure_min_us"]
        exposure_us = self._bounded(PRESHOT_US)
        for _ in range(PRESHOTS):
            shot.exposure_us = exposure_us
            await self._expose(exposure_us)
            saturated = self._count_full()
            shot.stopped = self._is_rising(exposure_us, saturated)
            if shot.stopped:
                return exposure_us
            signal = coadd.peak(self.frame, self.dark, n)
            if saturated >= SATURATING:
                if exposure_us == shortest:
                    return shortest
                exposure_us = max(shortest, exposure_us // 8)
            elif signal * 1000 < full * SIGNAL_MIN_PERMILLE:
                longer_us = self._bounded(min(exposure_us * 8, PRESHOT_MAX_US))
                if longer_us <= exposure_us:
                    break
                exposure_us = longer_us
            else:
                break
        if saturated >= SATURATING:
            return shortest
        headroom = full * self._limits["target_permille"] // 1000 - coadd.level(self.dark, n)
        signal = max(1, signal) * 1000 // PRESHOT_PERMILLE
        return self._bounded(exposure_us * max(1, headroom) // signal)

    def _bounded(self, exposure_us):
        limits = self._limits
        longest = min(limits["exposure_max_us"], limits["total_ms"] * 1000)
        return max(limits["exposure_min_us"], min(exposure_us, longest))

    async def _lights(self, shot):
        board = self._board
        exposure_us = self._fit(shot.exposure_us)
        if exposure_us < self._limits["exposure_min_us"]:
            raise fault("time_limit")
        wanted = self._frames_of(exposure_us)
        retries = RETRIES
        frames = 0
        while frames < wanted and self._fit(exposure_us) == exposure_us:
            await self._expose(exposure_us)
            if frames:
                shot.rejected_pixels += self._reject(self.raw, frames)
            full = coadd.add(
                self.raw, self.frame, board.pixels, board.full_scale_counts, frames == 0
            )
            frames += 1
            shot.stopped = self._is_rising(exposure_us, full)
            if full >= SATURATING and frames == 1 and retries:
                shorter_us = max(self._limits["exposure_min_us"], exposure_us // 2)
                if shorter_us < exposure_us:
                    retries -= 1
                    frames = 0
                    exposure_us = shorter_us
                    wanted = self._frames_of(exposure_us)
                    continue
            if full:
                shot.saturated_frames += 1
                shot.saturated_pixels = max(shot.saturated_pixels, full)
            self.done_permille = frames * 1000 // wanted
            if shot.stopped:
                break
        if not frames:
            raise fault("time_limit")
        shot.last_frame_ms = self._ticks_ms()
        shot.exposure_us = exposure_us
        shot.frames = frames

    def _frames_of(self, exposure_us):
        return max(
            1, min(self._limits["frames_max"], self._limits["total_ms"] * 1000 // exposure_us)
        )

    # The exposure, shortened to what is left of the permitted emission; 0 if nothing is left.
    def _fit(self, exposure_us):
        used_ms = machine.elapsed_ms(self._ticks_ms(), self._fired_ms)
        left_us = (self._max_on_ms - MARGIN_MS - used_ms) * 1000
        return max(0, min(exposure_us, left_us))

    async def _darks(self, shot):
        board = self._board
        wanted = min(shot.frames, self._limits["dark_frames_max"])
        for taken in range(wanted):
            await self._expose(shot.exposure_us)
            if taken:
                shot.rejected_pixels += self._reject(self.dark, taken)
            coadd.add(self.dark, self.frame, board.pixels, board.full_scale_counts, taken == 0)
            self.done_permille = (taken + 1) * 1000 // wanted
        shot.dark_frames = wanted
        shot.last_frame_ms = self._ticks_ms()

    async def _expose(self, exposure_us):
        self.check()
        pulsed = self._rising is not None and self.phase == "light"
        if pulsed:
            self._laser.set_power(self._set_uw)
            await asyncio.sleep_ms(SETTLE_MS)
        await self._board.detector.expose(exposure_us, self.frame)
        self._laser.poll()
        self.check()
        if pulsed:
            self._laser.read()
            self._seen_uw = self._laser.light_uw
            self._laser.set_power(0)
            await asyncio.sleep_ms(PULSE_GAP_MS)
            self.check()

    async def _full_power(self):
        self._set_uw = self._power_uw
        self._laser.set_power(self._power_uw)
        await asyncio.sleep_ms(SETTLE_MS)

    # Why a dark sample may not be lit any longer, or "".
    def _is_rising(self, exposure_us, full):
        if self._rising is None:
            return ""
        if full >= SATURATING and not self._rising.begun:
            return ""  # a clipped frame is nothing to compare with
        above = coadd.level(self.frame, self._board.pixels) - self._level
        light = exposure_us * self._set_uw // 1000
        return self._rising.feed(above, light, self._board.detector.temperature_mdegc())

    # Cosmic rays out of `total` (so many frames) and the next frame; how many pixels.
    def _reject(self, total, taken):
        board = self._board
        gain_me = board.gain_me_per_count
        read2 = cosmic.noise_counts2(board.read_noise_me, gain_me)
        return cosmic.reject(total, self.frame, board.pixels, taken, gain_me, read2)

    def _count_full(self):
        # coadd.add counts; `raw` is scratch until the first light frame overwrites it.
        board = self._board
        return coadd.add(self.raw, self.frame, board.pixels, board.full_scale_counts, True)

    def _is_low(self, shot):
        board = self._board
        band = coadd.peak_of_sums(self.raw, shot.frames, self.dark, shot.dark_frames, board.pixels)
        electrons = max(0, band) * shot.frames * board.gain_me_per_count // 1000
        read_e2 = shot.frames * (board.read_noise_me // 1000 + 1) ** 2 * 2
        return electrons * electrons < LOW_SIGNAL_SNR * LOW_SIGNAL_SNR * (electrons + read_e2)
