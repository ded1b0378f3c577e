"""The C kernel compiles as plain C11 wherever it may have to, and FA_PORTABLE means portable."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toolchain import compile_all

COMPILERS = [pytest.param(c, marks=pytest.mark.needs(c)) for c in ("gcc", "clang")]
# Registers and instructions that the oldest x86-64 does not have.
WIDE = re.compile(r"%[yz]mm\d|\bv[a-z0-9]+\s+.*%xmm|\bp(maddubsw|abs[bwd]|shufb)\b")


def disassembly(objects: list[Path], tool: object) -> str:
    done = subprocess.run(
        [tool("objdump"), "-d", *objects], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("flags", [(), ("-DFA_PORTABLE",)], ids=["as built", "FA_PORTABLE"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_is_strict_c11(
    compiler: str, flags: tuple[str, ...], root: Path, tmp_path: Path, tool: object
) -> None:
    """No GNU dialect and no processor named on the command line; pedantic adds what C11 forbids."""
    objects = compile_all(tool(compiler), root, tmp_path, ["-O2", "-Wpedantic", *flags])
    assert objects


@pytest.mark.needs("objdump")
@pytest.mark.parametrize("compiler", COMPILERS)
def test_fa_portable_switches_every_special_path_off(
    compiler: str, root: Path, tmp_path: Path, tool: object
) -> None:
    if "x86-64" not in disassembly(
        compile_all(tool(compiler), root, tmp_path, ["-O3", "-DFA_PORTABLE"]), tool
    ):
        return  # the registers looked for are those of x86-64
    text = disassembly(sorted(tmp_path.glob("*.o")), tool)
    assert WIDE.findall(text) == []
    # The look-out sees what it looks for: the same sources for a newer processor.
    newer = ["-O3", "-DFA_PORTABLE", "-mavx2"]
    assert WIDE.search(
        disassembly(compile_all(tool(compiler), root, tmp_path / "new", newer), tool)
    )
