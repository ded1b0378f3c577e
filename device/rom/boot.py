# boot.py in the root of a unit's flash. First act after power-up: the laser's enable line is driven
# low, before any file of a firmware is read. The pin is that of boards/ for this chip.
# mypy: ignore-errors
import sys

LASER_ENABLE = {"rp2": 15, "esp32": 15}

if sys.platform in LASER_ENABLE:
    from machine import Pin

    Pin(LASER_ENABLE[sys.platform], Pin.OUT, value=0)
