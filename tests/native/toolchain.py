"""Compiling the C kernel and its test programs for tests; knows no test of its own.

Every native/fa_*.c is linked into every program, so a new source or program needs no line here.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-ffp-contract=off"]
SANITIZERS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FUZZER = ["-O2", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]


def sources(root: Path) -> list[Path]:
    """The kernel's own sources."""
    return sorted((root / "native").glob("fa_*.c"))


def programs(root: Path) -> list[str]:
    """Names of the C test programs: each exits 0 and prints "0 failures" when all holds."""
    return sorted(path.stem for path in (root / "native" / "tests").glob("test_fa_*.c"))


def vector_programs(root: Path) -> list[str]:
    """Names of the C programs that print answers for comparison between machines."""
    return sorted(path.stem for path in (root / "native" / "tests").glob("vectors_*.c"))


def fuzz_targets(root: Path) -> list[str]:
    """Names of the libFuzzer targets."""
    return sorted(path.stem for path in (root / "native" / "fuzz").glob("fuzz_*.c"))


def entry_points(root: Path) -> dict[str, str]:
    """Every function that Python can call: its name and the header that declares it."""
    found = {}
    for header in sorted((root / "native").glob("fa_*.h")):
        text = header.read_text(encoding="utf-8")
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        text = re.sub(r"^#ifndef FA_CDEF_SKIP.*?^#endif", "", text, flags=re.DOTALL | re.MULTILINE)
        for name in re.findall(r"^\w[\w \*]*?\b(fa_\w+)\(", text, flags=re.MULTILINE):
            found[name] = header.name
    return found


def run_compiler(*command: object) -> None:
    """Run it; a warning or an error fails the test with the compiler's own words."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"


def compile_all(
    compiler: str, root: Path, out: Path, flags: Iterable[str], files: Iterable[Path] | None = None
) -> list[Path]:
    """Object files of the kernel (or of `files`) in `out`, strictly compiled."""
    out.mkdir(parents=True, exist_ok=True)
    objects = []
    for source in sources(root) if files is None else files:
        target = out / f"{source.stem}.o"
        include = f"-I{root / 'native'}"
        run_compiler(compiler, *STRICT, *flags, include, "-c", source, "-o", target)
        objects.append(target)
    return objects


def link(
    compiler: str, objects: Iterable[Path], root: Path, source: Path, out: Path, *flags: str
) -> Path:
    """The program of one C source and the kernel's objects."""
    program = out / source.stem
    include = f"-I{root / 'native'}"
    run_compiler(compiler, *STRICT, *flags, include, source, *objects, "-lm", "-o", program)
    return program
