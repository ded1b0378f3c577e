"""The fixture itself: heap limit, path, arguments, and that a failing script fails the test."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.needs("micropython")


def test_runs_with_path_arguments_and_input(micropython, tmp_path):
    (tmp_path / "given.py").write_text("X = 7\n")
    done = micropython(
        "import sys, given\n"
        "print(sys.implementation.name, given.X, sys.argv[1:], sys.stdin.readline().strip())\n",
        "a",
        3,
        path=[tmp_path],
        stdin="hello\n",
    )
    assert done.stdout.split("\n")[0] == "micropython 7 ['a', '3'] hello"


def test_runs_a_file(micropython, tmp_path):
    script = tmp_path / "s.py"
    script.write_text("print('from a file')")
    assert micropython(script).stdout == "from a file\n"


def test_heap_is_limited(micropython):
    done = micropython("bytearray(400_000)", heap="256K", check=False)
    assert done.returncode != 0
    assert "MemoryError" in done.stderr + done.stdout
    assert micropython("bytearray(400_000)", heap="1M").returncode == 0


def test_a_failing_script_fails_the_test(micropython):
    with pytest.raises(pytest.fail.Exception, match="boom"):
        micropython("raise ValueError('boom')")
