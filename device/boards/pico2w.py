"""Raspberry Pi Pico 2 W (RP2350): TCD1304 by state machine, SSD1306 display, diode laser.

PINS is the one place where a pin has its number; docs/how-to/build-a-unit.md has the same table.
State machines: 0 clocks the sensor, 4 (the other block) is the laser's one-shot. Not tested on
hardware.
"""

import machine

LASER_ENABLE = 15
machine.Pin(LASER_ENABLE, machine.Pin.OUT, value=0)

import rp2
from parts import battery, rtc, ssd1306, surface, thermometer

from boards import wired

# GP23, 24, 25 and 29 belong to the radio. GP0 and GP1 are left to a serial console.
PINS = {
    "ccd_mc": 2,
    "ccd_sh": 3,
    "ccd_icg": 4,  # must be the pin after ccd_sh
    "lid_made": 6,
    "lid_rest": 7,
    "key_made": 8,
    "key_rest": 9,
    "trigger": 10,
    "next": 11,
    "ok": 12,
    "buzzer": 13,
    "motor": 14,
    "indicator": 22,
    "sda": 16,
    "scl": 17,
    "indicator_sense": 18,
    "laser_gate": 19,
    "laser_enable": LASER_ENABLE,
    "ccd_video": 26,  # analogue input 0
    "photodiode": 27,
    "laser_ntc": 28,
}
I2C_HZ = 400000
CCD_MACHINE, LASER_MACHINE = 0, 4


class Board(wired.Wired):
    name = "pico2w"
    full_scale_counts = 4095

    def __init__(self):
        found = wired.hardware(self.flash_root)
        pins = wired.Pins(PINS)
        i2c = machine.I2C(0, sda=pins.bare("sda"), scl=pins.bare("scl"), freq=I2C_HZ)
        enable = machine.Pin(LASER_ENABLE)
        detector = wired.or_absent(
            lambda: _detector(pins, thermometer.Tmp117(i2c).mdegc),
            lambda error: wired.NoDetector(error, 3648),
        )
        laser = wired.or_absent(
            lambda: _laser(pins, i2c, enable, detector, found["laser"]),
            lambda error: wired.NoLaser(enable, error),
        )
        super().__init__(
            found,
            pins,
            laser,
            detector,
            machine.Timer(-1),  # by software
            machine.Timer(-1),
            battery.Gauge(i2c),
            rtc.Ds3231(i2c),
            surface.Surface(ssd1306.Panel(i2c)),
        )


def _detector(pins, read_mdegc):
    from detectors import pixel_adc, tcd1304

    adc = pixel_adc.PixelAdc(machine.mem32, rp2.DMA(), rp2.DMA(), 0)
    machine.ADC(pins.bare("ccd_video"))  # gives the pin to the converter
    return tcd1304.Detector(
        rp2.StateMachine,
        CCD_MACHINE,
        pins.bare("ccd_mc"),
        pins.bare("ccd_sh"),
        adc,
        read_mdegc,
        machine.freq(),
    )


# The converter serves the sensor's frames too: slow readings wait until one is read out.
def _laser(pins, i2c, enable, detector, calibration):
    from detectors.pixel_adc import BetweenFrames
    from drivers import laser_diode, mcp4725, one_shot, one_shot_pio

    reading_out = getattr(detector, "reading_out", bool)
    return laser_diode.LaserDiode(
        one_shot.PioOneShot(rp2.StateMachine(LASER_MACHINE), one_shot_pio.one_shot, enable),
        mcp4725.Mcp4725(i2c),
        BetweenFrames(machine.ADC(pins.bare("photodiode")), reading_out),
        BetweenFrames(machine.ADC(pins.bare("laser_ntc")), reading_out),
        enable,
        pins.pulled_down("laser_gate"),
        calibration,
    )
