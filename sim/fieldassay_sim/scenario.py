"""Scenario files: TOML into checked, frozen Python. Unknown keys are typed errors.

What a file may say is `scenario_tables`, whether it does is `scenario_checks`. Turning samples into
curves is `bench`, doing the steps is `play`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fieldassay_sim.errors import ScenarioError
from fieldassay_sim.scenario_checks import checked

FOLDER = Path(__file__).with_name("scenarios")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario; the dictionaries hold only keys of TABLES."""

    name: str
    path: Path
    title: str
    about: str
    seed: int
    outside: tuple[str, ...]
    instrument: Mapping[str, Any] = field(default_factory=dict)
    condition: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    samples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fleet: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()


def shipped() -> list[Path]:
    """The scenarios that come with the simulator, sorted."""
    return sorted(FOLDER.glob("*.toml"))


def load(name: str) -> Scenario:
    """A shipped scenario by name, or any file by path.

    Raises:
        ScenarioError: No such file, no TOML, or a key or value the simulator does not know.
    """
    path = FOLDER / f"{name}.toml" if name in {p.stem for p in shipped()} else Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(
            "scenario_missing",
            f"There is no scenario {name!r}.",
            f"Give a path, or one of: {', '.join(p.stem for p in shipped())}.",
        ) from error
    return parse(text, path)


def parse(text: str, path: Path) -> Scenario:
    """A scenario from its text; `path` names it and is where its files are looked for."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(
            "scenario_not_toml", f"{path.name} is not TOML: {error}.", "Correct that line."
        ) from error
    document = checked(document, path.name)
    return Scenario(
        name=path.stem,
        path=path,
        title=document["title"],
        about=document.get("about", ""),
        seed=document.get("seed", 1),
        outside=tuple(document.get("outside", ())),
        instrument=document.get("instrument", {}),
        condition=document.get("condition", {}),
        settings=document.get("settings", {}),
        samples=document.get("samples", {}),
        fleet=document.get("fleet", {}),
        steps=tuple(document.get("steps", ())),
    )
