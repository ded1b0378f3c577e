"""The same action on many boards at once, a thread each; a failure stops no other board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from fieldassay.bench.ports import ports
from fieldassay.bench.repl import Repl
from fieldassay.errors import BenchError, FieldassayError

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[_T]):
    """What came of one board: a value, or the error that ended it."""

    port: str
    value: _T | None
    error: FieldassayError | None


def on_each(port_names: Sequence[str], action: Callable[[Repl], _T]) -> list[Outcome[_T]]:
    """Open each port and run the action on it, all at once; outcomes in the order given."""

    def one(port: str) -> Outcome[_T]:
        try:
            with Repl(port) as repl:
                return Outcome(port, action(repl), None)
        except FieldassayError as error:
            return Outcome(port, None, error)

    with ThreadPoolExecutor(max_workers=max(1, len(port_names))) as pool:
        return list(pool.map(one, port_names))


def chosen(given: Sequence[str] | None, *, every: bool) -> list[str]:
    """The ports a command shall work on: those given, or the one unit there is, or all.

    Raises:
        BenchError: `port_missing`, `port_ambiguous`.
    """
    if given:
        return list(dict.fromkeys(given))
    likely = [port.path for port in ports() if port.likely]
    if not likely:
        raise BenchError(
            "port_missing",
            "No unit is plugged into this computer.",
            "Plug it in with a cable that carries data, or name its port with --port.",
        )
    if len(likely) > 1 and not every:
        raise BenchError(
            "port_ambiguous",
            f"{len(likely)} units are plugged in: {', '.join(likely)}.",
            "Name one with --port, or take them all with --all.",
        )
    return likely
