"""The C test programs under AddressSanitizer and UndefinedBehaviorSanitizer, by both compilers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toolchain import SANITIZERS, compile_all, entry_points, link, programs

BUILDS = [
    pytest.param(
        compiler, flags, marks=pytest.mark.needs(compiler), id=f"{compiler}{''.join(flags)}"
    )
    for compiler in ("gcc", "clang")
    for flags in (("-O0",), ("-O3",), ("-O3", "-DFA_PORTABLE"))
]


@pytest.mark.parametrize(("compiler", "flags"), BUILDS)
def test_c_programs_are_clean_under_sanitizers(
    compiler: str, flags: tuple[str, ...], root: Path, tmp_path: Path, tool: object
) -> None:
    flags = (*flags, *SANITIZERS)
    objects = compile_all(tool(compiler), root, tmp_path, flags)
    assert programs(root)
    for name in programs(root):
        source = root / "native" / "tests" / f"{name}.c"
        program = link(tool(compiler), objects, root, source, tmp_path, *flags)
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        assert (name, done.returncode, done.stdout, done.stderr) == (name, 0, "0 failures\n", "")


def test_every_entry_point_has_a_c_test(root: Path) -> None:
    """A function that Python can call is called by a C program too, where sanitizers see it."""
    text = "".join(p.read_text(encoding="utf-8") for p in (root / "native/tests").glob("*.c"))
    assert "fa_top_k" in entry_points(root)
    assert [name for name in entry_points(root) if f"{name}(" not in text] == []


@pytest.mark.needs("gcc")
def test_the_programs_can_fail(root: Path, tmp_path: Path, tool: object) -> None:
    """A kernel that reads one column too far is caught; the check is not blind."""
    shutil.copytree(root / "native", tmp_path / "native")
    source = tmp_path / "native" / "fa_match.c"
    right = source.read_text()
    wrong = right.replace("n = s->end - s->begin;", "n = s->end - s->begin + 8;")
    assert wrong != right
    source.write_text(wrong)
    flags = ("-O1", *SANITIZERS)
    needed = [source, *(tmp_path / "native").glob("fa_loops*.c")]
    objects = compile_all(tool("gcc"), tmp_path, tmp_path / "out", flags, needed)
    test = tmp_path / "native" / "tests" / "test_fa_match.c"
    program = link(tool("gcc"), objects, tmp_path, test, tmp_path / "out", *flags)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr
