"""docs/reference/errors.md lists every error code of the host, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fieldassay import errors
from fieldassay_wire.errors import DO_NEXT

CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
OURS = {name for name in vars(errors) if name.endswith("Error")} | {"WebError"}


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _codes_of(argument: ast.expr, module: ast.Module) -> set[str] | None:
    """The codes that this first argument of an error may be; None if that cannot be seen."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return {argument.value}
    if isinstance(argument, ast.IfExp):
        both = [_codes_of(part, module) for part in (argument.body, argument.orelse)]
        return None if None in both else set().union(*both)  # type: ignore[arg-type]
    if isinstance(argument, ast.Attribute) and argument.attr == "code":
        return set()  # passes another error on
    if isinstance(argument, ast.Name):  # from a table of (code, what, do_next) in the module
        return {
            node.elts[0].value
            for node in ast.walk(module)
            if isinstance(node, ast.Tuple)
            and len(node.elts) == 3
            and isinstance(node.elts[0], ast.Constant)
            and isinstance(node.elts[0].value, str)
            and CODE.fullmatch(node.elts[0].value)
        }
    return None


def _calls(module: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and _name(node) in OURS and len(node.args) >= 3:
            yield node


def codes_in(path: Path) -> dict[str, str]:
    """Each code with the place that raises it; fails where a code cannot be seen."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    found: dict[str, str] = {}
    for call in _calls(module):
        argument = call.args[1] if _name(call) == "WebError" else call.args[0]
        place = f"{path.name}:{call.lineno}"
        codes = _codes_of(argument, module)
        assert codes is not None, f"{place}: write the error code as a text or from a table"
        found.update(dict.fromkeys(codes, place))
    return found


def documented(root: Path) -> list[str]:
    text = (root / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([a-z0-9_]+)` \| .+ \| .+ \|$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def used(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted((root / "host" / "fieldassay").rglob("*.py")):
        found.update(codes_in(path))
    return found


def test_every_code_is_documented_once(root: Path, used: dict[str, str]) -> None:
    listed = documented(root)
    assert len(listed) == len(set(listed)), "a code is listed twice"
    missing = {code: place for code, place in used.items() if code not in listed}
    assert not missing, f"add to docs/reference/errors.md: {missing}"
    assert set(DO_NEXT) <= set(listed), f"add: {set(DO_NEXT) - set(listed)}"


def test_no_code_is_documented_that_nothing_raises(root: Path, used: dict[str, str]) -> None:
    stale = set(documented(root)) - set(used) - set(DO_NEXT)
    assert not stale, f"remove from docs/reference/errors.md: {sorted(stale)}"


def test_codes_have_one_form(used: dict[str, str]) -> None:
    assert len(used) > 50
    wrong = {code: place for code, place in used.items() if not CODE.fullmatch(code)}
    assert not wrong


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise SetupError('a_b', what, do)", {"a_b"}),
        ("raise WebError(404, 'c_d', what, do)", {"c_d"}),
        ("raise SetupError('a' if x else 'b', w, d)", {"a", "b"}),
        ("T = {1: ('t_a', 'w', 'd')}\nraise RecordError(code, w, d)", {"t_a"}),
        ("raise FrameError(error.code, w, d)", set()),
    ],
)
def test_the_search_sees_every_way_codes_are_written(
    tmp_path: Path, source: str, expected: set[str]
) -> None:
    path = tmp_path / "m.py"
    path.write_text(source)
    assert set(codes_in(path)) == expected


def test_the_search_refuses_codes_it_cannot_see(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("raise SetupError(make_code(), what, do)")
    with pytest.raises(AssertionError, match=r"m\.py:1"):
        codes_in(path)
