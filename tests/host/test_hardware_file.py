"""The hardware file: what the host lets through, a unit can work with; the rest is refused."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from fieldassay import hardware_file
from fieldassay.errors import UnitError
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location(
    "firmware_fixture", ROOT / "tests" / "device" / "firmware_fixture.py"
)
assert spec is not None and spec.loader is not None
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)

GUIDE = (ROOT / "docs" / "how-to" / "build-a-unit.md").read_text()
EXAMPLE = json.loads(GUIDE.split("`hardware.json`\n", 1)[1].split("```json")[1].split("```")[0])


def test_the_example_of_the_guide_passes(tmp_path: Path) -> None:
    path = tmp_path / "hardware.json"
    path.write_text(json.dumps(EXAMPLE))
    assert hardware_file.read(path) == EXAMPLE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("excitation_pm", 785000.0),
        ("excitation_pm", True),
        ("read_noise_me", -1),
        ("laser", None),
        ("laser.power_codes", []),
        ("laser.power_codes", [[5000, 900]]),
        ("laser.power_codes", [[5000, 900], [4000, 1000]]),
        ("laser.power_codes", [[5000, 900], [6000, 800]]),
        ("laser.power_codes", [[5000, 900], [6000, 4096]]),
        ("laser.power_codes", [[5000, 900], [500001, 1000]]),
        ("laser.power_codes", [[5000, 900], [6000, "1000"]]),
        ("laser.photodiode_uw", 0),
        ("laser.unknown", 1),
        ("unknown", 1),
    ],
)
def test_what_makes_no_sense_is_refused(key: str, value: Any) -> None:
    document = copy.deepcopy(EXAMPLE)
    *above, last = key.split(".")
    (document[above[0]] if above else document)[last] = value
    with pytest.raises(UnitError) as caught:
        hardware_file.check(document)
    assert caught.value.code == "hardware_file_bad"


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 8000, b"{}" + b" " * 9000])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hardware.json"
    path.write_bytes(content)
    with pytest.raises(UnitError) as caught:
        hardware_file.read(path)
    assert caught.value.code in ("hardware_file_unreadable", "hardware_file_bad")


numbers = st.one_of(st.integers(-1, 5000), st.integers(0, 600_000), st.none(), st.floats())


@given(
    st.lists(st.lists(numbers, min_size=1, max_size=3), max_size=4),
    st.dictionaries(st.sampled_from(sorted(hardware_file.LASER)), numbers),
)
def test_what_passes_a_unit_takes_too(codes: list[Any], other: dict[str, Any]) -> None:
    document = copy.deepcopy(EXAMPLE)
    document["laser"] |= {"power_codes": codes, **other}
    try:
        hardware_file.check(document)
    except UnitError:
        return
    assert fixture.device_module("drivers.laser_diode")._is_sound(document["laser"])
