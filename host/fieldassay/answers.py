"""What the host says back: receipts and verdicts, and the stored form of a verdict. Pure.

Owns the words on a unit's display that come from here and their lengths. Sealing and sending is
`ingest`; deciding is `decide`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from fieldassay_wire.messages import VERSION

from fieldassay import __version__
from fieldassay.stored import StorableFrame
from fieldassay.verdict import Identification

TITLES = {
    "out_of_library": "Not in the library",
    "inconclusive": "Inconclusive",
    "class": "Class alert",
}
REASONS_SENT = 4
LINES_SENT = 4


class HazardCard(Protocol):
    """What an answer takes from a hazard card."""

    @property
    def id(self) -> str:
        """Identifier of the card."""

    @property
    def title(self) -> str:
        """Heading."""

    @property
    def lines(self) -> Sequence[str]:
        """Short lines, most important first."""


Status = Literal["stored", "known", "quarantined"]


def receipt(
    unit: str, boot: int, seq: int, sha256: bytes, status: Status, record: str, stored_ms: int
) -> dict[str, Any]:
    """The receipt for a measurement whose bytes are committed.

    Args:
        unit: Name of the unit.
        boot: Its boot number.
        seq: Number of the measurement.
        sha256: Of the exact sealed bytes, 32 bytes.
        status: What became of it.
        record: Record id, or the number in quarantine.
        stored_ms: UTC, milliseconds since 1970.
    """
    return {
        "v": VERSION,
        "unit": unit,
        "boot": boot,
        "seq": seq,
        "sha256": sha256,
        "status": status,
        "record": record,
        "stored_ms": stored_ms,
    }


def body(identification: Identification, card: HazardCard) -> dict[str, Any]:
    """The stored form of a verdict: `identify --json`, the card as shown, the program."""
    return {**identification.as_dict(), "hazard": _hazard(card), "software": __version__}


def body_of_failure(card: HazardCard) -> dict[str, Any]:
    """The verdict where our own program failed: inconclusive, with a reason that says so."""
    return {
        "verdict": "inconclusive",
        "substances": [],
        "candidates": [],
        "quality": {},
        "reasons": [
            {
                "code": "identification_failed",
                "text": "The host could not analyse this measurement. The record is kept.",
            }
        ],
        "do_next": "Measure again; if it happens again, report the record number and the log.",
        "hazard_card": card.id,
        "library": "",
        "algorithm": "",
        "hazard": _hazard(card),
        "software": __version__,
    }


def verdict(frame: StorableFrame, stored: Mapping[str, Any], time_ms: int) -> dict[str, Any]:
    """The verdict message for a unit from the stored form; texts cut to what the wire allows."""
    substances: list[dict[str, Any]] = [
        {
            "id": clip(item["id"], 96),
            "name": clip(item["name"], 200),
            "share_permille": None if item["share"] is None else round(1000 * item["share"]),
        }
        for item in stored["substances"][:16]
    ]
    names = " + ".join(str(item["name"]) for item in substances) or family_name(stored)
    hazard = stored["hazard"]
    return {
        "v": VERSION,
        "unit": frame.unit,
        "boot": frame.boot,
        "seq": frame.seq,
        "verdict": stored["verdict"],
        "title": clip(names or TITLES.get(stored["verdict"], stored["verdict"]), 200),
        "substances": substances,
        "hazard": {
            "id": clip(hazard["id"], 96),
            "title": clip(hazard["title"], 200),
            "lines": [clip(line, 200) for line in hazard["lines"][:LINES_SENT]],
        },
        "do_next": clip(stored["do_next"], 500),
        "reasons": [clip(item["text"], 300) for item in stored["reasons"][:REASONS_SENT]],
        "time_ms": time_ms,
    }


def family_name(stored: Mapping[str, Any]) -> str:
    """The family of a class verdict as a heading, "" where there is none."""
    family = stored.get("family")
    name = str(family.get("name") or "") if isinstance(family, Mapping) else ""
    return name[:1].upper() + name[1:]


def clip(text: str, limit_bytes: int) -> str:
    """The text, cut at a whole character so that its UTF-8 has at most `limit_bytes` bytes."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit_bytes:
        return data.decode("utf-8")
    return data[: limit_bytes - 3].decode("utf-8", "ignore") + "…"


def _hazard(card: HazardCard) -> dict[str, Any]:
    return {"id": card.id, "title": card.title, "lines": list(card.lines)[:LINES_SENT]}
