"""Drivers of the laser: what switches it, what sets its power, what measures its light.

A board makes them from its pins and buses and hands out one `LaserDiode` as `board.laser`. Nothing
here decides whether the laser may fire: that is `interlock.py`, and before it the hardware gate.
"""
