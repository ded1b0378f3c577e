"""Runs the firmware's PIO programs: assembled on MicroPython, executed in rp2040-pio-emulator.

Owns the way from @asm_pio source to pin edges with their times. Knows no sensor.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pioemu import ShiftRegister, State, emulate

DEVICE = Path(__file__).resolve().parents[2] / "device"
FAKES = Path(__file__).with_name("fakes")
LONGEST_TICKS = 1_000_000  # a program that never comes where a test waits for it ends here


@dataclass(frozen=True)
class Edge:
    """A pin that changed, when, and to what."""

    ns: float
    pin: str
    level: int


class Program:
    """One assembled program; pins are those of side-set first, then of set, in program order."""

    def __init__(self, data: dict[str, Any], pins: tuple[str, ...]) -> None:
        self.words: list[int] = data["words"]
        self.wrap_target: int = data["wrap_target"]
        self.wrap: int = data["wrap"]
        self.side_count: int = data["side_count"]
        self.set_count: int = data["set_count"]
        self.pins = pins
        levels = [
            *_several(data["options"].get("sideset_init")),
            *_several(data["options"].get("set_init")),
        ]
        self.first_levels = sum((level & 1) << i for i, level in enumerate(levels))

    def changed(self, at: int, word: int) -> Program:
        """The program with another instruction word: a planted defect."""
        other = object.__new__(Program)
        other.__dict__.update(self.__dict__)
        other.words = [*self.words[:at], word, *self.words[at + 1 :]]
        return other

    def start(self, y: int = 0) -> State:
        """The state after `init`, with register y as given."""
        return State(pin_values=self.first_levels, pin_directions=0xFFFFFFFF, y_register=y)

    def steps(self, state: State, stop_when: Callable[[int, State], bool]) -> Iterator[State]:
        """States after each instruction; the caller feeds FIFOs by `give`."""
        for _, after in emulate(
            self.words,
            initial_state=state,
            stop_when=lambda word, s: s.clock > LONGEST_TICKS or stop_when(word, s),
            side_set_base=0,
            side_set_count=self.side_count,
            set_base=self.side_count,
            set_count=self.set_count,
            wrap_target=self.wrap_target,
            wrap_top=self.wrap,
        ):
            yield after


def _several(option: Any) -> tuple[int, ...]:
    return () if option is None else (option,) if isinstance(option, int) else tuple(option)


def give(state: State, words: list[int]) -> State:
    """The state with words in the transmit FIFO, as `put` leaves it; at most four fit."""
    fifo = deque([*state.transmit_fifo, *words])
    assert len(fifo) <= 4, "put() would wait here"
    return replace(state, transmit_fifo=fifo)


def restarted(state: State) -> State:
    """As StateMachine.restart(): to the first instruction; FIFOs, x, y and pins stay."""
    return replace(
        state,
        program_counter=0,
        input_shift_register=ShiftRegister(0, 0),
        output_shift_register=ShiftRegister(0, 32),
    )


def edges(program: Program, states: Iterator[State], tick_ns: float, before: State) -> list[Edge]:
    """Every change of a pin. An instruction's effect comes with its first tick."""
    found = []
    for state in states:
        # State.clock is after the instruction with its delay; its pins changed at the start.
        for i, pin in enumerate(program.pins):
            if (state.pin_values ^ before.pin_values) >> i & 1:
                found.append(Edge(before.clock * tick_ns, pin, state.pin_values >> i & 1))
        before = state
    return found


def assemble(micropython: Any, module: str, name: str, pins: tuple[str, ...]) -> Program:
    """The program `name` of the firmware module, assembled by MicroPython from its source."""
    done = micropython(
        f"import json, {module} as m\nprint(json.dumps(m.{name}.data()))\n", path=(FAKES, DEVICE)
    )
    return Program(json.loads(done.stdout), pins)
