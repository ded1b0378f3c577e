"""Mutants of the laser's guards: each comparison, condition, boolean word and figure, changed once.

`survivors` runs the plain tests of the laser on every mutant, in this process, and names those that
no test noticed. Run as a program it prints the counts.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
DEVICE = HERE.parents[1] / "device"
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
LIMITS = ("_MS", "_UW", "_PERMILLE", "STRIKES", "_READS")
ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
}


def beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mutants(source: str) -> Iterator[tuple[str, ast.Module]]:
    """Each mutant with the place and the change that names it."""
    total = len(list(_changes(ast.parse(source))))
    for number in range(total):
        tree = ast.parse(source)
        text, apply = next(itertools.islice(_changes(tree), number, None))
        apply()
        yield text, ast.fix_missing_locations(tree)


def _changes(tree: ast.Module) -> Iterator[tuple[str, Callable[[], None]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for at, op in enumerate(node.ops):
                new = SWAPS[type(op)]()
                yield (
                    _name(node, type(new).__name__, at),
                    lambda n=node, a=at, o=new: _put(n.ops, a, o),
                )
            for part in ast.walk(node):
                yield from _figures(part)
        elif isinstance(node, ast.BoolOp):
            new = SWAPS[type(node.op)]()
            yield _name(node, type(new).__name__), lambda n=node, o=new: setattr(n, "op", o)
        if isinstance(node, ast.If | ast.IfExp):
            for value in (True, False):
                new = ast.Constant(value)
                yield _name(node.test, str(value)), lambda n=node, o=new: setattr(n, "test", o)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield _name(node, "no not"), lambda n=node: setattr(n, "op", ast.UAdd())


# The whole numbers, limits and arithmetic in a comparison: one more, one less, the other sign.
def _figures(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        new = ARITHMETIC[type(node.op)]()
        yield _name(node, type(new).__name__), lambda: setattr(node, "op", new)
    whole = isinstance(node, ast.Constant) and type(node.value) is int
    if whole or (isinstance(node, ast.Name) and node.id.endswith(LIMITS)):
        assert isinstance(node, ast.Constant | ast.Name)
        for by in (-1, 1):
            other = f"({ast.unparse(node)} + {by})"
            yield _name(node, other), lambda o=other: _become(node, o)


def _become(node: ast.AST, text: str) -> None:
    """Change a leaf in place, whoever refers to it."""
    new = ast.parse(text, mode="eval").body
    node.__class__ = type(new)  # type: ignore[assignment]
    node.__dict__.clear()
    node.__dict__.update(new.__dict__)


def _put(places: list[Any], at: int, value: Any) -> None:
    places[at] = value


def _name(node: ast.expr, change: str, at: int = 0) -> str:
    return f"{node.lineno}: {ast.unparse(node)} -> {change}" + (f" [{at}]" if at else "")


def _module(name: str, code: Any) -> ModuleType:
    module = ModuleType(name)
    exec(code, module.__dict__)
    return module


@contextlib.contextmanager
def _as_modules(**modules: ModuleType) -> Iterator[None]:
    kept = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


class Battery:
    """The plain tests of the laser, run on any `interlock` and `laser`."""

    def __init__(self) -> None:
        self.fixture = beside("firmware_fixture")
        self.plain = {
            n: self.fixture.device_module(n) for n in ("interlock", "laser", "buttons", "faults")
        }
        self.lock_tests = beside("test_interlock")
        self.laser_tests = beside("test_laser")
        self.both = (self.lock_tests, self.laser_tests)
        self.hardware = beside("laser_hardware")

    def notices(self, name: str, tree: ast.Module) -> bool:
        """Whether a test fails with this tree in place of module `name`."""
        parts = dict(self.plain)
        try:
            if name == "laser":
                parts["laser"] = _module("laser", compile(tree, "laser.py", "exec"))
            else:
                parts["interlock"] = lock = _module(
                    "interlock", compile(tree, "interlock.py", "exec")
                )
                with _as_modules(interlock=lock):
                    source = (DEVICE / "laser.py").read_text("utf-8")
                    parts["laser"] = _module("laser", compile(source, "laser.py", "exec"))
            self._run(parts, (self.laser_tests,) if name == "laser" else self.both)
        except (KeyboardInterrupt, SystemExit, Exception, pytest.fail.Exception):
            return True
        return False

    def _run(self, parts: dict[str, ModuleType], tests: tuple[ModuleType, ...]) -> None:
        self.lock_tests.m = parts["interlock"]
        self.laser_tests.interlock = parts["interlock"]
        self.laser_tests.laser_module = parts["laser"]
        for module in tests:
            for function in list(vars(module).values()):
                if getattr(function, "__name__", "").startswith("test_"):
                    self._call(function, parts)
        mods = [parts[n] for n in ("interlock", "laser", "buttons", "faults")]
        self.hardware.inject_all(*mods, OSError)
        assert self.hardware.storm(*mods, 3, 200)[0] > 0

    def _call(self, function: Any, parts: dict[str, ModuleType]) -> None:
        if hasattr(function, "hypothesis"):
            return
        wanted = list(inspect.signature(function).parameters)
        marks = [m for m in getattr(function, "pytestmark", []) if m.name == "parametrize"]
        sets = [[_pairs(m.args[0], value) for value in m.args[1]] for m in marks]
        given = {name for choice in sets for name in choice[0]}
        if set(wanted) - given - {"board", "laser", "monkeypatch"}:
            return  # needs another interpreter
        for chosen in itertools.product(*sets):
            values: dict[str, Any] = {}
            for pairs in chosen:
                values.update(pairs)
            board = self.fixture.FakeBoard()
            with pytest.MonkeyPatch.context() as patch:
                values |= {"board": board, "monkeypatch": patch}
                if "laser" in wanted:
                    lock = parts["interlock"].Interlock(
                        self.laser_tests.MAX_ON, self.laser_tests.WARN
                    )
                    values["laser"] = parts["laser"].Laser(
                        board, lock, self.laser_tests.MAX_ON, board.ticks_ms
                    )
                    values["laser"].step("boot")
                    values["laser"].step("checks_ok")
                function(**{name: values[name] for name in wanted})


def _pairs(names: Any, value: Any) -> dict[str, Any]:
    names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    return dict(zip(names, value, strict=True)) if len(names) > 1 else {names[0]: value}


def survivors(name: str) -> tuple[int, list[str]]:
    """How many mutants of `device/<name>.py` there are, and those that no test notices."""
    battery = Battery()
    source = (DEVICE / f"{name}.py").read_text("utf-8")
    assert not battery.notices(name, ast.parse(source)), "a test fails without any mutation"
    found = list(mutants(source))
    left = [text for text, tree in found if not battery.notices(name, tree)]
    assert not battery.notices(name, ast.parse(source)), "a mutant changed the tests themselves"
    return len(found), left


if __name__ == "__main__":
    for file in ("interlock", "laser"):
        count, left = survivors(file)
        print(f"{file}.py: {count} mutants, {len(left)} survive")
        for line in left:
            print("  ", line)
