"""libFuzzer on every entry point of the kernel: a fixed number of inputs, under the sanitizers.

`make fuzz` runs the same targets for longer and keeps what they found out.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toolchain import FUZZER, compile_all, entry_points, fuzz_targets, link

RUNS = 20_000
FEWER = {"fuzz_fa_search": 1_000}  # building planes takes long
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, tool: object) -> list[Path]:
    """The kernel's objects with coverage and sanitizers."""
    return compile_all(tool("clang"), ROOT, tmp_path_factory.mktemp("fuzz"), FUZZER)


def fuzz(
    clang: str, root: Path, name: str, out: Path, objects: list[Path]
) -> subprocess.CompletedProcess:
    source = root / "native" / "fuzz" / f"{name}.c"
    program = link(clang, objects, root, source, out, *FUZZER)
    return subprocess.run(
        [program, f"-runs={FEWER.get(name, RUNS)}", "-seed=1", "-max_len=400", "-timeout=60"],
        cwd=out, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.needs("clang")
@pytest.mark.parametrize("name", fuzz_targets(ROOT))
def test_no_input_breaks_a_promise(
    name: str, kernel: list[Path], tmp_path: Path, tool: object
) -> None:
    done = fuzz(tool("clang"), ROOT, name, tmp_path, kernel)
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"Done {FEWER.get(name, RUNS)} runs" in done.stderr


def test_every_entry_point_is_fuzzed(root: Path) -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in (root / "native" / "fuzz").glob("*.c"))
    assert [name for name in entry_points(root) if f"{name}(" not in text] == []


PLANTED = {
    "trusts the caller with the matrix": (
        "if (!fa_fits(matrix_length, rows, columns, stride) ||",
        "if (!fa_fits(matrix_length, rows / 2, columns, stride) ||",
    ),
    "believes any window": (
        "lo >= hi || hi > columns || k == 0",
        "lo >= hi || k == 0",
    ),
    "forgets the order of equals": (
        "while (at > 0 && hit.score > hits[at - 1].score)",
        "while (at > 0 && hit.score >= hits[at - 1].score)",
    ),
}


@pytest.mark.needs("clang")
@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_found(
    fault: str, kernel: list[Path], root: Path, tmp_path: Path, tool: object
) -> None:
    """The same number of inputs finds each of these: the fuzzing is not blind."""
    source = tmp_path / "fa_match.c"
    right, wrong = PLANTED[fault]
    text = (root / "native" / "fa_match.c").read_text(encoding="utf-8")
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong))
    broken = compile_all(tool("clang"), root, tmp_path / "out", FUZZER, [source])
    others = [o for o in kernel if o.stem != "fa_match"]
    done = fuzz(tool("clang"), root, "fuzz_fa_match", tmp_path / "out", [*broken, *others])
    assert done.returncode != 0, done.stderr[-2000:]
