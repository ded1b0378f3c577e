"""Where a host keeps its things, and that nothing else reads the environment."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from fieldassay import config
from fieldassay.errors import SetupError


@pytest.mark.parametrize(
    ("override", "environ", "expected"),
    [
        (None, {"XDG_DATA_HOME": "/x"}, Path("/x/fieldassay")),
        (None, {}, Path.home() / ".local/share/fieldassay"),
        (None, {"FIELDASSAY_HOME": "/h", "XDG_DATA_HOME": "/x"}, Path("/h")),
        ("/o", {"FIELDASSAY_HOME": "/h"}, Path("/o")),
        (
            None,
            {"FIELDASSAY_HOME": "", "XDG_DATA_HOME": ""},
            Path.home() / ".local/share/fieldassay",
        ),
        ("~/o", {}, Path.home() / "o"),
    ],
)
def test_the_home_folder(override: str | None, environ: dict[str, str], expected: Path) -> None:
    home = config.home(override, environ)
    assert home.root == expected
    inside = (home.library, home.evidence, home.units, home.runtime)
    assert all(path.is_relative_to(expected) for path in inside)


def test_a_new_home_is_closed_to_others(tmp_path: Path) -> None:
    home = config.home(tmp_path / "a" / "b").create()
    assert home.root.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError) as caught:
        config.home(tmp_path / "file" / "home").create()
    assert caught.value.code == "home_not_writable"


def test_log_levels() -> None:
    assert config.log_level("INFO", {}) == "INFO"
    assert config.log_level("INFO", {"FIELDASSAY_LOG": "debug"}) == "DEBUG"
    with pytest.raises(SetupError) as caught:
        config.log_level("INFO", {"FIELDASSAY_LOG": "loud"})
    assert caught.value.code == "log_level_unknown"


def test_children_get_the_same_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING", "kept")
    env = config.child_environment(config.home(tmp_path))
    assert (env["FIELDASSAY_HOME"], env["SOMETHING"]) == (str(tmp_path), "kept")
    assert env is not os.environ


def test_only_config_reads_the_environment(root: Path) -> None:
    readers = set()
    for path in (root / "host" / "fieldassay").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
            if name in ("environ", "getenv", "environb"):
                readers.add(path.relative_to(root / "host" / "fieldassay").as_posix())
    assert readers == {"config.py"}
