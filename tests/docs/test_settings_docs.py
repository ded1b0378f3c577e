"""docs/reference/settings.md says exactly what the unit's table says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).parents[1] / "device" / "firmware_fixture.py"
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
settings = fixture.device_module("settings")

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text()


def shown(row):
    key, kind, low, high, unit, default, meaning = row
    if default == settings.REQUIRED:
        default = "**required**"
    elif isinstance(default, bool):
        default = f"`{str(default).lower()}`"
    else:
        default = f"`{default}`" if default != "" else '`""`'
    bounds = ["", ""] if kind == "bool" else [str(low), str(high)]
    return [f"`{key}`", kind, *bounds, unit, default, meaning]


def test_every_row_of_the_table_is_documented_and_no_other():
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in TEXT.splitlines()
        if re.match(r"\| `[a-z_.]+` \| [a-z]+ \|", line)
    ]
    assert rows == [shown(row) for row in settings.TABLE]


def test_every_error_of_the_settings_is_documented():
    source = (fixture.DEVICE / "settings.py").read_text()
    raised = set(re.findall(r'"(settings_[a-z_]+)"', source))
    documented = set(re.findall(r"^\| `(settings_[a-z_]+)` \|", TEXT, re.MULTILINE))
    assert raised
    assert raised == documented


def test_every_type_is_explained():
    for kind in {row[1] for row in settings.TABLE}:
        assert f"`{kind}`" in TEXT.split("Types:")[1]
