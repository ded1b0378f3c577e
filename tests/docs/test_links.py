"""Links and images in README and docs lead somewhere; files and make targets named exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def _pages(root: Path) -> list[Path]:
    return [*root.glob("*.md"), *(root / "docs").rglob("*.md")]


def test_relative_links_resolve(root: Path) -> None:
    broken = []
    for page in _pages(root):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(root)} -> {target}")
    assert not broken


def test_make_targets_named_in_the_docs_exist(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    for page in _pages(root):
        for name in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")):
            assert name in targets, f"{page.relative_to(root)} names `make {name}`"


@pytest.mark.parametrize("file", ["README.md", "docs/explanation/architecture.md"])
def test_files_named_in_backticks_exist(root: Path, file: str) -> None:
    text = (root / file).read_text(encoding="utf-8")
    for name in re.findall(r"`((?:device|host|sim|native|docs|tests)/[\w./-]+\.\w+)`", text):
        assert (root / name).exists(), f"{file} names {name}"
