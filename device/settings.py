"""The unit's settings: one table of keys with type, range, unit and default; reads settings.json.

An unknown key, a wrong type or a value out of range is a UnitError that the display shows, never a
silent default. docs/reference/settings.md is checked against TABLE. Who writes the file
(provisioning) is not decided here.
"""

import json

from faults import UnitError
from fieldassay_wire.messages import valid_date, valid_decimal
from fieldassay_wire.topics import valid_unit

REQUIRED = "required"

# (key, type, min, max, unit, default, help). For text, hex and numbers, min and max bound the
# length. Types: int, text, bool, hex (even number of hex digits), name (a-z 0-9 -), date
# (YYYY-MM-DD), numbers (list of decimal texts: float32 boards must not round them).
TABLE = (
    ("unit", "name", 1, 32, "", REQUIRED, "name of the unit in topics and records"),
    ("key", "hex", 64, 64, "", REQUIRED, "secret key that seals the unit's messages"),
    ("broker.host", "text", 1, 253, "", REQUIRED, "name or address of the MQTT broker"),
    ("broker.port", "int", 1, 65535, "", 1883, "TCP port of the broker"),
    ("broker.tls", "bool", 0, 1, "", False, "encrypt, and check the broker's certificate"),
    ("broker.ca_der_hex", "hex", 0, 8192, "", "", "authority that signed the broker's certificate"),
    ("broker.user", "text", 0, 64, "", "", "user name at the broker; empty for none"),
    ("broker.password", "text", 0, 128, "", "", "password at the broker"),
    ("laser.power_uw", "int", 100, 500000, "uW", 100000, "laser power of the measurement"),
    ("laser.max_on_ms", "int", 100, 10000, "ms", 8000, "longest emission after one trigger press"),
    ("laser.warning_ms", "int", 100, 10000, "ms", 2000, "warning before the laser comes on"),
    ("acquire.exposure_min_us", "int", 10, 1000000, "us", 1000, "shortest exposure of one frame"),
    (
        "acquire.exposure_max_us",
        "int",
        1000,
        8000000,
        "us",
        1000000,
        "longest exposure of one frame",
    ),
    ("acquire.total_ms", "int", 1, 9000, "ms", 2000, "light collected per measurement, all frames"),
    ("acquire.frames_max", "int", 1, 1000, "frames", 50, "most frames added up"),
    ("acquire.dark_frames_max", "int", 1, 1000, "frames", 10, "most dark frames added up"),
    ("acquire.target_permille", "int", 50, 900, "permille", 700, "wanted part of full scale"),
    ("excitation_pm", "int", 200000, 2000000, "pm", 785000, "wavelength of the laser"),
    ("calibration.id", "text", 1, 64, "", REQUIRED, "name of the wavelength calibration"),
    ("calibration.date", "date", 10, 10, "", REQUIRED, "day of the wavelength calibration"),
    (
        "calibration.coefficients_nm",
        "numbers",
        2,
        8,
        "nm",
        REQUIRED,
        "pixel to wavelength, ascending powers of the pixel number",
    ),
    ("spool.capacity", "int", 1, 100, "results", 100, "results kept until the host has them"),
    ("battery.low_mv", "int", 2500, 15000, "mV", 3500, "below this the battery is called low"),
    ("battery.empty_mv", "int", 2000, 15000, "mV", 3300, "below this the unit does not measure"),
    ("detector.warm_mdegc", "int", -40000, 80000, "mdegC", 40000, "above this: detector is warm"),
)

_ASK = "A technician must provision this unit again."


def _bad(code, what):
    return UnitError(code, what, _ASK)


# Read, check and complete the settings file. Returns {"unit": ..., "broker": {"host": ...}, ...}.
def load(path):
    try:
        with open(path) as file:
            given = json.load(file)
    except OSError:
        raise _bad("settings_missing", "The unit has no settings.") from None
    except ValueError:
        raise _bad("settings_damaged", "The settings cannot be read.") from None
    return check(given)


def check(given):
    if not isinstance(given, dict):
        raise _bad("settings_damaged", "The settings are not a table.")
    flat = _flatten(given)
    settings: dict = {}
    for key, kind, low, high, _unit, default, _help in TABLE:
        if key in flat:
            value = flat.pop(key)
            _check_value(key, kind, low, high, value)
        elif default == REQUIRED:
            raise _bad("settings_missing_key", "The setting " + key + " is missing.")
        else:
            value = default
        _put(settings, key, value)
    for key in flat:
        raise _bad("settings_unknown_key", "Unknown setting: " + key + ".")
    _check_together(settings)
    return settings


def _flatten(given):
    flat = {}
    sections = {}
    for row in TABLE:
        if "." in row[0]:
            sections[row[0].split(".")[0]] = True
    for name, value in given.items():
        if name in sections:
            if not isinstance(value, dict):
                raise _bad("settings_wrong_type", "The setting " + name + " must be a table.")
            for inner in value:
                flat[name + "." + inner] = value[inner]
        else:
            flat[name] = value
    return flat


def _put(settings, key, value):
    if "." in key:
        section, name = key.split(".")
        settings.setdefault(section, {})[name] = value
    else:
        settings[key] = value


def _check_value(key, kind, low, high, value):
    if not _TYPES[kind](value):
        raise _bad("settings_wrong_type", "The setting " + key + " must be " + _WORDS[kind] + ".")
    if kind == "bool":
        return
    # Text is measured in bytes, as in the messages that carry it.
    size = value if kind == "int" else len(value.encode() if kind == "text" else value)
    if not low <= size <= high:
        what = "The setting {}{} must be {} to {}, not {}."
        word = "" if kind == "int" else ": its length"
        raise _bad("settings_out_of_range", what.format(key, word, low, high, size))


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _of(value, letters):
    return isinstance(value, str) and all(c in letters for c in value)


def _is_hex(value):
    return _of(value, "0123456789abcdefABCDEF") and len(value) % 2 == 0


def _is_numbers(value):
    return isinstance(value, list) and all(
        isinstance(text, str) and len(text) <= 32 and valid_decimal(text) for text in value
    )


_TYPES = {
    "int": _is_int,
    "text": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "hex": _is_hex,
    "name": valid_unit,
    "date": lambda value: isinstance(value, str) and valid_date(value),
    "numbers": _is_numbers,
}
_WORDS = {
    "int": "a whole number",
    "text": "text",
    "bool": "true or false",
    "hex": "pairs of hex digits",
    "name": "a name of a-z, 0-9 and -",
    "date": "a date like 2026-01-31",
    "numbers": "a list of decimal numbers as text",
}


def _check_together(settings):
    acquire = settings["acquire"]
    if acquire["exposure_min_us"] > acquire["exposure_max_us"]:
        raise _bad(
            "settings_out_of_range",
            "acquire.exposure_min_us is larger than acquire.exposure_max_us.",
        )
    if acquire["total_ms"] >= settings["laser"]["max_on_ms"]:
        raise _bad(
            "settings_out_of_range", "acquire.total_ms must be smaller than laser.max_on_ms."
        )
    if settings["battery"]["empty_mv"] > settings["battery"]["low_mv"]:
        raise _bad("settings_out_of_range", "battery.empty_mv is larger than battery.low_mv.")
    if settings["broker"]["tls"] and not settings["broker"]["ca_der_hex"]:
        raise _bad("settings_missing_key", "broker.tls needs broker.ca_der_hex.")
