"""Reads a JSON file of the unit and holds it against a table of keys: type, range, default.

What the keys mean is the caller's (`settings`, `calibration`). An unknown key, a wrong type or a
value out of range is a UnitError that the display shows, never a silent default.
"""

import json

from faults import UnitError
from fieldassay_wire.messages import valid_date, valid_decimal
from fieldassay_wire.topics import valid_unit

REQUIRED = "required"
MAX_PIXEL = 8191


class File:
    # `table` has rows (key, type, min, max, unit, default, help). For text, hex and numbers, min
    # and max bound the length. A key with a dot is inside a section; a section without required
    # keys may be null. `name` begins the error codes, `what` is how the display calls one value.
    def __init__(self, table, name, what, do_next):
        self.table = table
        self.name = name
        self.what = what
        self.do_next = do_next

    def bad(self, code, text):
        return UnitError(self.name + "_" + code, text, self.do_next)

    # What the file says, or a UnitError; not checked yet.
    def read(self, path):
        try:
            with open(path) as file:
                return json.load(file)
        except OSError:
            raise self.bad("missing", "The unit has no " + self.name + ".") from None
        except ValueError:
            raise self.bad("damaged", "The " + self.name + " cannot be read.") from None

    # Checked and completed: {"key": value, "section": {"key": value} or None}.
    def check(self, given):
        if not isinstance(given, dict):
            raise self.bad("damaged", "The " + self.name + " file is not a table.")
        flat = self._flatten(given)
        found: dict = {}
        for key, kind, low, high, _unit, default, _help in self.table:
            if key in flat:
                value = flat.pop(key)
                self._check_value(key, kind, low, high, value)
            elif default == REQUIRED:
                raise self.bad("missing_key", "The " + self.what + " " + key + " is missing.")
            else:
                value = default
            if "." in key:
                section, name = key.split(".")
                if given.get(section, value) is None:
                    found[section] = None
                else:
                    found.setdefault(section, {})[name] = value
            else:
                found[key] = value
        for key in flat:
            raise self.bad("unknown_key", "Unknown " + self.what + ": " + key + ".")
        return found

    def _flatten(self, given):
        flat = {}
        sections: dict = {}  # whether a section may be null
        for row in self.table:
            if "." in row[0]:
                name = row[0].split(".")[0]
                sections[name] = sections.get(name, True) and row[5] is None
        for name, value in given.items():
            if name not in sections:
                flat[name] = value
            elif value is None and sections[name]:
                continue
            elif not isinstance(value, dict):
                raise self.bad("wrong_type", "The " + self.what + " " + name + " must be a table.")
            else:
                for inner in value:
                    flat[name + "." + inner] = value[inner]
        return flat

    def _check_value(self, key, kind, low, high, value):
        if not _TYPES[kind](value):
            what = "The " + self.what + " " + key + " must be " + _WORDS[kind] + "."
            raise self.bad("wrong_type", what)
        if kind == "bool" or value is None:
            return
        # Text is measured in bytes, as in the messages that carry it.
        size = value if kind == "int" else len(value.encode() if kind == "text" else value)
        if not low <= size <= high:
            what = "The {} {}{} must be {} to {}, not {}."
            word = "" if kind == "int" else ": its length"
            raise self.bad("out_of_range", what.format(self.what, key, word, low, high, size))


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _of(value, letters):
    return isinstance(value, str) and all(c in letters for c in value)


def _is_hex(value):
    return _of(value, "0123456789abcdefABCDEF") and len(value) % 2 == 0


def _is_decimal(value):
    return isinstance(value, str) and len(value) <= 32 and valid_decimal(value)


def _is_pixels(value):
    last = -1
    if not isinstance(value, list):
        return False
    for pixel in value:
        if not _is_int(pixel) or not last < pixel <= MAX_PIXEL:
            return False
        last = pixel
    return True


# int; text; bool; hex (even number of hex digits); name (a-z 0-9 -); date (YYYY-MM-DD); decimal (a
# decimal as text, or null: float32 boards must not round it); numbers (a list of decimals);
# pixels (rising pixel numbers).
_TYPES = {
    "int": _is_int,
    "text": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "hex": _is_hex,
    "name": valid_unit,
    "date": lambda value: isinstance(value, str) and valid_date(value),
    "decimal": lambda value: value is None or _is_decimal(value),
    "numbers": lambda value: isinstance(value, list) and all(_is_decimal(text) for text in value),
    "pixels": _is_pixels,
}
_WORDS = {
    "int": "a whole number",
    "text": "text",
    "bool": "true or false",
    "hex": "pairs of hex digits",
    "name": "a name of a-z, 0-9 and -",
    "date": "a date like 2026-01-31",
    "decimal": "a decimal number as text",
    "numbers": "a list of decimal numbers as text",
    "pixels": "a list of pixel numbers in rising order",
}
