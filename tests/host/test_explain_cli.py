"""`fieldassay explain`: the same verdict as `identify`, drawn on a terminal and as a picture."""

from __future__ import annotations

import argparse
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from fieldassay import terminal_plot
from fieldassay.commands import explain, identify
from fieldassay.errors import SetupError


@pytest.fixture
def urea(sources_dir: Path) -> Path:
    return next(p for p in sources_dir.glob("*.csv") if p.stem.lower() == "urea")


def run(command: object, *words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return int(command.run(parser.parse_args([str(word) for word in words])))


def test_it_says_what_identify_says(
    urea: Path, library_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(identify, urea, "--json", "--library", library_path)
    stated = json.loads(capsys.readouterr().out)
    assert run(explain, urea, "--library", library_path, "--width", "90") == 0
    text = capsys.readouterr().out
    assert stated["substances"][0]["name"] in text
    for reason in stated["reasons"]:
        assert reason["text"] in text
    for name, value in stated["quality"].items():
        assert any(line.split() == [name, *str(value).split()] for line in text.splitlines()), name
    assert stated["library"] in text
    assert max(map(len, text.splitlines()[-40:])) <= 100
    strongest = next(line for line in text.splitlines() if " 100 " in line and "cm-1" in line)
    assert abs(float(strongest.split()[0]) - 1010.0) < 8.0  # the C-N stretch of urea


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_pictures_are_whole_and_repeatable(
    urea: Path, library_path: Path, tmp_path: Path, form: str
) -> None:
    made = []
    for name in ("a", "b"):
        target = tmp_path / f"{name}.{form}"
        run(explain, urea, "--library", library_path, "--output", target)
        made.append(target.read_bytes())
    assert made[0] == made[1]
    magic = {"png": b"\x89PNG\r\n", "svg": b"<?xml", "pdf": b"%PDF-"}[form]
    assert made[0].startswith(magic)
    if form == "svg":
        words = "".join(ElementTree.fromstring(made[0]).itertext())
        assert "MATCH: Urea" in words
        assert "unexplained" in words
        assert "Do next" in words


def test_another_ending_is_refused_before_any_work(urea: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        run(explain, urea, "--library", tmp_path / "none", "--output", tmp_path / "x.bmp")
    assert caught.value.code == "picture_form_unknown"


@pytest.mark.parametrize("braille", [True, False])
def test_a_narrow_band_is_never_lost_on_the_terminal(braille: bool) -> None:
    x = np.arange(2000.0)
    for place in (0, 3, 777, 1999):
        y = np.zeros(2000)
        y[place] = 1.0
        lines = terminal_plot.curve(x, y, (0.0, 1.0), width=80, height=4, braille=braille)
        drawn = lines[0][terminal_plot.LABEL :]
        column = int(place / 1999 * (80 - terminal_plot.LABEL))
        at = [i for i, c in enumerate(drawn) if c != " "]
        assert at, place
        assert abs(at[0] - column) <= 1


def test_gaps_stay_empty() -> None:
    x = np.arange(100.0)
    y = np.where(x < 50, 0.5, np.nan)
    for line in terminal_plot.curve(x, y, (0.0, 1.0), width=60, height=3)[:-1]:
        assert len(line) <= terminal_plot.LABEL + 25
