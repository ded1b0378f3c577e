"""The simulator: the real firmware on real MicroPython, with numpy for physics.

Imports `fieldassay_wire` and nothing else of fieldassay; nothing imports it.
"""

__version__ = "0.1.0"
