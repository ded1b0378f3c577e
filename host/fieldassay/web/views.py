"""Turns what the store, the units and the cards hold into what the API and the pages show. Pure.

Each item of a list carries `shown`: the words for people, made here once for templates and scripts.
A verdict is read defensively: a kind or field this version does not know never breaks a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fieldassay_wire.cbor import TypedArray

from fieldassay.answers import family_name
from fieldassay.stored import Quarantined, Record, RecordSummary
from fieldassay.verdict import VERDICT_KINDS
from fieldassay.web.strings import known, text

if TYPE_CHECKING:
    from fieldassay.hazards.cards import Card

Json = dict[str, Any]
TEXT_SHOWN = 400  # characters of a foreign text in a list


def utc(ms: int) -> str:
    """Milliseconds since 1970 as UTC for people; a number no calendar holds is shown as it is."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{ms} ms"


def style(body: Mapping[str, Any] | None) -> str:
    """Which of the styles of the sheet a verdict has."""
    if body is None:
        return "pending"
    kind = body.get("verdict")
    return str(kind) if kind in VERDICT_KINDS else "other"


def word(body: Mapping[str, Any] | None) -> str:
    """The verdict in words; an unknown kind is named after itself."""
    name = style(body)
    label = text(f"verdict_{name}")
    return f"{label}: {(body or {}).get('verdict')}" if name == "other" else label


def reasons(body: Mapping[str, Any] | None) -> list[str]:
    """The sentences of the reasons."""
    return [
        str(r.get("text", r.get("code", ""))) if isinstance(r, Mapping) else str(r)
        for r in items((body or {}).get("reasons"))
    ]


def items(value: object) -> Sequence[Any]:
    """A list from outside, or nothing if it is none."""
    return value if isinstance(value, list | tuple) else ()


def substances(body: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Name and share, ready to show, of each substance of a verdict, or the family of a class."""
    shown = []
    listed = items((body or {}).get("substances"))
    if not listed and (family := family_name(body or {})):
        return [{"name": family, "share": ""}]
    for substance in listed:
        if not isinstance(substance, Mapping):
            continue
        share = substance.get("share")
        # The share of a lone substance says nothing and would be read as purity.
        several = len(listed) > 1
        percent = f"{100 * share:.0f}" if several and isinstance(share, int | float) else None
        shown.append(
            {
                "name": str(substance.get("name") or substance.get("id") or text("unknown")),
                "share": text("share", percent=percent) if percent else "",
            }
        )
    return shown


def title(body: Mapping[str, Any] | None) -> str:
    """The substances in one line; empty where none is named."""
    return " + ".join(s["name"] for s in substances(body))


def measurement(summary: RecordSummary) -> Json:
    """One record as the list of the API has it."""
    body = summary.verdict
    why = reasons(body)
    return {
        "id": summary.record_id,
        "number": summary.number,
        "unit": summary.unit,
        "boot": summary.boot,
        "seq": summary.seq,
        "time_ms": summary.taken_ms,
        "clock": summary.clock,
        "received_ms": summary.received_ms,
        "flags": list(summary.flags),
        "sha256": summary.sha256,
        "size_bytes": summary.size_bytes,
        "verdict": None if body is None else body.get("verdict"),
        "substances": [] if body is None else list(items(body.get("substances"))),
        "shown": {
            "style": style(body),
            "word": word(body),
            "title": title(body),
            "reason": (why[0] if why else text(f"means_{style(body)}"))[:TEXT_SHOWN],
            "means": text(f"means_{style(body)}"),
            "unit": summary.unit,
            "flags": ", ".join(flag.replace("_", " ") for flag in summary.flags),
        },
    }


def unit(state: Mapping[str, Any]) -> Json:
    """The newest state message of a unit, with its words."""
    fields = plain(state)
    battery = state.get("battery_mv")
    firmware = state.get("firmware")
    version = firmware.get("version", "") if isinstance(firmware, Mapping) else ""
    fields["shown"] = {
        "unit": str(state.get("unit", "")),
        "state": known("state", state.get("state", text("unknown"))),
        "fault": f"{text('unit_fault')}: {state['fault']}" if state.get("fault") else "",
        "spool": f"{state.get('spool_used', '?')} / {state.get('spool_capacity', '?')}",
        "battery": f"{battery / 1000:.2f} V" if isinstance(battery, int) else text("unknown"),
        "interlock": known("interlock", state.get("interlock") or text("unknown")),
        "clock": known("clock", state.get("clock", text("unknown"))),
        "firmware": str(version) or text("unknown"),
    }
    return fields


def quarantined(entry: Quarantined) -> Json:
    """One quarantined message, without its bytes."""
    return {
        "number": entry.number,
        "received_ms": entry.received_ms,
        "topic": entry.topic,
        "error": {"code": entry.code, "what": entry.what, "do_next": entry.do_next},
        "authentic": entry.authentic,
        "sha256": entry.sha256,
        "size_bytes": entry.size_bytes,
        "shown": {
            "reason": entry.what[:TEXT_SHOWN],
            "topic": entry.topic[:TEXT_SHOWN],
            "size": f"{entry.size_bytes} bytes",
        },
    }


def plain(message: Mapping[str, Any]) -> Json:
    """A decoded message as JSON: bytes as hex, arrays by their size only."""
    return {str(key): _plain(value) for key, value in message.items()}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, TypedArray):
        return {"array": len(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def record(stored: Record, message: Mapping[str, Any], card: Json | None) -> Json:
    """One record as the API gives it: the list's fields, the message, all verdicts, links."""
    fields = measurement(stored.summary)
    base = f"/api/measurements/{fields['id']}"
    return {
        **fields,
        "message": plain(message),
        "verdicts": stored.verdicts,
        "hazard": card,
        "links": {
            "page": f"/records/{fields['id']}",
            "raw": f"{base}/raw",
            "spectrum": f"{base}/spectrum",
        },
    }


def verdict_line(body: Mapping[str, Any]) -> Json:
    """One stored verdict for the history of a record."""
    return {
        "word": word(body),
        "title": title(body),
        "created_ms": body.get("created_ms", 0),
        "algorithm": str(body.get("algorithm", text("unknown"))),
        "library": str(body.get("library", text("unknown"))),
    }


def candidates(body: Mapping[str, Any] | None) -> list[Json]:
    """Name and score of each candidate, best first."""
    return [
        {"name": str(c.get("name") or c.get("id")), "score": f"{c['score']:.3f}"}
        for c in items((body or {}).get("candidates"))
        if isinstance(c, Mapping) and isinstance(c.get("score"), int | float)
    ]


def card(shown: Card) -> Json:
    """A hazard card: the short lines first, then sections, then the sources of all of them."""
    return {
        "id": shown.id,
        "title": shown.title,
        "level": shown.level,
        "lines": list(shown.lines),
        "sections": [
            {"title": section.title, "lines": list(section.lines)} for section in shown.sections
        ],
        "sources": [str(source) for source in shown.sources],
        "ghs": list(shown.ghs),
        "un": shown.un,
    }
