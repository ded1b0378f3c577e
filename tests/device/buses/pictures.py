# Runs on MicroPython: draws the rows given as JSON on a modelled display and prints its picture.
#   pictures.py ssd1306 | st7789 WIDTH   (rows on standard input)
import json
import sys

from models import Ssd1306, St7789
from parts import ssd1306, st7789, surface

rows = [tuple(row) for row in json.loads(sys.stdin.read())]
if sys.argv[1] == "ssd1306":
    chip = Ssd1306()
    surface.Surface(ssd1306.Panel(chip)).show(rows)
    print(json.dumps(chip.picture()))
else:
    width = int(sys.argv[2])
    chip = St7789(width)
    madctl = 0x60 if width == 320 else 0
    panel = st7789.Panel(chip.spi, chip.dc, chip.cs, chip.sleep_ms, width, madctl)
    shown = surface.Surface(panel)
    shown.show(rows)
    whole = chip.bytes
    changed = list(rows)
    changed[7] = ("other", "dim")
    shown.show(changed)
    one = chip.bytes - whole
    shown.show(rows)
    commands = [[name, list(data)] for name, data in chip.commands[:9]]
    print(json.dumps({"commands": commands, "waited": chip.waited_ms, "one": one}))
    for line in chip.pixels:
        print(" ".join(f"{value:04x}" for value in line))
