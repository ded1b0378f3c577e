"""How good the identification is: the accuracy table, from spectra with a known truth.

Owns the registry of experiments and running them. An experiment is one file in `experiments` and
one line here; it sees the engine only through the public answers (`bench`), so it measures what
users get. Everything is deterministic: seeds are fixed and stated.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fieldassay.errors import SetupError
from fieldassay.evaluate.experiments import (
    axis,
    carbohydrates,
    covers,
    families,
    lasers,
    library,
    makers,
    mixtures,
    noise,
    spots,
    unknown,
)
from fieldassay.evaluate.plots import PICTURES
from fieldassay.evaluate.setting import Setting
from fieldassay.evaluate.table import Outcome

SCHEMA = 1
EXPERIMENTS: Mapping[str, Callable[[Setting], Outcome]] = MappingProxyType(
    {
        library.NAME: library.run,
        unknown.NAME: unknown.run,
        lasers.NAME: lasers.run,
        makers.NAME: makers.run,
        axis.NAME: axis.run,
        mixtures.NAME: mixtures.run,
        carbohydrates.NAME: carbohydrates.run,
        families.NAME: families.run,
        noise.NAME: noise.run,
        covers.NAME: covers.run,
        spots.NAME: spots.run,
    }
)


def choose(only: Sequence[str]) -> list[str]:
    """The experiments to run, in the order of the registry; all of them if `only` is empty.

    Raises:
        SetupError: `experiment_unknown`.
    """
    if strange := [name for name in only if name not in EXPERIMENTS]:
        raise SetupError(
            "experiment_unknown",
            f"There is no experiment {strange[0]!r}.",
            f"Choose from {', '.join(EXPERIMENTS)}.",
        )
    return [name for name in EXPERIMENTS if not only or name in only]


def evaluate(setting: Setting, only: Sequence[str] = ()) -> dict[str, Any]:
    """Run experiments; the document that evaluate.json holds and the page is made from.

    Raises:
        SetupError: `experiment_unknown`.
    """
    outcomes = {name: EXPERIMENTS[name](setting) for name in choose(only)}
    about = {name: inspect.getdoc(sys.modules[EXPERIMENTS[name].__module__]) for name in outcomes}
    probe = setting.ask(setting.samples[:1], "what is measured")
    return {
        "schema": SCHEMA,
        "quick": setting.quick,
        "library": setting.library.hash,
        "algorithm": next((a["algorithm"] for a in probe if "algorithm" in a), ""),
        "experiments": about,
        "pictures": {
            picture: name
            for name, outcome in outcomes.items()
            for picture, (needed, _, _) in PICTURES.items()
            if outcome.figures.get(needed[0])
        },
        "rows": [row.as_dict() for outcome in outcomes.values() for row in outcome.rows],
        "figures": {k: v for outcome in outcomes.values() for k, v in outcome.figures.items()},
        "details": {name: list(outcome.details) for name, outcome in outcomes.items()},
    }
