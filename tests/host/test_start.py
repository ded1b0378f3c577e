"""What a command imports: on a small computer each package costs a second and megabytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fieldassay import cli

NUMERICS = {"numpy", "scipy"}
WEB = {"fastapi", "uvicorn", "pydantic", "jinja2"}


def loaded(program: str, home: Path) -> set[str]:
    """The top names and scipy's subpackages that are imported after this program."""
    code = f"import sys\ntry:\n    {program}\nexcept SystemExit:\n    pass\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print('loaded', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "FIELDASSAY_HOME": str(home)},
    )
    names = done.stdout.splitlines()[-1].split()[1:]
    return {name for name in names if "." not in name or name.startswith("scipy.")}


@pytest.mark.parametrize(
    "line", ["--version", "-h", "unit list", "record list", "host -h", "run -h"]
)
def test_what_does_not_compute_imports_no_numerics(line: str, home: Path) -> None:
    found = loaded(f"from fieldassay import cli; cli.main({line.split()!r})", home)
    assert "argparse" in found  # it was really looked at
    assert not found & (NUMERICS | WEB)


def test_identification_imports_no_more_than_it_uses(home: Path) -> None:
    found = loaded("import fieldassay.commands.identify", home)
    assert "numpy" in found
    assert not found & (WEB | {"matplotlib"})
    assert not any(name.startswith("scipy") for name in found)


def test_a_host_imports_no_more_than_it_uses(home: Path) -> None:
    found = loaded("import fieldassay.service", home)
    assert found >= {"fastapi", "numpy"}
    assert not found & {"scipy.optimize", "scipy.interpolate", "scipy.signal", "scipy.stats"}


def test_the_parser_of_one_command_is_that_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    for name in cli.COMMANDS:
        shown = []
        for only in (None, name):
            with pytest.raises(SystemExit):
                cli.build_parser(only).parse_args([name, "--help"])
            shown.append(capsys.readouterr().out)
        assert shown[0] == shown[1] and f"fieldassay {name}" in shown[0]


@pytest.mark.parametrize("words", [[], ["nonsense"], ["--nonsense", "identify"], [""]])
def test_wrong_use_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    assert "usage: fieldassay" in capsys.readouterr().err
