"""The unit's settings: one table of keys with type, range, unit and default; reads settings.json.

An unknown key, a wrong type or a value out of range is a UnitError that the display shows, never a
silent default. docs/reference/settings.md is checked against TABLE. Who writes the file
(provisioning) is not decided here.
"""

from checked_file import REQUIRED, File
from fieldassay_wire import keys

# Rows as in `checked_file`.
TABLE = (
    ("unit", "name", 1, 32, "", REQUIRED, "name of the unit in topics and records"),
    ("key", "hex", 64, 64, "", REQUIRED, "secret key that seals the unit's messages"),
    ("broker.host", "text", 1, 253, "", REQUIRED, "name or address of the MQTT broker"),
    ("broker.port", "int", 1, 65535, "", 1883, "TCP port of the broker"),
    ("broker.tls", "bool", 0, 1, "", False, "encrypt, and check the broker's certificate"),
    ("broker.ca_der_hex", "hex", 0, 8192, "", "", "authority that signed the broker's certificate"),
    ("broker.cert_der_hex", "hex", 0, 8192, "", "", "the unit's own certificate"),
    ("broker.key_der_hex", "hex", 0, 1024, "", "", "secret key of that certificate"),
    ("broker.user", "text", 0, 64, "", "", "user name at the broker; empty for none"),
    ("broker.password", "text", 0, 128, "", "", "password at the broker"),
    ("wifi.ssid", "text", 0, 32, "", "", "name of the wireless network; empty for none"),
    ("wifi.password", "text", 0, 63, "", "", "its password; empty for an open network"),
    (
        "wifi.country",
        "text",
        0,
        2,
        "",
        "",
        "country whose radio rules hold, as DE; empty: the chip's",
    ),
    ("provisioned", "date", 10, 10, "", "2026-01-01", "day of provisioning; no clock is earlier"),
    ("laser.power_uw", "int", 100, 500000, "uW", 100000, "laser power of the measurement"),
    ("laser.low_power_uw", "int", 100, 20000, "uW", 20000, "the same of dark or unknown samples"),
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
    ("spool.capacity", "int", 1, 100, "results", 100, "results kept until the host has them"),
    ("battery.low_mv", "int", 2500, 15000, "mV", 3500, "below this the battery is called low"),
    ("battery.empty_mv", "int", 2000, 15000, "mV", 3300, "below this the unit does not measure"),
    ("detector.warm_mdegc", "int", -40000, 80000, "mdegC", 40000, "above this: detector is warm"),
)

FILE = File(TABLE, "settings", "setting", "A technician must provision this unit again.")


# Read, check and complete the settings file. Returns {"unit": ..., "broker": {"host": ...}, ...}.
def load(path):
    return check(FILE.read(path))


def check(given):
    settings = FILE.check(given)
    _check_together(settings)
    return settings


def _check_together(settings):
    acquire = settings["acquire"]
    if acquire["exposure_min_us"] > acquire["exposure_max_us"]:
        raise FILE.bad(
            "out_of_range",
            "acquire.exposure_min_us is larger than acquire.exposure_max_us.",
        )
    if acquire["total_ms"] >= settings["laser"]["max_on_ms"]:
        raise FILE.bad("out_of_range", "acquire.total_ms must be smaller than laser.max_on_ms.")
    if settings["battery"]["empty_mv"] > settings["battery"]["low_mv"]:
        raise FILE.bad("out_of_range", "battery.empty_mv is larger than battery.low_mv.")
    _check_secrets(settings)


def _check_secrets(settings):
    broker = settings["broker"]
    if broker["tls"] and not broker["ca_der_hex"]:
        raise FILE.bad("missing_key", "broker.tls needs broker.ca_der_hex.")
    if bool(broker["cert_der_hex"]) != bool(broker["key_der_hex"]):
        what = "broker.cert_der_hex and broker.key_der_hex need each other."
        raise FILE.bad("missing_key", what)
    if broker["cert_der_hex"] and not broker["tls"]:
        raise FILE.bad("out_of_range", "broker.cert_der_hex is given, but broker.tls is off.")
    if 0 < len(settings["wifi"]["password"]) < 8:
        raise FILE.bad("out_of_range", "wifi.password is shorter than 8 characters.")
    if not keys.usable(bytes.fromhex(settings["key"])):
        raise FILE.bad("key_guessable", "The key is a default or an example, not a secret.")
