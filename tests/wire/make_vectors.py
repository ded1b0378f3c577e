"""Writes golden vectors that do not exist yet; run by hand when a message kind or version is added.

    python tests/wire/make_vectors.py

Vectors are kept for ever: this never overwrites one, and vectors/SHA256SUMS pins them all.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from fieldassay_wire import mac0, messages
from fieldassay_wire.cbor import TypedArray

VECTORS = Path(__file__).parent / "vectors"
KEY = bytes(range(32))
UNIT = "unit-1"


def u32(*values: int) -> TypedArray:
    return TypedArray(TypedArray.U32, b"".join(v.to_bytes(4, "little") for v in values))


def measurement(pixels: int) -> dict[str, Any]:
    return {
        "v": 1,
        "unit": UNIT,
        "boot": 3,
        "seq": 17,
        "time_ms": 1_795_000_000_123,
        "clock": "synced",
        "uptime_ms": 61_500,
        "exposure_us": 250_000,
        "frames": 8,
        "dark_frames": 8,
        "raw": u32(*[8 * (1000 + (37 * i * i) % 977) for i in range(pixels)]),
        "dark": u32(*[8 * (200 + (11 * i) % 13) for i in range(pixels)]),
        "full_scale_counts": 65_535,
        "saturated_pixels": 0,
        "flags": [],
        "gain_me_per_count": 2_600,
        "read_noise_me": 9_500,
        "excitation_pm": 785_030,
        "laser_set_uw": 100_000,
        "laser_uw": 99_120,
        "laser_mdegc": 25_010,
        "detector_mdegc": -9_980,
        "calibration": {
            "id": "cal-7",
            "date": "2026-11-02",
            "coefficients_nm": ["799.6143", "0.08731", "-1.0425e-6", "0"],
        },
        "selftest": {"ok": True, "checks": {"dark": "pass", "laser": "pass", "reference": "skip"}},
        "firmware": {"version": "0.1.0", "sha256": hashlib.sha256(b"firmware").digest()},
        "answers": {"packaging": "bag", "sample": "powder"},
        "series": 4,
        "spot": 2,
        "battery_mv": 3_912,
    }


def state(name: str, fault: str) -> dict[str, Any]:
    return {
        "v": 1,
        "unit": UNIT,
        "boot": 3,
        "n": 12,
        "state": name,
        "interlock": "safe",
        "fault": fault,
        "spool_used": 2,
        "spool_capacity": 100,
        "battery_mv": 3_912,
        "time_ms": 1_795_000_000_123,
        "clock": "rtc",
        "firmware": {"version": "0.1.0", "sha256": hashlib.sha256(b"firmware").digest()},
    }


def command(name: str, **args: Any) -> dict[str, Any]:
    return {"v": 1, "unit": UNIT, "boot": 3, "n": 5, "command": name, "args": args}


def verdict() -> dict[str, Any]:
    return {
        "v": 1,
        "unit": UNIT,
        "boot": 3,
        "seq": 17,
        "verdict": "mixture",
        "title": "Acetaminophen with caffeine",
        "substances": [
            {"id": "acetaminophen", "name": "Acetaminophen", "share_permille": 640},
            {"id": "caffeine", "name": "Caffeine", "share_permille": None},
        ],
        "hazard": {
            "id": "general-powder",
            "title": "Unknown powder",
            "lines": [
                "Gloves and eye protection",
                "Do not open the bag",
                "不要打开袋子",
                "لا تفتح الكيس",
            ],
        },
        "do_next": "Seal, label and send to the laboratory.",
        "reasons": ["Two references explain the spectrum better than one."],
        "time_ms": 1_795_000_000_350,
    }


def messages_to_keep() -> dict[str, tuple[str, dict[str, Any], str]]:
    """File name -> kind, message, note."""
    plain = measurement(8)
    flagged = measurement(300)
    flagged.update(
        flags=["saturated", "clock_unset", "battery_low"],
        saturated_pixels=3,
        clock="unset",
        time_ms=0,
    )
    future = measurement(8)
    future.update(
        {
            "humidity_permille": 412,
            "zz": [None, True, -1, "text", b"bytes", {"a": {"b": []}}],
            "frame_times_ms": TypedArray(TypedArray.U16, bytes(range(6))),
        }
    )
    future["calibration"]["lamp"] = "Ne"
    future["flags"] = ["a_flag_of_tomorrow"]
    calibrated = measurement(8)
    calibrated.update(
        dark_mdegc=-9_990, rejected_pixels=2, stopped="background_rising", flags=["interrupted"]
    )
    calibrated["calibration"].update(
        linearity=["1", "2.5e-7"],
        hot_pixels=[3, 7],
        dark={"offset_counts": "201.5", "doubling_degc": "7"},
        resolution_cm1="9.2",
        response={"id": "srm2241-5", "coefficients": ["1", "-2e-5"]},
    )
    calibrated["answers"]["dark_sample"] = "unknown"
    receipt = {
        "v": 1,
        "unit": UNIT,
        "boot": 3,
        "seq": 17,
        "sha256": hashlib.sha256(b"sealed").digest(),
        "status": "stored",
        "record": "unit-1-3-17",
        "stored_ms": 1_795_000_000_300,
    }
    telemetry = {
        "v": 1,
        "unit": UNIT,
        "boot": 3,
        "n": 40,
        "time_ms": 1_795_000_060_000,
        "uptime_ms": 121_377,
        "detector_mdegc": -9_950,
        "laser_mdegc": 25_020,
        "battery_mv": 3_905,
        "free_heap": 81_920,
        "counters": {"reconnects": 1, "retries": 7, "receipts": 16},
    }
    return {
        "measurement-1": ("measurement", plain, "Eight pixels, everything in order."),
        "measurement-2": ("measurement", flagged, "300 pixels, flags set, clock unset."),
        "measurement-3": ("measurement", future, "Version 1 with fields and a flag nobody knows."),
        "measurement-4": ("measurement", calibrated, "Every optional field."),
        "state-1": ("state", state("ready", ""), "Published retained after connecting."),
        "state-2": ("state", state("lost", ""), "The last will."),
        "state-3": ("state", state("fault", "The lid switch is unreadable."), "A fault."),
        "telemetry-1": ("telemetry", telemetry, "With counters."),
        "receipt-1": ("receipt", receipt, "Stored for the first time."),
        "verdict-1": ("verdict", verdict(), "Two substances, one share unknown, three scripts."),
        "command-1": ("command", command("set_time", time_ms=1_795_000_000_000), "Set the clock."),
        "command-2": ("command", command("request_measurement"), "Ask the officer to press."),
        "command-3": (
            "command",
            command("set_answers", packaging="bag", sample="powder", series=4, spot=2),
            "What the officer answered on the host's page.",
        ),
        "command-4": ("command", command("abort"), "Stop measuring."),
        "command-5": ("command", command("get_state"), "Publish the state now."),
        "command-6": (
            "command",
            command("set_answers", dark_sample="yes", packaging="bag", sample="", series=4, spot=2),
            "Answers with that to the question about dark samples.",
        ),
    }


def rejected() -> list[dict[str, str]]:
    """Bytes no reader may accept; `at` is the step that refuses: decode, open or parse."""
    good = mac0.seal("command", KEY, UNIT, command("abort"))
    flipped = bytearray(good)
    flipped[-1] ^= 1
    other = bytearray(good)
    other[good.index(b"abort")] ^= 1
    deep = b"\x81" * 40 + b"\x00"
    entries = [
        ("decode", b"", "truncated", "nothing at all"),
        ("decode", b"\x00\x00", "trailing_bytes", "a second value"),
        ("decode", b"\x18\x17", "not_shortest", "23 in two bytes"),
        ("decode", b"\x19\x00\xff", "not_shortest", "255 in three bytes"),
        ("decode", b"\x1a\x00\x00\xff\xff", "not_shortest", "65535 in five bytes"),
        ("decode", b"\x1b" + bytes(4) + b"\xff" * 4, "not_shortest", "2^32-1 in nine bytes"),
        ("decode", b"\x78\x01a", "not_shortest", "a length in two bytes"),
        ("decode", b"\x9f\xff", "indefinite_length", "an array of indefinite length"),
        ("decode", b"\x5f\x41a\xff", "indefinite_length", "a byte string in pieces"),
        ("decode", b"\xbf\xff", "indefinite_length", "a map of indefinite length"),
        ("decode", b"\xff", "indefinite_length", "a break alone"),
        ("decode", b"\x1c", "bad_head", "a reserved length"),
        ("decode", b"\xf7", "bad_head", "undefined"),
        ("decode", b"\xe0", "bad_head", "simple value 0"),
        ("decode", b"\xf8\xff", "bad_head", "simple value 255"),
        ("decode", b"\xf9\x3c\x00", "float", "1.0 as half"),
        ("decode", b"\xfb\x3f\xf0" + bytes(6), "float", "1.0 as double"),
        ("decode", b"\xa2\x61b\x00\x61a\x00", "unsorted_keys", "b before a"),
        ("decode", b"\xa2\x62aa\x00\x61b\x00", "unsorted_keys", "the longer key first"),
        ("decode", b"\xa2\x61a\x00\x61a\x01", "duplicate_key", "a twice"),
        ("decode", b"\xa1\x41a\x00", "bad_key", "a byte string as key"),
        ("decode", b"\xa1\xf5\x00", "bad_key", "true as key"),
        ("decode", b"\x62\xc3\x28", "bad_utf8", "a broken sequence"),
        ("decode", b"\x62\xc0\x80", "bad_utf8", "an overlong NUL"),
        ("decode", b"\x63\xed\xa0\x80", "bad_utf8", "half of a surrogate pair"),
        ("decode", b"\x64\xf4\x90\x80\x80", "bad_utf8", "above U+10FFFF"),
        ("decode", b"\x5b" + b"\xff" * 8, "truncated", "2^64-1 bytes announced"),
        ("decode", b"\x9b" + b"\xff" * 8, "truncated", "2^64-1 items announced"),
        ("decode", b"\xbb" + b"\xff" * 8, "truncated", "2^64-1 pairs announced"),
        ("decode", deep, "too_deep", "40 arrays in each other"),
        ("decode", b"\x99\x20\x00" + bytes(8192), "too_many_items", "8192 zeros"),
        ("decode", b"\xd8\x46\x43abc", "bad_typed_array", "three bytes of uint32"),
        ("decode", b"\xd8\x46\x00", "bad_typed_array", "an array tag on an integer"),
        ("decode", b"\xd8\x42\x44abcd", "bad_typed_array", "big-endian uint32"),
        ("decode", b"\xd8\x55\x44abcd", "bad_typed_array", "float32"),
        ("open", b"", "not_sealed", "nothing at all"),
        ("open", b"{}", "not_sealed", "JSON"),
        ("open", good[1:], "not_sealed", "without the tag 17"),
        ("open", good[:-1], "truncated", "the last byte is missing"),
        ("open", good + b"\x00", "trailing_bytes", "one byte more"),
        ("open", bytes(flipped), "bad_mac", "one bit of the tag"),
        ("open", bytes(other), "bad_mac", "one bit of the message"),
        ("open", good.replace(b"\x01\x05", b"\x01\x06"), "bad_algorithm", "HMAC 384"),
        ("open", good.replace(b"command+", b"comment+"), "unknown_kind", "a kind nobody knows"),
        ("open", good.replace(b"application", b"applicature"), "not_sealed", "not our type"),
        (
            "open",
            b"\xd1\x84\x43\xa1\x01\x05\xa0\x41\xa0\x58\x20" + bytes(32),
            "not_sealed",
            "no content type and no key id",
        ),
    ]
    faults: list[tuple[str, dict[str, Any], str, str]] = [
        ("command", {**command("abort"), "v": 2}, "unsupported_version", "version 2"),
        ("command", {**command("abort"), "v": True}, "wrong_type", "version true"),
        ("command", {**command("abort"), "unit": "Unit_1"}, "bad_value", "capitals in the unit"),
        ("command", {**command("fire")}, "bad_value", "a command that must not exist"),
        ("command", command("set_time"), "missing_field", "no time"),
        ("command", {**command("abort"), "boot": -1}, "out_of_range", "negative boot"),
        ("measurement", {**measurement(4), "dark": u32(1, 2, 3)}, "size_mismatch", "dark is short"),
        ("measurement", {**measurement(4), "raw": u32()}, "bad_length", "no pixels"),
        ("measurement", {**measurement(4), "raw": [1, 2, 3, 4]}, "wrong_type", "a plain array"),
        ("measurement", {**measurement(4), "frames": 0}, "out_of_range", "no frames"),
        ("measurement", {**measurement(4), "saturated_pixels": 5}, "out_of_range", "5 of 4 pixels"),
    ]
    for kind, message, code, note in faults:
        entries.append(("parse", mac0.seal(kind, KEY, UNIT, message), code, f"{kind}: {note}"))
    return [
        {"at": at, "hex": data.hex(), "code": code, "note": note}
        for at, data, code, note in entries
    ]


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, TypedArray):
        return {"$array": [value.tag, bytes(value.data).hex()]}
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value


def _write(name: str, content: dict[str, Any]) -> None:
    path = VECTORS / f"{name}.json"
    if path.exists():
        print(f"{path.name}: kept")
        return
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with (VECTORS / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    print(f"{path.name}: written")


def main() -> None:
    """Write what is missing."""
    VECTORS.mkdir(exist_ok=True)
    for name, (kind, message, note) in messages_to_keep().items():
        messages.check(kind, message)
        content = {
            "note": note,
            "kind": kind,
            "kid": UNIT,
            "key": KEY.hex(),
            "sealed": mac0.seal(kind, KEY, UNIT, message).hex(),
            "message": _json(message),
        }
        _write(name, content)
    note = "Bytes every reader must refuse, the step that refuses them and the error code."
    _write("rejected-1", {"note": note, "key": KEY.hex(), "entries": rejected()})


if __name__ == "__main__":
    main()
