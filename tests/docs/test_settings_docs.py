"""settings.md and calibration-file.md say exactly what the unit's tables say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).parents[1] / "device" / "firmware_fixture.py"
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
settings = fixture.device_module("settings")
calibration = fixture.device_module("calibration")
checked_file = fixture.device_module("checked_file")

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
BOTH = pytest.mark.parametrize(
    ("module", "page"), [(settings, "settings.md"), (calibration, "calibration-file.md")]
)


def shown(row):
    key, kind, low, high, unit, default, meaning = row
    if default == checked_file.REQUIRED:
        default = "**required**"
    elif isinstance(default, bool):
        default = f"`{str(default).lower()}`"
    elif default is None:
        default = "`null`"
    elif default == ():
        default = "`[]`"
    else:
        default = f"`{default}`" if default != "" else '`""`'
    bounds = ["", ""] if kind == "bool" else [str(low), str(high)]
    return [f"`{key}`", kind, *bounds, unit, default, meaning]


@BOTH
def test_every_row_of_the_table_is_documented_and_no_other(module, page):
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in (REFERENCE / page).read_text().splitlines()
        if re.match(r"\| `[a-z_.0-9]+` \| [a-z]+ \|", line)
    ]
    assert rows == [shown(row) for row in module.TABLE]


@BOTH
def test_every_error_is_documented(module, page):
    name = module.FILE.name
    source = (fixture.DEVICE / "checked_file.py").read_text()
    source += Path(module.__file__).read_text()
    raised = {f"{name}_{code}" for code in re.findall(r'\bbad\(\s*"([a-z_]+)"', source)}
    documented = set(
        re.findall(rf"^\| `({name}_[a-z_]+)` \|", (REFERENCE / page).read_text(), re.M)
    )
    assert len(raised) >= 6
    assert raised == documented


@BOTH
def test_every_type_is_explained(module, page):
    explained = (REFERENCE / page).read_text().split("Types:")[1]
    for kind in {row[1] for row in module.TABLE}:
        assert f"`{kind}`" in explained
