"""Detector drivers, one per file.

A driver offers:
    async expose(exposure_us, into)   fill array('H') of board.pixels; OSError on failure, a
                                      late end included; awaits while integrating, so other
                                      tasks run; can be cancelled
    temperature_mdegc()               detector temperature in thousandths of a degree Celsius
A driver knows nothing of lasers, files or networks. The board makes it and hands it out as
`board.detector`. New driver: copy `simulated.py`, replace the two operations.
"""
