"""Instrument state and quality figures of a record as names and values with units. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fieldassay.web.strings import DARK_SAMPLE, PACKAGING, SAMPLES, known, text
from fieldassay.web.views import items


def _celsius(mdegc: object) -> str:
    return f"{mdegc / 1000:.1f} °C" if isinstance(mdegc, int) else text("unknown")


def _scaled(value: object, by: float, unit_name: str, digits: int = 1) -> str:
    return f"{value / by:.{digits}f} {unit_name}" if isinstance(value, int) else text("unknown")


def _map(message: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = message.get(key)
    return value if isinstance(value, Mapping) else {}


def _selftest(message: Mapping[str, Any]) -> str:
    test = _map(message, "selftest")
    said = text("selftest_pass" if test.get("ok") is True else "selftest_fail")
    failed = [name for name, result in _map(test, "checks").items() if result == "fail"]
    return f"{said} ({', '.join(failed)})" if failed else said


def _answer(message: Mapping[str, Any], key: str, words: Mapping[str, str]) -> str:
    value = str(_map(message, "answers").get(key, ""))
    return words.get(value, value)


def facts(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The state of the instrument as names and values with units, in reading order."""
    calibration, firmware = _map(message, "calibration"), _map(message, "firmware")
    digest = firmware.get("sha256", b"")
    get = message.get
    values = {
        "unit": str(get("unit", "")),
        "number": f"{get('boot')} / {get('seq')}",
        "clock": known("clock", get("clock")),
        "exposure": _scaled(get("exposure_us"), 1000, "ms"),
        "frames": f"{get('frames')}, {get('dark_frames')}",
        "laser": f"{_scaled(get('laser_set_uw'), 1000, 'mW')}, "
        f"{_scaled(get('laser_uw'), 1000, 'mW')}",
        "excitation": _scaled(get("excitation_pm"), 1000, "nm", 3),
        "laser_temperature": _celsius(get("laser_mdegc")),
        "detector_temperature": _celsius(get("detector_mdegc")),
        "saturated": str(get("saturated_pixels", text("unknown"))),
        "calibration": f"{calibration.get('id', '')} ({calibration.get('date', '')})",
        "selftest": _selftest(message),
        "flags": ", ".join(str(flag).replace("_", " ") for flag in items(get("flags")))
        or text("none"),
        "battery": _scaled(get("battery_mv"), 1000, "V", 2),
        "firmware": f"{firmware.get('version', '')} "
        f"{bytes(digest).hex()[:12] if isinstance(digest, bytes | bytearray | memoryview) else ''}",
        "packaging": _answer(message, "packaging", PACKAGING),
        "sample": _answer(message, "sample", SAMPLES),
        "dark_sample": _answer(message, "dark_sample", DARK_SAMPLE),
        "stopped": str(get("stopped", "")).replace("_", " ") or text("none"),
        "series": f"{get('series')}, {get('spot')}",
    }
    return [(text(f"fact_{name}"), value) for name, value in values.items()]


_UNITS = {"_cm1": "cm⁻¹", "_nm": "nm", "_ms": "ms", "_mw": "mW", "_degc": "°C", "_percent": "%"}


def quality(body: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The quality figures with their units; names of later versions are shown by their key."""
    return [
        (_quality_name(name), _quality_value(name, value))
        for name, value in _map(body or {}, "quality").items()
    ]


def _quality_name(name: str) -> str:
    label = known("quality", name)
    if label != name:
        return label
    for ending in _UNITS:
        name = name.removesuffix(ending)
    return name.replace("_", " ").capitalize()


def _quality_value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return text("yes" if value else "no")
    unit_name = next((u for ending, u in _UNITS.items() if name.endswith(ending)), "")
    values: Iterable[object] = value if isinstance(value, list | tuple) else (value,)
    shown = " – ".join(
        f"{float(f'{v:.4g}'):g}" if isinstance(v, int | float) else str(v) for v in values
    )
    return f"{shown} {unit_name}".strip()
