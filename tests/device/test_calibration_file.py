"""calibration.json: wrong values are typed errors, and no power cut leaves half of it."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).with_name("firmware_fixture.py")
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
calibration = fixture.device_module("calibration")
measurement = fixture.device_module("measurement")
UnitError = fixture.device_module("faults").UnitError

GOOD = {
    "id": "c",
    "date": "2026-02-03",
    "excitation_pm": 785_012,
    "coefficients_nm": ["780", "0.1", "-1e-6"],
}
FULL = {
    **GOOD,
    "linearity": ["1", "2.5e-7"],
    "hot_pixels": [3, 77, 2047],
    "dark": {"offset_counts": "901.5", "doubling_degc": "7"},
    "resolution_cm1": "9.2",
    "response": {"id": "srm2241-5", "coefficients": ["1", "1e-4"]},
}


def with_(**changes):
    return {**copy.deepcopy(FULL), **changes}


WRONG = [
    (with_(colour="red"), "calibration_unknown_key"),
    (with_(dark={"offset_counts": "1", "doubling_degc": "7", "x": "1"}), "calibration_unknown_key"),
    (with_(coefficients_nm=["1"]), "calibration_out_of_range"),
    (with_(coefficients_nm=["1"] * 9), "calibration_out_of_range"),
    (with_(coefficients_nm=["1", "nan"]), "calibration_wrong_type"),
    (with_(coefficients_nm=["1", 0.1]), "calibration_wrong_type"),
    (with_(linearity=["1", "1,5"]), "calibration_wrong_type"),
    (with_(linearity=["1"] * 9), "calibration_out_of_range"),
    (with_(hot_pixels=[5, 4]), "calibration_wrong_type"),
    (with_(hot_pixels=[4, 4]), "calibration_wrong_type"),
    (with_(hot_pixels=[-1]), "calibration_wrong_type"),
    (with_(hot_pixels=[True]), "calibration_wrong_type"),
    (with_(hot_pixels=[8192]), "calibration_wrong_type"),
    (with_(hot_pixels=list(range(129))), "calibration_out_of_range"),
    (with_(dark={"offset_counts": "1"}), "calibration_missing_key"),
    (with_(dark=None), "calibration_missing_key"),
    (with_(dark=7), "calibration_wrong_type"),
    (with_(response={"id": "x"}), "calibration_missing_key"),
    (with_(resolution_cm1=9), "calibration_wrong_type"),
    (with_(date="2026-13-01"), "calibration_wrong_type"),
    (with_(excitation_pm=100), "calibration_out_of_range"),
    (with_(excitation_pm=None), "calibration_wrong_type"),
    (with_(id="\u00e9" * 40), "calibration_out_of_range"),
    ([], "calibration_damaged"),
    *(
        ({name: GOOD[name] for name in GOOD if name != gone}, "calibration_missing_key")
        for gone in GOOD
    ),
]


def test_a_full_file_is_kept_as_it_is():
    assert calibration.check(copy.deepcopy(FULL)) == FULL


@pytest.mark.parametrize("empty", [{}, {"dark": None, "response": None, "resolution_cm1": None}])
def test_what_is_not_known_may_be_null_or_left_out_and_does_not_travel(empty):
    checked = calibration.check({**GOOD, "linearity": [], "hot_pixels": [], **empty})
    assert checked["dark"] is None
    assert checked["response"] is None
    known = {name: value for name, value in GOOD.items() if name != "excitation_pm"}
    assert measurement.carried(checked) == known


def test_what_travels_passes_the_check_of_the_wire():
    from fieldassay_wire import messages

    rule = messages.MEASUREMENT["calibration"]
    for given in (FULL, GOOD):
        rule.check("calibration", measurement.carried(calibration.check(copy.deepcopy(given))))


@pytest.mark.parametrize(("document", "code"), WRONG)
def test_what_is_wrong_is_said(document, code):
    with pytest.raises(UnitError) as caught:
        calibration.check(document)
    assert caught.value.code == code
    assert caught.value.what
    assert "calibrate" in caught.value.do_next


def test_a_hot_pixel_must_be_on_the_detector(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(FULL))
    assert calibration.load(str(tmp_path / "c.json"), 2048)["hot_pixels"] == [3, 77, 2047]
    with pytest.raises(UnitError, match="2047"):
        calibration.load(str(tmp_path / "c.json"), 2047)
    with pytest.raises(UnitError) as caught:
        calibration.load(str(tmp_path / "none.json"), 2048)
    assert caught.value.code == "calibration_missing"


@pytest.mark.needs("micropython")
def test_the_unit_decides_the_same(micropython, tmp_path):
    documents = [FULL, GOOD, *(document for document, _ in WRONG)]
    expected = ["ok", "ok", *(code for _, code in WRONG)]
    for i, document in enumerate(documents):
        (tmp_path / f"{i}.json").write_text(json.dumps(document))
    script = f"""
import calibration
from faults import UnitError
for i in range({len(documents)}):
    try:
        calibration.load("{tmp_path}/" + str(i) + ".json", 2048); print("ok")
    except UnitError as error:
        print(error.code)
"""
    assert micropython(script).stdout.split() == expected


CUTS = Path(__file__).with_name("calibration_cuts.py")


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("progsize", [32, 256])
def test_a_cut_at_every_flash_operation_leaves_the_old_or_the_new(
    micropython, progsize, record_property
):
    done = micropython(CUTS, progsize, heap="2M")
    points = {}
    for line in done.stdout.splitlines():
        name, _, tried, new = line.split()
        points[name] = int(tried)
        assert int(new) >= 4, line  # each mode ends with the new one
    assert points.keys() == {"first", "replaced", "left_over"}
    assert min(points.values()) >= 12, points
    record_property("cut_points", sum(points.values()))


@pytest.mark.needs("micropython")
def test_removing_the_old_file_first_is_noticed(micropython, tmp_path):
    source = (fixture.DEVICE / "whole_file.py").read_text()
    rename = "    os.rename(beside, path)\n"
    assert source.count(rename) == 1
    wrong = "    if path[path.rfind('/') + 1 :] in os.listdir('/cut'):\n        os.remove(path)\n"
    (tmp_path / "whole_file.py").write_text(source.replace(rename, wrong + rename))
    done = micropython(CUTS, 256, heap="2M", path=[tmp_path, fixture.DEVICE], check=False)
    assert done.returncode != 0
    assert "cut before" in done.stdout + done.stderr
