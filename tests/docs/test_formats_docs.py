"""The pages on formats, `identify --json` and hazard cards say what the code does."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from fieldassay import formats
from fieldassay.commands import identify as command
from fieldassay.formats import columns
from fieldassay.hazards import cards as cards_module
from fieldassay.hazards.cards import load_cards
from fieldassay.verdict import VERDICT_KINDS, Identification, Quality, Verdict


def page(root: Path, name: str) -> str:
    return (root / "docs" / name).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Cells of every table row of a page."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]


def test_every_format_has_its_row(root: Path) -> None:
    found = {row[1]: row for row in rows(page(root, "reference/formats.md")) if len(row) == 5}
    del found["key"]
    assert set(found) == {f"`{name}`" for name in formats.FORMATS}
    for name, format_ in formats.FORMATS.items():
        row = found[f"`{name}`"]
        assert row[2] == " ".join(f"`{extension}`" for extension in format_.extensions)
        assert row[3:] == ["yes", "yes" if format_.write else "no"]


def test_limits(root: Path) -> None:
    text = page(root, "reference/formats.md")
    assert formats.MAX_BYTES == 64 * 1024 * 1024 and "64 MiB" in text
    for limit in (columns.MAX_POINTS, columns.MAX_LINES, columns.MAX_CELLS):
        assert f"{limit:,}" in text


def test_every_error_code_of_reading_is_listed(root: Path) -> None:
    source = root / "host" / "fieldassay"
    files = [*(source / "formats").glob("*.py"), source / "commands" / "identify.py"]
    files.append(source / "plausible.py")
    files.append(source / "spectrum.py")
    used = set()
    for path in files:
        used |= set(re.findall(r'FormatError\(\s*"(\w+)"', path.read_text(encoding="utf-8")))
    used.discard("noise_not_usable")  # no file can cause it: unusable noise is left out
    listed = {
        row[0].strip("`")
        for row in rows(page(root, "reference/formats.md"))
        if len(row) == 2 and re.fullmatch(r"`\w+`", row[0])
    }
    assert len(used) > 15
    assert used == listed


def test_json_keys_are_in_the_documented_order(root: Path) -> None:
    text = page(root, "reference/identify-json.md")
    documented = [row[0].strip("`") for row in rows(text) if row[0].startswith("`")]
    quality = Quality(1.0, 0.0, False, (0.0, 1.0))
    empty = Identification(Verdict("inconclusive", (), (), ""), (), quality, "", "", "")
    keys = ["file", *empty.as_dict(), "notes"]
    for newer in ("family", "alternatives"):  # newer than notes
        keys.append(keys.pop(keys.index(newer)))
    assert documented == keys
    for kind in VERDICT_KINDS:
        assert f"`{kind}`" in text
    for key in empty.as_dict()["quality"]:
        assert f"`{key}`" in text


def test_options(root: Path) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    usage = re.search(r"fieldassay identify (.*)", page(root, "reference/identify-json.md"))
    assert usage is not None
    actions = {o for action in parser._actions for o in action.option_strings}
    assert set(re.findall(r"--[\w-]+", usage.group(1))) == actions - {"-h", "--help"}


def test_hazard_card_table_and_schema(root: Path) -> None:
    text = page(root, "reference/hazard-cards.md")
    listed = {row[0].strip("`"): row[1:] for row in rows(text) if len(row) == 3}
    del listed["id"]
    assert listed == {card.id: [str(card.level), str(len(card.review))] for card in load_cards()}
    assert cards_module.NO_DATA in text
    for section in cards_module.SECTIONS:
        assert f"`{section}`" in text


def test_how_to_pages_name_what_exists(root: Path) -> None:
    contract = (root / "tests" / "host" / "format_contract.py").read_text(encoding="utf-8")
    text = page(root, "how-to/add-a-file-format.md")
    for name in ("states_length", "samples", "real_files", "bombs"):
        assert name in text and name in contract
    for name in ("add-a-file-format.md", "add-a-hazard-card.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page(root, f"how-to/{name}")):
            assert (root / "docs" / "how-to" / link).exists(), link
        for path in re.findall(r"`((?:host|tests)/[\w/.]+)`", page(root, f"how-to/{name}")):
            assert (root / path).exists() or "xyz" in path or path.endswith("ID.toml"), path
