"""libFuzzer on every entry point of the kernel: a fixed number of inputs, under the sanitizers.

`make fuzz` runs the same targets for longer and keeps what they found out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toolchain import FUZZER, compile_all, entry_points, fuzz_targets, link

RUNS = 20_000
ROOT = Path(__file__).resolve().parents[2]


def fuzz(
    clang: str, root: Path, name: str, out: Path, files: list[Path] | None = None
) -> subprocess.CompletedProcess:
    objects = compile_all(clang, root, out, FUZZER, files)
    source = root / "native" / "fuzz" / f"{name}.c"
    program = link(clang, objects, root, source, out, *FUZZER)
    return subprocess.run(
        [program, f"-runs={RUNS}", "-seed=1", "-max_len=400", "-timeout=60"],
        cwd=out, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.needs("clang")
@pytest.mark.parametrize("name", fuzz_targets(ROOT))
def test_no_input_breaks_a_promise(name: str, root: Path, tmp_path: Path, tool: object) -> None:
    done = fuzz(tool("clang"), root, name, tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"Done {RUNS} runs" in done.stderr


def test_every_entry_point_is_fuzzed(root: Path) -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in (root / "native" / "fuzz").glob("*.c"))
    assert [name for name in entry_points(root) if f"{name}(" not in text] == []


PLANTED = {
    "reads one row too far": (
        "return stride == 0 || (rows - 1) <= (length - columns) / stride;",
        "return stride == 0 || (rows - 2) <= (length - columns) / stride;",
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
def test_planted_faults_are_found(fault: str, root: Path, tmp_path: Path, tool: object) -> None:
    """The same number of inputs finds each of these: the fuzzing is not blind."""
    shutil.copytree(root / "native", tmp_path / "native")
    native = tmp_path / "native"
    right, wrong = PLANTED[fault]
    places = [native / "fa_match.c", native / "fa_index.h"]
    (place,) = [path for path in places if right in path.read_text()]
    place.write_text(place.read_text().replace(right, wrong))
    needed = [native / "fa_match.c", *native.glob("fa_loops*.c")]
    done = fuzz(tool("clang"), tmp_path, "fuzz_fa_match", tmp_path / "out", needed)
    assert done.returncode != 0, done.stderr[-2000:]
