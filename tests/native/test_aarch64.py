"""The kernel on the processors of the Raspberry Pi 4 and 5, emulated: it answers the same.

The cortex-a72 of the Pi 4 has no dot-product instructions and dies of one; the cortex-a76 of the
Pi 5 has them. qemu says nothing about speed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fieldassay.kernel.search import shifted, top_references
from fieldassay.library import Library

sys.path.insert(0, str(Path(__file__).parent))
from toolchain import compile_all, link, programs, vector_programs

CPUS = ["cortex-a72", "cortex-a76"]
CROSS = "aarch64-linux-gnu-gcc"
TOLERANCE = 1e-12  # of a score, between processors; native/README.md states it
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.needs(CROSS, "qemu-aarch64")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, tool: object) -> list[Path]:
    """The kernel's objects for aarch64."""
    return compile_all(tool(CROSS), ROOT, tmp_path_factory.mktemp("aarch64"), ["-O3"])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, tool: object) -> list[Path]:
    """The kernel's objects for this machine."""
    return compile_all(tool("gcc"), ROOT, tmp_path_factory.mktemp("here"), ["-O3"])


def emulate(tool: object, cpu: str, *command: object) -> subprocess.CompletedProcess:
    words = [tool("qemu-aarch64"), "-cpu", cpu, *map(str, command)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def cross(tool: object, kernel: list[Path], source: Path, out: Path) -> Path:
    return link(tool(CROSS), kernel, ROOT, source, out, "-O2", "-static")


@pytest.mark.parametrize("cpu", CPUS)
def test_c_programs_pass(cpu: str, kernel: list[Path], tmp_path: Path, tool: object) -> None:
    for name in programs(ROOT):
        program = cross(tool, kernel, ROOT / "native" / "tests" / f"{name}.c", tmp_path)
        done = emulate(tool, cpu, program)
        assert (name, done.returncode, done.stdout) == (name, 0, "0 failures\n"), done.stderr


def answers(text: str) -> tuple[list[list[str]], np.ndarray]:
    """Lines of words and integers, which must be equal, and the hexadecimal floats in them."""
    words = [line.split() for line in text.splitlines()]
    exact = [[w for w in line if not is_float(w)] for line in words]
    return exact, np.array([float.fromhex(w) for line in words for w in line if is_float(w)])


def is_float(word: str) -> bool:
    return "0x" in word or word.strip("-") in ("inf", "nan")


def assert_same(here: str, there: str, tolerance: float = TOLERANCE) -> None:
    exact, floats = answers(here)
    other_exact, other_floats = answers(there)
    assert exact
    assert other_exact == exact
    np.testing.assert_allclose(other_floats, floats, rtol=tolerance, atol=tolerance)


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", vector_programs(ROOT))
def test_answers_are_those_of_this_machine(
    name: str, cpu: str, kernel: list[Path], here: list[Path], tmp_path: Path, tool: object
) -> None:
    source = ROOT / "native" / "tests" / f"{name}.c"
    (tmp_path / "here").mkdir()
    program = link(tool("gcc"), here, ROOT, source, tmp_path / "here", "-O2")
    expected = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    done = emulate(tool, cpu, cross(tool, kernel, source, tmp_path))
    assert done.returncode == 0, done.stderr
    assert_same(expected, done.stdout)
    assert done.stdout == expected  # stricter than what is promised: bit for bit
    if name == "vectors_fa_search":
        way = {"cortex-a72": "neon", "cortex-a76": "sdot"}[cpu]
        assert done.stderr == f"path {way}\n"


@pytest.mark.parametrize("cpu", CPUS)
def test_a_real_search_is_replayed(
    cpu: str, kernel: list[Path], library_path: Path, tmp_path: Path, tool: object
) -> None:
    """The Python binding here, the same library and spectra there: every reference as a sample."""
    library = Library.open(library_path)
    program = cross(tool, kernel, ROOT / "native" / "tests" / "replay.c", tmp_path)
    rows, columns = library.matrix.shape
    stride = library.matrix.strides[0] // 4
    random = np.random.default_rng(3)
    shifts = np.arange(-4.0, 4.5, 2.0)
    window, min_columns, k = (30, columns - 30), 100, 20
    padded = np.zeros((rows, stride), np.float32)
    padded[:, :columns] = library.matrix
    compared = 0
    for row in range(0, rows, 8):
        values = library.matrix[row] + random.normal(0, 0.01, columns)
        queries, penalty = shifted(values, shifts), 1e-4 * shifts**2
        sizes = [rows, columns, stride, shifts.size, *window, min_columns, k]
        arrays = (np.array(sizes, "<u8"), padded, library.valid, queries, penalty)
        case = tmp_path / "case"
        case.write_bytes(b"".join(array.tobytes() for array in arrays))
        hits = top_references(library, queries, penalty, window, min_columns, k)
        done = emulate(tool, cpu, program, case)
        assert done.returncode == 0, done.stderr
        assert_same(
            "".join(f"hit {h.row} {h.variant} {h.score.hex()}\n" for h in hits), done.stdout
        )
        compared += len(hits)
    assert compared == 20 * len(range(0, rows, 8))


def test_the_comparison_can_fail() -> None:
    here = "hit 1 0 0x1p-1\n"
    assert_same(here, here)
    for there in ("hit 2 0 0x1p-1\n", "hit 1 0 0x1.00001p-1\n", "hit 1 0 nan\n", ""):
        with pytest.raises(AssertionError):
            assert_same(here, there)


PLANTED = """
int main(void)
{
    __asm__ volatile(".arch armv8.2-a+dotprod\\n sdot v0.4s, v1.16b, v2.16b" ::: "v0");
    return 0;
}
"""


def test_a_dot_product_kills_the_older_processor(tmp_path: Path, tool: object) -> None:
    """What the tests above would see if the kernel took the Pi 5's way on a Pi 4."""
    source = tmp_path / "planted.c"
    source.write_text(PLANTED)
    program = link(tool(CROSS), [], ROOT, source, tmp_path, "-static")
    assert emulate(tool, "cortex-a76", program).returncode == 0
    dead = emulate(tool, "cortex-a72", program)
    assert dead.returncode != 0
    assert "llegal instruction" in dead.stderr
