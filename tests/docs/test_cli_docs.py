"""The command line reference is what the programs say of themselves."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any


def _builder(root: Path) -> Any:
    spec = importlib.util.spec_from_file_location(
        "build_cli_reference", root / "docs" / "build_cli_reference.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(root: Path) -> None:
    page = (root / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert page == _builder(root).render(), "type `make docs`"


def test_every_command_and_option_has_words(root: Path) -> None:
    page = _builder(root).render()
    assert "## fieldassay identify" in page and "## fieldassay-sim demo" in page
    assert not re.findall(r"\| `--[^|]*\| *\|", page), "an option has no help text"


def test_commands_in_readme_and_docs_exist(root: Path) -> None:
    known = set(re.findall(r"^## (fieldassay(?:-sim)? .*)$", _builder(root).render(), re.M))
    words = {tuple(command.split()[:2]) for command in known}
    pages = [root / "README.md", *(root / "docs").rglob("*.md")]
    used = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"`(?:\.venv/bin/)?(fieldassay(?:-sim)?) ([a-z]+)", text):
            used.add((match[1], match[2]))
    assert used, "no command is mentioned anywhere?"
    assert used <= words, f"unknown commands in the docs: {sorted(used - words)}"
