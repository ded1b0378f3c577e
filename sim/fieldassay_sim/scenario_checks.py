"""Whether a scenario's document says only what TABLES allow, and whether its parts fit together.

Pure: raises ScenarioError with the place, the value and what would be allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fieldassay_sim.errors import ScenarioError
from fieldassay_sim.fingers import BUTTONS
from fieldassay_sim.scenario_tables import OUTCOMES, SETTINGS, TABLES, Key

_SOURCES = ("reference", "file", "bands", "mixture")


def checked(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The document itself, if all of it is allowed.

    Args:
        document: What tomllib read.
        name: File name for error texts.

    Raises:
        ScenarioError: See `code`: scenario_unknown_key, scenario_wrong_type, scenario_out_of_range,
            scenario_missing_key, scenario_sample_unknown, scenario_sample_source, scenario_cycle.
    """
    _table(document, "", name)
    for table in ("instrument", "condition", "fleet"):
        if table in document:
            _table(document[table], table, f"{name} [{table}]")
    _table(document.get("fleet", {}).get("vary", {}), "vary", f"{name} [fleet.vary]")
    _settings(document.get("settings", {}), name)
    samples = document.get("samples", {})
    for sample_id, sample in samples.items():
        _sample(sample_id, sample, samples, f"{name} [samples.{sample_id}]")
    _known(document.get("condition", {}).get("sample", ""), samples, f"{name} [condition]")
    for number, step in enumerate(document.get("steps", ()), 1):
        where = f"{name} step {number}"
        _table(step, "step", where)
        _table(step.get("set", {}), "condition", f"{where} set")
        _known(step.get("sample", ""), samples, where)
        if step.get("accept") and not step.get("why"):
            raise _error("missing_key", f"{where} accepts without saying why.", "Add `why`.")
    return document


def check_condition(changes: Any, samples: Mapping[str, Any]) -> None:
    """Whether `changes` may be made to a running unit: keys of [condition], known samples.

    Raises:
        ScenarioError: As for a file.
    """
    _table(changes, "condition", "the change")
    _known(changes.get("sample", ""), samples, "the change")


def _table(table: Any, kind: str, where: str) -> None:
    keys = TABLES[kind]
    if not isinstance(table, dict):
        raise _error("wrong_type", f"{where} must be a table.", "See docs/reference/scenarios.md.")
    for key, value in table.items():
        if key not in keys:
            raise _error(
                "unknown_key",
                f"{where} has an unknown key {key!r}.",
                f"Allowed: {', '.join(keys)}.",
            )
        _value(keys[key], value, f"{where} {key}")
    for key, rule in keys.items():
        if rule.required and key not in table:
            raise _error("missing_key", f"{where} lacks {key!r}.", f"Add it: {rule.help}.")


def _value(rule: Key, value: Any, where: str) -> None:
    if not _has_type(rule.kind, value):
        raise _error("wrong_type", f"{where} is {value!r}.", f"It must be {_WORDS[rule.kind]}.")
    if rule.choices and value not in rule.choices:
        allowed = ", ".join(repr(choice) for choice in rule.choices)
        raise _error("out_of_range", f"{where} is {value!r}.", f"Allowed: {allowed}.")
    if rule.low is not None and rule.high is not None and not rule.low <= value <= rule.high:
        raise _error(
            "out_of_range", f"{where} is {value!r}.", f"Allowed: {rule.low:g} to {rule.high:g}."
        )


def _has_type(kind: str, value: Any) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "whole":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return _is_number(value)
        case "numbers":
            return isinstance(value, list) and 2 <= len(value) <= 8 and all(map(_is_number, value))
        case "texts":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case "outcomes":
            return isinstance(value, list) and all(item in OUTCOMES for item in value)
        case "buttons":
            return isinstance(value, list) and all(item in BUTTONS for item in value)
        case "table":
            return isinstance(value, dict)
        case "tables" | "parts":
            return isinstance(value, list) and all(isinstance(item, dict) for item in value)
        case "bands":
            return isinstance(value, list) and bool(value) and all(map(_is_band, value))
    raise AssertionError(kind)


_WORDS = {
    "text": "text",
    "bool": "true or false",
    "whole": "a whole number",
    "number": "a number",
    "numbers": "a list of 2 to 8 numbers",
    "texts": "a list of texts",
    "outcomes": f"a list of {', '.join(OUTCOMES)}",
    "buttons": f"a list of {', '.join(BUTTONS)}",
    "table": "a table",
    "tables": "a list of tables",
    "parts": "a list of {sample, weight}",
    "bands": "a list of [position_cm1, height, width_cm1], heights and widths above 0",
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_band(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3 or not all(map(_is_number, value)):
        return False
    position, height, width = value
    return bool(100 <= position <= 3299 and height > 0 and width > 0)


def _settings(settings: dict[str, Any], name: str) -> None:
    for section, values in settings.items():
        if section not in SETTINGS:
            raise _error(
                "unknown_key",
                f"{name} [settings] has an unknown section {section!r}.",
                f"Allowed: {', '.join(SETTINGS)}.",
            )
        if not isinstance(values, dict) or not all(_has_type("whole", v) for v in values.values()):
            raise _error(
                "wrong_type",
                f"{name} [settings.{section}] holds something else than whole numbers.",
                "The keys and ranges are in docs/reference/settings.md; the firmware checks them.",
            )


def _sample(sample_id: str, sample: Any, samples: dict[str, Any], where: str) -> None:
    _table(sample, "sample", where)
    _table(sample.get("fluorescence", {}), "fluorescence", f"{where} fluorescence")
    sources = [key for key in _SOURCES if key in sample]
    if len(sources) > 1 or (not sources and "fluorescence" not in sample):
        raise _error(
            "sample_source",
            f"{where} has {len(sources)} sources.",
            f"Give exactly one of {', '.join(_SOURCES)}; none only with fluorescence.",
        )
    if "rate_per_ms" in sample and "bands" not in sample:
        raise _error(
            "sample_source", f"{where} has rate_per_ms without bands.", "Use strength instead."
        )
    for part in sample.get("mixture", ()):
        _table(part, "part", f"{where} mixture")
        _known(part["sample"], samples, where)
        if "mixture" in samples[part["sample"]]:
            raise _error(
                "cycle",
                f"{where} mixes {part['sample']!r}, which is a mixture itself.",
                "Name the pure samples and their weights.",
            )
    if "mixture" in sample and not sample["mixture"]:
        raise _error("sample_source", f"{where} mixes nothing.", "Name at least one part.")


def _known(sample_id: str, samples: Mapping[str, Any], where: str) -> None:
    if sample_id and sample_id not in samples:
        raise _error(
            "sample_unknown",
            f"{where} names the sample {sample_id!r}, which is not in this file.",
            f"Samples here: {', '.join(samples) or 'none'}.",
        )


def _error(code: str, what: str, do_next: str) -> ScenarioError:
    return ScenarioError(f"scenario_{code}", what, do_next)
