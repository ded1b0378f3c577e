"""The published page, written from the benchmark's JSON alone."""

from __future__ import annotations

from typing import Any

HEAD = """# Performance
*Written by `make bench` from `performance.json` beside it; a test fails when they differ.*

Ratios are peer time / fieldassay time: both sides are timed in turn within one run, each in a
process of its own, one thread, by processor time (what other programs take from a busy machine is
left out; the ratio on the wall clock stands beside it). The value is the median over the pairs
with the 16th and 84th percentile; where a row has several cases its value is the worst. Every
answer to every query is checked: the search against float64 (rows in order, ties by id), pairs and
triples against all of them in float64, baselines and filters against the peer to 1e-8 of the
largest value. Absolute times hold for this machine only; nothing was measured on a Raspberry Pi.
"""
WORDS = {
    "aim": "aim reached",
    "at least": "at least reached",
    "short": "**falls short**",
    "not built": "not built",
    "measured": "no goal set",
    "WRONG": "**WRONG ANSWERS**",
}


def render(result: dict[str, Any]) -> str:
    """The page as Markdown."""
    machine = result["machine"]
    lines = [HEAD, "## Circumstances"]
    lines += ["| what | |", "|---|---|"]
    facts = {
        "date": result["date"],
        "commit": result["commit"],
        "processor": machine["processor"],
        "extensions": ", ".join(machine["extensions"]) or "none known",
        "cores, memory": f"{machine['cores']}, {machine['memory_gb']} GB",
        "system": machine["system"],
        "compiler": machine["compiler"],
        "versions": ", ".join(f"{k} {v}" for k, v in result["versions"].items()),
        "load before, after": ", ".join(f"{value:g}" for value in result["load"]),
        "threads, points, pairs": f"{result['threads']}, {result['columns']}, {result['pairs']}",
    }
    lines += [f"| {key} | {value} |" for key, value in facts.items()]
    lines += ["", "## Goals and what was measured"]
    lines += ["| measure | at least | aim | measured | |", "|---|--:|--:|--:|---|"]
    for row in result["rows"]:
        lines.append(
            f"| {row['measure']} | {amount(row['at_least'], row['unit'])} | "
            f"{amount(row['aim'], row['unit'])} | {amount(row['value'], row['unit'])} | "
            f"{WORDS[row['verdict']]} |"
        )
    lines += ["", "## Every case"]
    lines += [
        "| row | library | references | fieldassay µs | peer | peer µs | ratio (16 to 84 %) "
        "| on the wall | checked, wrong | largest error | peer wrong |",
        "|---|---|--:|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [_case(row, case) for row in result["rows"] for case in row["cases"]]
    return "\n".join(lines) + "\n"


def amount(value: float | None, unit: str) -> str:
    """A figure with its unit, as precise as it is worth."""
    if value is None:
        return "–"
    text = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text}{'x' if unit == 'x' else ' ' + unit}"


def _case(row: dict[str, Any], case: dict[str, Any]) -> str:
    def microseconds(name: str) -> str:
        return f"{case[name]['median'] * 1e6:.4g}" if name in case else "–"

    ratio = "–"
    if "ratio" in case:
        ratio = "{median:.3g} ({low:.3g} to {high:.3g})".format(**case["ratio"])
    elif "not_built" in case:
        ratio = "not built"
    elif row["unit"] != "x":
        ratio = amount(case["value"], row["unit"])
    exact, theirs = case.get("exact"), case.get("peer_exact")
    cells = [
        row["key"],
        case["name"],
        str(case.get("references", "–")),
        microseconds("ours_s"),
        case.get("peer") or "–",
        microseconds("peer_s"),
        ratio,
        f"{case['wall_ratio']['median']:.3g}" if "wall_ratio" in case else "–",
        f"{exact['queries']}, {exact['wrong']}" if exact else "–",
        f"{exact['score_error']:.0e}" if exact else "–",
        str(theirs["wrong"]) if theirs else "–",
    ]
    return "| " + " | ".join(cells) + " |"
