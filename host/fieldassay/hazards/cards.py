"""Hazard cards: reading, checking, and which card belongs to a verdict.

Every sentence names a source that was read; a sentence still to be reviewed is never shown. Which
card a substance has is said by `substances`; this module makes unknown mean strictest. Pure: more
cards of an agency come in as text.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from fieldassay import substances
from fieldassay.errors import LibraryError

STRICTEST = "default-strictest"
NO_DATA = "No verified data: treat as toxic and call a specialist."
NO_DATA_LINES = ("No verified data:", "treat as toxic and", "call a specialist.")
LINE_CHARACTERS = 26
LINES = 4
# Section id and heading, in the order they are shown.
SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "hazard": "Hazard",
        "protect": "Protect yourself",
        "do": "Do",
        "do_not": "Do not",
        "exposure": "After exposure",
        "naloxone": "Naloxone",
        "disposal": "Disposal",
    }
)
# Shown on every card, with NO_DATA where nothing verified is known.
ALWAYS = ("protect", "exposure", "disposal")

Status = Literal["verified", "needs_review"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sentence comes from and when it was read."""

    id: str
    citation: str
    url: str
    accessed: str

    def __str__(self) -> str:
        where = f", {self.url}" if self.url else ""
        return f"{self.citation}{where} (read {self.accessed})"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One row of a card. Only a verified one may be shown."""

    section: str
    text: str
    source: str
    status: Status


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a card as shown: verified sentences, or the sentence that says there are none."""

    id: str
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One hazard card as shown.

    Attributes:
        id, title: Identifier and heading.
        level: Strictness; the card with the highest is for the unknown.
        lines: At most four of at most 26 characters, for a unit's display, most important first.
        sections: Parts in the order they are shown.
        sources: Of everything shown, in order of first use.
        ghs, un: Verified hazard statement codes and UN number, if any.
        review: Sentences that wait for a review; never shown.
    """

    id: str
    title: str
    level: int
    lines: tuple[str, ...]
    sections: tuple[Section, ...]
    sources: tuple[Source, ...]
    ghs: tuple[str, ...]
    un: str
    review: tuple[Sentence, ...]

    def unit_lines(self) -> tuple[str, ...]:
        """The lines for a display of 26 characters."""
        return self.lines

    @property
    def headline(self) -> str:
        """The first line: what to know before anything else."""
        return self.lines[0]


class Cards:
    """All cards by id, and the card of each substance of the catalogue."""

    def __init__(self, cards: Iterable[Card], card_of: Mapping[str, str]) -> None:
        """Args: `cards`, and `card_of`: card id by substance id."""
        self._cards = {card.id: card for card in cards}
        self._card_of = dict(card_of)
        if STRICTEST not in self._cards:
            raise _not_usable(f"the card {STRICTEST!r} is missing")
        top = max(self._cards.values(), key=lambda card: card.level)
        if top.id != STRICTEST:
            raise _not_usable(f"{top.id!r} is stricter than {STRICTEST!r}")

    def __len__(self) -> int:
        return len(self._cards)

    def __iter__(self) -> Iterator[Card]:
        return iter(sorted(self._cards.values(), key=lambda card: (-card.level, card.id)))

    @property
    def strictest(self) -> Card:
        """The card for everything unknown."""
        return self._cards[STRICTEST]

    def get(self, card_id: str) -> Card:
        """The card with this id; the strictest if there is none."""
        return self._cards.get(card_id, self.strictest)

    def for_identification(self, verdict_kind: str, substance_ids: Sequence[str]) -> Card:
        """The card to show with a verdict.

        Args:
            verdict_kind: Kind of the verdict.
            substance_ids: Substances it names.

        Returns:
            For a match or mixture the strictest card of its substances; for anything else, and for
            a substance or card that is not known, the strictest of all.
        """
        if verdict_kind not in ("match", "mixture") or not substance_ids:
            return self.strictest
        cards = [self.get(self._card_of.get(each, STRICTEST)) for each in substance_ids]
        return max(cards, key=lambda card: card.level)


def load_cards(more: Iterable[str] = ()) -> Cards:
    """The cards that come with fieldassay, and more from an agency.

    Args:
        more: TOML texts of further cards; one with a known id replaces that card.

    Raises:
        LibraryError: `hazard_cards_not_usable`, with what is wrong and where.
    """
    folder = files("fieldassay.hazards")
    shared = tomllib.loads(folder.joinpath("shared.toml").read_text(encoding="utf-8"))
    names = sorted(f.name for f in folder.iterdir() if f.name.endswith(".toml"))
    texts = [
        folder.joinpath(name).read_text(encoding="utf-8") for name in names if name != "shared.toml"
    ]
    cards = {}
    for text in (*texts, *more):
        try:
            card = parse(tomllib.loads(text), shared)
        except tomllib.TOMLDecodeError as error:
            raise _not_usable(f"a card is no TOML: {error}") from error
        cards[card.id] = card
    card_of = {info.id: info.hazard_card for info in substances.load().values()}
    return Cards(cards.values(), card_of)


def parse(document: Mapping[str, Any], shared: Mapping[str, Any]) -> Card:
    """One card from its document; `shared` holds sources and sentences of all cards.

    Raises:
        LibraryError: `hazard_cards_not_usable`.
    """
    try:
        return _parse(document, shared)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_usable(f"card {document.get('id', '?')!r}: {error}") from error


def _parse(document: Mapping[str, Any], shared: Mapping[str, Any]) -> Card:
    if unknown := set(document) - {
        "id", "title", "level", "lines", "shared", "sentence", "ghs", "un", "sources",
    }:  # fmt: skip
        raise ValueError(f"unknown keys {sorted(unknown)}")
    catalogue = {**shared["sources"], **document.get("sources", {})}
    sources = {key: Source(key, **value) for key, value in catalogue.items()}
    common = {row["id"]: row for row in shared["sentence"]}
    rows = [{k: v for k, v in common[i].items() if k != "id"} for i in document["shared"]]
    sentences = [Sentence(**row) for row in (*rows, *document.get("sentence", ()))]
    lines = [Sentence("lines", **row) for row in document["lines"]]
    codes = [Sentence("ghs", **row) for row in document.get("ghs", ())]
    numbers = [Sentence("un", **row) for row in document.get("un", ())]
    for each in (*sentences, *lines, *codes, *numbers):
        if each.source not in sources:
            raise ValueError(f"source {each.source!r} of {each.text!r} is not listed")
        if each.status not in ("verified", "needs_review"):
            raise ValueError(f"status {each.status!r} of {each.text!r}")
        if each.section not in (*SECTIONS, "lines", "ghs", "un"):
            raise ValueError(f"section {each.section!r} of {each.text!r}")
    everything = (*lines, *codes, *numbers, *sentences)
    shown = [each for each in everything if each.status == "verified"]
    texts = tuple(each.text for each in shown if each.section == "lines")
    if len(lines) > LINES or any(len(each.text) > LINE_CHARACTERS for each in lines):
        raise ValueError(f"more than {LINES} lines or one longer than {LINE_CHARACTERS}")
    if not isinstance(document["level"], int):
        raise ValueError("level is not a whole number")
    return Card(
        id=document["id"],
        title=document["title"],
        level=document["level"],
        lines=texts or NO_DATA_LINES,
        sections=_sections(sentences, _codes(shown)),
        sources=tuple(sources[key] for key in dict.fromkeys(each.source for each in shown)),
        ghs=tuple(each.text for each in shown if each.section == "ghs"),
        un=next((each.text for each in shown if each.section == "un"), ""),
        review=tuple(each for each in everything if each.status == "needs_review"),
    )


def _codes(shown: Sequence[Sentence]) -> tuple[str, ...]:
    """The line that names hazard statement codes and UN number."""
    parts = [each.text for each in shown if each.section in ("ghs", "un")]
    return (f"Codes: {', '.join(parts)}.",) if parts else ()


def _sections(sentences: Sequence[Sentence], codes: tuple[str, ...]) -> tuple[Section, ...]:
    """Every section that has something to say, and those that must say it when they have not."""
    sections = []
    for key, title in SECTIONS.items():
        mine = [each for each in sentences if each.section == key]
        lines = tuple(each.text for each in mine if each.status == "verified")
        if key == "hazard":
            lines += codes
        if lines or mine or key in ALWAYS:
            sections.append(Section(key, title, lines or (NO_DATA,)))
    return tuple(sections)


def _not_usable(why: str) -> LibraryError:
    return LibraryError(
        "hazard_cards_not_usable",
        f"The hazard cards cannot be used: {why}.",
        "Correct the card, or install fieldassay again.",
    )
