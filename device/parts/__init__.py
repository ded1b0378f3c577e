"""Parts on a board's pins and buses: one small driver per file.

A part is given its I2C, SPI, Pin, PWM, Timer or ADC by the board and never makes one, so the same
file runs on every port and against recorded dialogues. Nothing is sent before the first use and an
error of a bus is an OSError: a part that is missing or comes back later never stops the unit.
Register numbers and commands are from the makers' data sheets, named in each file. No part knows
the laser, files or networks. Not tested on hardware.
"""
