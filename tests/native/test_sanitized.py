"""The C test program under AddressSanitizer and UndefinedBehaviorSanitizer, with both compilers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
SANITIZERS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def build(compiler: str, root: Path, out: Path, *flags: str) -> Path:
    program = out / "test_fa_match"
    sources = [root / "native" / "fa_match.c", root / "native" / "tests" / "test_fa_match.c"]
    command = [compiler, *WARNINGS, *flags, f"-I{root / 'native'}", *map(str, sources)]
    done = subprocess.run(
        [*command, "-lm", "-o", str(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize(
    "compiler",
    [
        pytest.param("gcc", marks=pytest.mark.needs("gcc")),
        pytest.param("clang", marks=pytest.mark.needs("clang")),
    ],
)
@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_c_program_is_clean_under_sanitizers(
    compiler: str, level: str, root: Path, tmp_path: Path, tool: object
) -> None:
    program = build(tool(compiler), root, tmp_path, level, *SANITIZERS)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 failures\n", "")


@pytest.mark.needs("gcc")
def test_the_program_can_fail(root: Path, tmp_path: Path, tool: object) -> None:
    """A kernel that reads one column too far is caught; the check is not blind."""
    broken = tmp_path / "native"
    (broken / "tests").mkdir(parents=True)
    for name in ("fa_match.h", "tests/test_fa_match.c"):
        (broken / name).write_text((root / "native" / name).read_text())
    source = (root / "native" / "fa_match.c").read_text()
    wrong = source.replace("for (; i + FA_LANES <= n;", "for (; i + FA_LANES <= n + 8;")
    assert wrong != source
    (broken / "fa_match.c").write_text(wrong)
    program = build(tool("gcc"), tmp_path, tmp_path, "-O1", *SANITIZERS)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr
