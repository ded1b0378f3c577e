"""The laser head of a real board: enable, power set-point, photodiode and diode temperature.

Enabled (the pin), can fire (the gate behind lid and key) and firing (light on the photodiode) are
three readings, never derived from each other. Turning off drops the enable first, then the
set-point; either failing is reported, neither keeps the other from being tried. Not tested on
hardware.
"""

import errno
import math

FULL_CODE = 4095
RAIL_LOW, RAIL_HIGH = 1300, 64200  # of 65535: a thermistor outside is shorted or not there
PHOTODIODE_FULL = 65000


class LaserDiode:
    # `one_shot` and `dac` as in this folder; `photodiode` and `thermistor` have read_u16() as
    # machine.ADC has; `enable` and `gate` have value() (the enable is read back from its pin).
    # `calibration` is stored with the unit and measured with a power meter:
    #   power_codes           [[uw, code], ...] rising in both; the first is threshold, 0 is code 0
    #   photodiode_zero       reading in the dark
    #   photodiode_uw         power at PHOTODIODE_FULL above that zero
    #   ntc_ohm, ntc_beta, ntc_series_ohm   thermistor at 25 degrees C to ground, resistor to supply
    def __init__(self, one_shot, dac, photodiode, thermistor, enable, gate, calibration):
        self._one_shot = one_shot
        self._dac = dac
        self._photodiode = photodiode
        self._thermistor = thermistor
        self._enable = enable
        self._gate = gate
        self._calibration = calibration
        self._code = 0
        self.off()
        if not _is_sound(calibration):
            raise OSError(errno.EINVAL, "laser calibration makes no sense")

    def set_power_uw(self, uw):
        code = self._code_of(uw)
        self._code = 0  # until the DAC has said that it took the value
        self._dac.write(code)
        self._code = code

    # There is no power to fall back on: a set-point comes first, and `off` takes it away.
    def fire(self, max_ms):
        if not self._code:
            raise OSError(errno.EINVAL, "no power set")
        self._one_shot.fire(max_ms)

    def off(self):
        try:
            self._one_shot.off()
        finally:
            self._code = 0
            self._dac.write(0)

    def read(self):
        return (
            self._enable.value() == 1,
            self._gate.value() == 1,
            self._light_uw(),
            self._mdegc(),
        )

    def _code_of(self, uw):
        if uw == 0:
            return 0
        points = self._calibration["power_codes"]
        if not points[0][0] <= uw <= points[-1][0]:
            raise OSError(errno.EINVAL, "power outside the calibrated range")
        for i in range(1, len(points)):
            (low_uw, low), (high_uw, high) = points[i - 1], points[i]
            if uw <= high_uw:
                return low + (high - low) * (uw - low_uw) // (high_uw - low_uw)
        return points[-1][1]

    def _light_uw(self):
        reading = self._photodiode.read_u16()
        if reading >= PHOTODIODE_FULL:
            raise OSError(errno.EIO, "photodiode reading at its end")
        above = max(0, reading - self._calibration["photodiode_zero"])
        return above * self._calibration["photodiode_uw"] // PHOTODIODE_FULL

    def _mdegc(self):
        reading = self._thermistor.read_u16()
        if not RAIL_LOW <= reading <= RAIL_HIGH:
            raise OSError(errno.EIO, "thermistor shorted or not connected")
        known = self._calibration
        ohm = known["ntc_series_ohm"] * reading / (65535 - reading)
        kelvin = 1 / (1 / 298.15 + math.log(ohm / known["ntc_ohm"]) / known["ntc_beta"])
        return int((kelvin - 273.15) * 1000)


# Whatever a file may hold: a curve that is not rising could set more power than asked for.
def _is_sound(known):
    try:
        points = known["power_codes"]
        rising = all(
            points[i - 1][0] < points[i][0] and points[i - 1][1] <= points[i][1]
            for i in range(1, len(points))
        )
        codes = all(0 <= code <= FULL_CODE and uw >= 0 for uw, code in points)
        parts = ("photodiode_uw", "ntc_ohm", "ntc_beta", "ntc_series_ohm")
        return bool(points) and rising and codes and all(known[key] > 0 for key in parts)
    except (KeyError, TypeError, ValueError, IndexError):
        return False
