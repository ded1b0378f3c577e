"""The fields of every message, their types and ranges, as tables; check and parse.

A message is a dict with text keys. All numbers are integers with the unit in the name; decimals
travel as text. Unknown fields are allowed and kept: newer units and older hosts understand each
other. Change a table here and docs/reference/wire.cddl together; a test compares them.
"""

from . import cbor
from .cbor import TypedArray
from .errors import WireError
from .mac0 import KINDS
from .rules import (
    NAME,
    Array,
    Bool,
    Bytes,
    Fields,
    Int,
    List,
    MapOf,
    OneOf,
    OrNull,
    Text,
    valid_date,
    valid_decimal,
)
from .topics import valid_unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FIELDS", "FLAGS", "KINDS", "VERSION", "check", "parse"]

VERSION = 1
MAX_PIXELS = 8192

CLOCKS = ("unset", "rtc", "synced")
STATES = ("init", "ready", "measuring", "fault", "disconnected", "lost")
STATUSES = ("stored", "known", "quarantined")
VERDICTS = ("match", "mixture", "class", "out_of_library", "inconclusive")
COMMANDS = ("set_time", "request_measurement", "set_answers", "abort", "get_state")
# Flags this version knows. A reader must not refuse others.
FLAGS = (
    "saturated",
    "clock_unset",
    "battery_low",
    "interrupted",
    "detector_warm",
    "low_signal",
    "selftest_failed",
)

COUNT = Int(0, 0xFFFFFFFF)
TIME_MS = Int(0, (1 << 53) - 1)  # exact in JSON and JavaScript too
MDEGC = Int(-273_150, 1_000_000)
POWER_UW = Int(0, 10_000_000)
SHA256 = Bytes(32)
ANSWER = Text(0, 32)
DARK_SAMPLE = OneOf("no", "yes", "unknown")
DECIMAL = Text(1, 32, valid_decimal, "a decimal number")
PIXELS = Array(TypedArray.U32, 1, MAX_PIXELS)

HEADER = {
    "v": Int(1, 1),
    "unit": Text(1, 32, valid_unit, "a unit name ([a-z0-9-])"),
    "boot": COUNT,
}
FIRMWARE = Fields({"version": Text(1, 32), "sha256": SHA256})
MEASUREMENT = {
    "seq": COUNT,
    "time_ms": TIME_MS,
    "clock": OneOf(*CLOCKS),
    "uptime_ms": TIME_MS,
    "exposure_us": Int(1, 600_000_000),
    "frames": Int(1, 65_535),
    "dark_frames": Int(1, 65_535),
    "raw": PIXELS,
    "dark": PIXELS,
    "full_scale_counts": Int(1, 65_535),
    "saturated_pixels": Int(0, MAX_PIXELS),
    "flags": List(0, 32, NAME),
    "gain_me_per_count": Int(1, 1_000_000_000),
    "read_noise_me": Int(0, 1_000_000_000),
    "excitation_pm": Int(100_000, 20_000_000),
    "laser_set_uw": POWER_UW,
    "laser_uw": POWER_UW,
    "laser_mdegc": MDEGC,
    "detector_mdegc": MDEGC,
    "?dark_mdegc": MDEGC,
    "?rejected_pixels": COUNT,
    "?stopped": NAME,
    "calibration": Fields(
        {
            "id": Text(1, 64),
            "date": Text(10, 10, valid_date, "a date YYYY-MM-DD"),
            "coefficients_nm": List(2, 8, DECIMAL),
            "?linearity": List(0, 8, DECIMAL),
            "?hot_pixels": List(0, 128, Int(0, MAX_PIXELS - 1)),
            "?dark": Fields({"offset_counts": DECIMAL, "doubling_degc": DECIMAL}),
            "?resolution_cm1": DECIMAL,
            "?response": Fields({"id": Text(1, 64), "coefficients": List(1, 8, DECIMAL)}),
        }
    ),
    "selftest": Fields({"ok": Bool(), "checks": MapOf(32, OneOf("pass", "fail", "skip"))}),
    "firmware": FIRMWARE,
    "answers": Fields({"packaging": ANSWER, "sample": ANSWER, "?dark_sample": DARK_SAMPLE}),
    "series": COUNT,
    "spot": COUNT,
    "battery_mv": Int(0, 100_000),
}
RECEIPT = {
    "seq": COUNT,
    "sha256": SHA256,
    "status": OneOf(*STATUSES),
    "record": Text(0, 128),
    "stored_ms": TIME_MS,
}
VERDICT = {
    "seq": COUNT,
    "verdict": OneOf(*VERDICTS),
    "title": Text(1, 200),
    "substances": List(
        0,
        16,
        Fields({"id": Text(1, 96), "name": Text(1, 200), "share_permille": OrNull(Int(0, 1000))}),
    ),
    "hazard": Fields({"id": Text(1, 96), "title": Text(1, 200), "lines": List(0, 4, Text(0, 200))}),
    "do_next": Text(0, 500),
    "reasons": List(0, 32, Text(1, 300)),
    "time_ms": TIME_MS,
}
STATE = {
    "n": COUNT,
    "state": OneOf(*STATES),
    "interlock": Text(0, 32),
    "fault": Text(0, 200),
    "spool_used": Int(0, 65_535),
    "spool_capacity": Int(0, 65_535),
    "battery_mv": Int(0, 100_000),
    "time_ms": TIME_MS,
    "clock": OneOf(*CLOCKS),
    "firmware": FIRMWARE,
}
TELEMETRY = {
    "n": COUNT,
    "time_ms": TIME_MS,
    "uptime_ms": TIME_MS,
    "detector_mdegc": MDEGC,
    "laser_mdegc": MDEGC,
    "battery_mv": Int(0, 100_000),
    "free_heap": COUNT,
    "counters": MapOf(64, TIME_MS),
}
COMMAND = {
    "n": COUNT,
    "command": OneOf(*COMMANDS),
    "args": Fields({}),
}
FIELDS = {
    "measurement": Fields(MEASUREMENT),
    "receipt": Fields(RECEIPT),
    "verdict": Fields(VERDICT),
    "state": Fields(STATE),
    "telemetry": Fields(TELEMETRY),
    "command": Fields(COMMAND),
}
ARGS = {
    "set_time": Fields({"time_ms": TIME_MS}),
    "request_measurement": Fields({}),
    "set_answers": Fields(
        {
            "?packaging": ANSWER,
            "?sample": ANSWER,
            "?dark_sample": DARK_SAMPLE,
            "?series": COUNT,
            "?spot": COUNT,
        }
    ),
    "abort": Fields({}),
    "get_state": Fields({}),
}


def check(kind: str, message: "Any") -> None:
    # Raises WireError naming the first field that is wrong and what it may be.
    if kind not in KINDS:
        raise WireError("unknown_kind", "There is no message kind {!r}.".format(kind))
    if not isinstance(message, dict):
        raise WireError("wrong_type", "{} must be a map.".format(kind))
    version = message.get("v")
    if type(version) is int and version != VERSION:
        raise WireError("unsupported_version", "{}.v is {}, known is 1.".format(kind, version))
    Fields(HEADER).check(kind, message)
    FIELDS[kind].check(kind, message)
    if kind == "command":
        ARGS[message["command"]].check("command.args", message["args"])
    if kind == "measurement":
        pixels = len(message["raw"])
        if len(message["dark"]) != pixels:
            raise WireError(
                "size_mismatch",
                "measurement.dark has {} pixels, measurement.raw {}.".format(
                    len(message["dark"]), pixels
                ),
            )
        if message["saturated_pixels"] > pixels:
            raise WireError(
                "out_of_range", "measurement.saturated_pixels is above {} pixels.".format(pixels)
            )


def parse(kind: str, payload: "Any") -> "dict[str, Any]":
    # decode + check; typed arrays are views of `payload`.
    message: dict[str, Any] = cbor.decode(payload)
    check(kind, message)
    return message
