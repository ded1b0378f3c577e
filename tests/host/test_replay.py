"""Comparison of stored and repeated verdicts."""

from __future__ import annotations

import copy

import pytest
from fieldassay.replay import differences

BODY = {
    "verdict": "match",
    "substances": [{"id": "a", "share": 1.0, "share_interval": [0.9, 1.0]}],
    "quality": {"snr": 1234.5678, "saturated": False},
    "family": None,
    "created_ms": 5,
    "software": "0.1",
}


def test_the_same_is_the_same_whenever_it_was_made() -> None:
    assert differences(BODY, {**copy.deepcopy(BODY), "created_ms": 9, "software": "0.2"}) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "mixture"), (("substances",), []), (("quality", "saturated"), 0),
        (("quality", "snr"), 1234.5679), (("family",), {"id": "x"}),
    ],
)  # fmt: skip
def test_any_change_is_named(path: tuple[str, ...], value: object) -> None:
    now = copy.deepcopy(BODY)
    place = now
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (line,) = differences(BODY, now)
    assert line.startswith(".".join(path))


def test_tolerance_is_for_numbers_only() -> None:
    now = copy.deepcopy(BODY)
    now["quality"]["snr"] += 0.01
    now["substances"][0]["share"] -= 1e-4
    assert differences(BODY, now, tolerance=2e-4) == []
    assert len(differences(BODY, now)) == 2
    now["verdict"] = "Match"
    assert differences(BODY, now, tolerance=2e-4) == ["verdict: 'match' stored, 'Match' now"]


def test_missing_and_new_keys_are_named() -> None:
    now = copy.deepcopy(BODY)
    del now["family"]
    now["more"] = 1
    assert differences(BODY, now) == ["family: only stored", "more: only now"]
