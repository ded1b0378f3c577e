"""ESP32-S3: spectrometer on a serial line, ST7789 display, diode laser by the RMT's one-shot.

PINS is the one place where a pin has its number; docs/how-to/build-a-unit.md has the same table.
No pin of the flash, the eight-lane memory (33 to 37), USB (19, 20) or the start mode (0, 3, 45, 46)
is used. Not tested on hardware.
"""

import machine

LASER_ENABLE = 15
machine.Pin(LASER_ENABLE, machine.Pin.OUT, value=0)

import time

import esp32
from parts import battery, rtc, st7789, surface

from boards import wired

PINS = {
    "photodiode": 1,  # first analogue converter: the second is the radio's
    "laser_ntc": 2,
    "laser_enable": LASER_ENABLE,
    "laser_gate": 5,
    "buzzer": 6,
    "motor": 7,
    "sda": 8,
    "scl": 9,
    "display_cs": 10,
    "display_mosi": 11,
    "display_sck": 12,
    "display_dc": 13,
    "lid_made": 14,
    "lid_rest": 4,
    "spectrometer_tx": 16,
    "spectrometer_rx": 17,
    "key_made": 18,
    "key_rest": 21,
    "trigger": 38,
    "next": 39,
    "ok": 40,
    "indicator": 41,
    "indicator_sense": 42,
}
I2C_HZ = 400000
SPI_HZ = 40000000
SPECTROMETER_BAUD, SPECTROMETER_PIXELS = 115200, 2048
DISPLAY_WIDTH, DISPLAY_MADCTL = 320, 0x60


class Board(wired.Wired):
    name = "esp32s3"
    full_scale_counts = 65535

    def __init__(self):
        found = wired.hardware(self.flash_root)
        pins = wired.Pins(PINS)
        i2c = machine.I2C(0, sda=pins.bare("sda"), scl=pins.bare("scl"), freq=I2C_HZ)
        enable = machine.Pin(LASER_ENABLE, machine.Pin.OUT, value=0)
        detector = _detector(pins)
        laser = wired.or_absent(
            lambda: _laser(pins, i2c, enable, found["laser"]),
            lambda error: wired.NoLaser(enable, error),
        )
        super().__init__(
            found,
            pins,
            laser,
            detector,
            machine.Timer(0),
            machine.Timer(1),
            battery.Gauge(i2c),
            rtc.Pcf8563(i2c),
            surface.Surface(_panel(pins)),
        )


def _panel(pins):
    spi = machine.SPI(
        1, baudrate=SPI_HZ, sck=pins.bare("display_sck"), mosi=pins.bare("display_mosi")
    )
    return st7789.Panel(
        spi,
        pins.out("display_dc"),
        pins.out("display_cs", 1),
        time.sleep_ms,
        DISPLAY_WIDTH,
        DISPLAY_MADCTL,
    )


# docs/reference/oem-serial-protocol.md is what the module must speak.
def _detector(pins):
    from detectors import oem_serial

    uart = machine.UART(
        1,
        baudrate=SPECTROMETER_BAUD,
        tx=pins.bare("spectrometer_tx"),
        rx=pins.bare("spectrometer_rx"),
        timeout=0,
        rxbuf=2048,
    )
    return oem_serial.Detector(uart, SPECTROMETER_PIXELS)


# The converter's widest range, about 3.1 V; the RMT keeps the longest emission.
def _laser(pins, i2c, enable, calibration):
    from drivers import laser_diode, mcp4725, one_shot

    return laser_diode.LaserDiode(
        one_shot.RmtOneShot(
            lambda: esp32.RMT(0, pin=enable, clock_div=255, idle_level=False), enable
        ),
        mcp4725.Mcp4725(i2c),
        machine.ADC(pins.bare("photodiode"), atten=machine.ADC.ATTN_11DB),
        machine.ADC(pins.bare("laser_ntc"), atten=machine.ADC.ATTN_11DB),
        enable,
        pins.pulled_down("laser_gate"),
        calibration,
    )
