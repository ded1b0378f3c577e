"""Where this installation keeps its things, and the only reader of environment variables.

Owns the home folder and the names inside it. What is in the files belongs to `store`, `units` and
`library`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fieldassay.errors import SetupError

DEFAULT_BROKER_PORT = 1883
DEFAULT_PAGE_PORT = 8620
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Home:
    """The home folder of one host and the fixed names inside it."""

    root: Path

    @property
    def library(self) -> Path:
        """The default reference library for 785 nm."""
        return self.root / "libraries" / "raman-785.falib"

    @property
    def evidence(self) -> Path:
        """The evidence store, a SQLite file."""
        return self.root / "evidence.db"

    @property
    def units(self) -> Path:
        """Units and their keys, readable by the owner only."""
        return self.root / "units.json"

    @property
    def authority(self) -> Path:
        """The private certificate authority; its key opens every door."""
        return self.root / "authority"

    @property
    def fitness(self) -> Path:
        """How often units must be checked; need not be there."""
        return self.root / "fitness.toml"

    @property
    def checks(self) -> Path:
        """Reports and certificates of calibrations and performance checks."""
        return self.root / "checks"

    @property
    def runtime(self) -> Path:
        """Generated files of a running host: broker configuration, images of simulated units."""
        return self.root / "run"

    def create(self) -> Home:
        """Make the folder, closed to other users, and return self.

        Raises:
            SetupError: `home_not_writable`.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.runtime.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise SetupError(
                "home_not_writable",
                f"The home folder {self.root} cannot be made: {error.strerror}.",
                "Give a folder you may write to with --home or FIELDASSAY_HOME.",
            ) from error
        return self


def home(override: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Home:
    """The home folder: `override`, else FIELDASSAY_HOME, else the XDG data folder."""
    env = os.environ if environ is None else environ
    if override:
        return Home(Path(override).expanduser().absolute())
    if env.get("FIELDASSAY_HOME"):
        return Home(Path(env["FIELDASSAY_HOME"]).expanduser().absolute())
    data = env.get("XDG_DATA_HOME")
    return Home((Path(data) if data else Path.home() / ".local" / "share") / "fieldassay")


def log_level(default: str, environ: Mapping[str, str] | None = None) -> str:
    """How much is logged: FIELDASSAY_LOG, one of LOG_LEVELS, `default` if unset.

    Raises:
        SetupError: `log_level_unknown`.
    """
    env = os.environ if environ is None else environ
    level = env.get("FIELDASSAY_LOG", default).upper()
    if level not in LOG_LEVELS:
        raise SetupError(
            "log_level_unknown",
            f"FIELDASSAY_LOG is {level!r}.",
            f"Set it to one of {', '.join(LOG_LEVELS)}.",
        )
    return level


def child_environment(home_folder: Home) -> dict[str, str]:
    """The environment for programs we start: ours, with this home folder."""
    return {**os.environ, "FIELDASSAY_HOME": str(home_folder.root), "PYTHONUNBUFFERED": "1"}
