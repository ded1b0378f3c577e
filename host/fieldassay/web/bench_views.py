"""Turns jobs and checks of the bench into what the page shows: lines, facts, table, links. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fieldassay.web.strings import ENGLISH, known, text
from fieldassay.web.views import utc

Json = dict[str, Any]
Result = Mapping[str, Any]


def record(record_id: str, taken_ms: int) -> str:
    """A record as a choice in a list."""
    when = utc(taken_ms) if taken_ms else text("time_unset")
    return f"{record_id} · {when}"


def unit(name: str, fitness: Mapping[str, Any] | None) -> Json:
    """Fitness of a unit in words."""
    if fitness is None:
        return {"unit": name, "duty": text("unknown"), "why": "", "fit": False}
    due = utc(fitness["due_ms"]) if fitness["due_ms"] else ""
    if fitness["fit"]:
        said = text("bench_checked_until", due=due)
    else:
        said = text("bench_no_match", state=known("bench_duty", fitness["state"]))
    why = " ".join(str(fitness[key]) for key in ("text", "do_next", "note") if fitness[key])
    return {"unit": name, "duty": said, "why": why, "fit": bool(fitness["fit"])}


def check(result: Result) -> Json:
    """A kept check in short."""
    word = text("bench_passed" if result["passed"] else "bench_not_passed")
    return {
        "number": result["number"],
        "passed": result["passed"],
        "made_ms": result["made_ms"],
        "record": result["record"],
        "shown": f"{word}, {utc(result['made_ms'])}",
        "certificate": _certificate(result),
    }


def job(told: Json) -> Json:
    """A job with `shown`: state, lines, facts, table, links, picture."""
    shown: Json = {
        "title": known("bench_job", told["action"]),
        "state": known("bench_state", told["state"]),
        "step": told["step"],
        "good": told["state"] == "done",
        "lines": [],
        "facts": [],
        "table": None,
        "links": [],
        "picture": None,
        "accept": False,
    }
    present = _PRESENT.get(told["action"])
    if told["result"] is not None and present is not None:
        present(told["result"], shown)
    base = f"/api/bench/jobs/{told['number']}/documents/"
    for name in told["documents"]:
        address = base + quote(name)
        shown["links"].append({"text": text("bench_get", name=name), "href": address})
        if name.endswith(".svg"):
            shown["picture"] = {"href": address, "text": known("bench_picture", told["action"])}
    return {**told, "shown": shown}


def _certificate(result: Result) -> str:
    return f"/api/bench/checks/{quote(result['unit'])}/{result['number']}/certificate"


def _examine(result: Result, shown: Json) -> None:
    info = result["info"]
    settings, firmware = info.get("settings") or {}, info.get("firmware") or {}
    spool, calibration = info.get("spool") or {}, info.get("calibration") or {}
    facts = {
        "unit": settings.get("unit"),
        "board": info.get("board"),
        "machine": info.get("machine"),
        "interpreter": info.get("interpreter"),
        "firmware": firmware.get("version"),
        "sha256": str(firmware.get("sha256") or "")[:16],
        "slot": info.get("slot"),
        "spool": f"{spool.get('used', '?')} / {spool.get('capacity', '?')}",
        "calibration": calibration.get("id"),
        "battery": info.get("battery_mv") and f"{info['battery_mv'] / 1000:.2f} V",
        "free_flash": f"{info.get('free_flash_bytes', 0) // 1024} KiB",
        "free_heap": f"{info.get('free_heap_bytes', 0) // 1024} KiB",
    }
    shown["facts"] = [
        [text(f"bench_fact_{name}"), str(value) if value else text("unknown")]
        for name, value in facts.items()
    ]
    found = result["findings"]
    shown["good"] = not found
    shown["lines"] = [text("bench_wrong", count=len(found)) if found else text("bench_nothing")]
    if found:
        head = [text("bench_what"), text("do_next"), text("bench_code")]
        shown["table"] = {
            "head": head,
            "rows": [[f["what"], f["do_next"], f["code"]] for f in found],
        }


def _log(result: Result, shown: Json) -> None:
    entries: Sequence[Mapping[str, Any]] = result["entries"]
    if not entries:
        shown["lines"] = [text("bench_log_empty")]
        return
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    shown["table"] = {
        "head": names,
        "rows": [[str(entry.get(name, "")) for name in names] for entry in reversed(entries)],
    }


def _verify(result: Result, shown: Json) -> None:
    from fieldassay.calibrate.check import limits

    found = result["check"]
    word = text("bench_passed" if found["passed"] else "bench_not_passed")
    due = text("bench_due", due=utc(found["due_ms"])) if found["due_ms"] else ""
    due = due or text("bench_after_fail")
    shown["good"] = found["passed"]
    shown["lines"] = [f"{found['unit']}: {word}. {due}"]
    shown["lines"] += [found["reason"]] if found["reason"] else []
    rows = []
    for item in found["items"]:
        limit = limits().get(item["name"], {})
        unit_name = limit.get("unit", "")
        error = "" if item["uncertainty"] is None else f" ± {item['uncertainty']:.2g}"
        sides = [
            f"{text(word)} {item[key]:g}"
            for key, word in (("at_least", "bench_at_least"), ("at_most", "bench_at_most"))
            if item[key] is not None
        ]
        rows.append(
            [
                str(limit.get("what", item["name"])),
                f"{item['value']:.4g}{error} {unit_name}".strip(),
                ", ".join(sides),
                text("bench_pass" if item["passed"] else "bench_fail"),
            ]
        )
    head = [text(k) for k in ("bench_figure", "bench_measured", "bench_limit", "bench_result")]
    shown["table"] = {"head": head, "rows": rows}
    shown["links"].append({"text": text("bench_certificate"), "href": _certificate(found)})


def _calibrate(result: Result, shown: Json) -> None:
    report = result["report"]
    against = list(report["objections"])
    shown["good"] = shown["accept"] = not against
    word = text("bench_rejected" if against else "bench_acceptable")
    shown["lines"] = [f"{result['unit']}: {word}", result["summary"], *against]
    shown["table"] = {
        "head": [text(key) for key in ("bench_standard", "bench_true", "bench_off")],
        "rows": [
            [band["standard"], f"{band['cm1']:.1f}", f"{band['off_cm1']:+.2f}"]
            for band in report["bands"]
        ],
    }


def _accept(result: Result, shown: Json) -> None:
    shown["lines"] = [text("bench_accepted", **result)]


def _provision(result: Result, shown: Json) -> None:
    shown["lines"] = [text("bench_provisioned", **result)]


def _retire(result: Result, shown: Json) -> None:
    shown["lines"] = [text("bench_retired", **result)]
    if result["wiped"]:
        shown["lines"].append(text("bench_wiped", **result))
    if result["revoked"]:
        shown["lines"].append(text("bench_tell_broker", **result))


_PRESENT: dict[str, Callable[[Result, Json], None]] = {
    "examine": _examine,
    "log": _log,
    "verify": _verify,
    "calibrate": _calibrate,
    "accept": _accept,
    "provision": _provision,
    "retire": _retire,
}
assert all(f"bench_job_{name}" in ENGLISH for name in _PRESENT)
