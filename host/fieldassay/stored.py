"""What the evidence store takes and gives, as types. Plain data; `store` fills it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol


class StorableFrame(Protocol):
    """The facts of a frame that the store indexes; `frame.Frame` has them."""

    @property
    def record_id(self) -> str:
        """Unit, boot and seq joined by hyphens."""

    @property
    def unit(self) -> str:
        """Name of the unit."""

    @property
    def boot(self) -> int:
        """How often the unit had started."""

    @property
    def seq(self) -> int:
        """Number of the measurement in that boot."""

    @property
    def time_ms(self) -> int:
        """UTC by the clock of the unit, milliseconds since 1970; 0 is unknown."""

    @property
    def clock(self) -> str:
        """How good that clock was."""

    @property
    def flags(self) -> Sequence[str]:
        """Flags of the measurement."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer to `add_measurement`; "conflict" means that nothing was stored."""

    record_id: str
    status: Literal["stored", "known", "conflict"]


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """One line of the list; `number` orders records as they arrived and is the paging cursor.

    `verdict` is the newest one, None while there is none; its form is that of `answers.body`.
    """

    number: int
    record_id: str
    unit: str
    boot: int
    seq: int
    sha256: str
    size_bytes: int
    received_ms: int
    taken_ms: int
    clock: str
    flags: tuple[str, ...]
    verdict: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Record:
    """Everything stored about one measurement; verdicts oldest first, each with `created_ms`."""

    summary: RecordSummary
    sealed: bytes
    verdicts: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message kept aside; `raw` is cut short (`size_bytes`) only if it was not authentic."""

    number: int
    received_ms: int
    topic: str
    code: str
    what: str
    do_next: str
    authentic: bool
    sha256: str
    size_bytes: int
    raw: bytes


def summary_from(row: Sequence[Any]) -> RecordSummary:
    """The summary from a row with its columns in the order of the fields."""
    values = list(row)
    values[5] = values[5].hex()
    values[10] = tuple(json.loads(values[10]))
    values[11] = None if values[11] is None else json.loads(values[11])
    return RecordSummary(*values)


def quarantined_from(row: Sequence[Any]) -> Quarantined:
    """The entry from a row with its columns in the order of the fields."""
    values = list(row)
    values[6] = bool(values[6])
    values[7] = values[7].hex()
    return Quarantined(*values)
