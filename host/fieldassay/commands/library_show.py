"""`fieldassay library show` and `coverage`: what a library holds, and what it lacks.

Nothing here says of a substance that it is controlled: the catalogue's claims are shown with their
state, and none is verified until somebody verified it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from fieldassay import substances
from fieldassay.library import Library
from fieldassay.library_header import Entry
from fieldassay.substances import SubstanceInfo

GROUPS = ("scheduled", "precursor", "cutting agent")
WORDS = {
    "scheduled": "claimed to be scheduled",
    "precursor": "precursors",
    "cutting agent": "cutting agents",
}
UNVERIFIED = "Groups and schedules are claims of the catalogue; those not verified say so."


def show(library: Library, *, as_json: bool) -> int:
    """Print what a library holds."""
    own: dict[str, list[Entry]] = {name: [] for name in library.substances}
    for entry in library.entries:
        own.setdefault(entry.substance, []).append(entry)
    rows: list[dict[str, Any]] = [
        {
            "id": substance.id,
            "name": substance.name,
            "inchikey": substance.inchikey,
            "family": substance.family,
            "packaging": substance.packaging,
            "references": [_reference(entry) for entry in own[substance.id]],
            "cas": substance.cas,
            "families": list(substance.families),
            "roles": list(substance.roles),
            "hazard_card": substance.hazard_card,
        }
        for substance in sorted(library.substances.values(), key=lambda s: s.id)
    ]
    licences = Counter(entry.licence for entry in library.entries)
    agencies = Counter(entry.agency or entry.source for entry in library.entries)
    facts: dict[str, Any] = {
        "library": library.hash,
        "title": library.title,
        "recipe": library.recipe,
        "range_cm1": [float(library.grid_cm1[0]), float(library.grid_cm1[-1])],
        "licences": dict(sorted(licences.items())),
        "agencies": dict(sorted(agencies.items())),
        "build": dict(library.build),
        "substances": rows,
    }
    if as_json:
        print(json.dumps(facts))
        return 0
    first, last = facts["range_cm1"]
    print(f"{library.title}\n{library.hash}")
    print(f"recipe {library.recipe}, {first:.0f} to {last:.0f} cm-1")
    print(f"{len(library.entries)} references of {len(library.substances)} substances")
    if "provenance" in library.build:
        print(f"provenance: {library.build['provenance']}")
    for word, counts in (("licence", licences), ("from", agencies)):
        print(f"{word}: " + ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())))
    print(f"\n{'substance':34} {'families':34} {'n':>4}  references")
    for row in rows:
        labels = [r["label"] + (f" [{r['form']}]" if r["form"] else "") for r in row["references"]]
        some = ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
        print(f"{row['id']:34} {', '.join(row['families']):34} {len(labels):4}  {some}")
    return 0


def _reference(entry: Entry) -> dict[str, Any]:
    return {
        name: value
        for name, value in asdict(entry).items()
        if name not in ("row", "substance", "first", "last")
    }


def gaps(library: Library) -> dict[str, Any]:
    """Which substances of the catalogue have no reference in a library.

    Returns:
        `groups`: of each of GROUPS, counts and what is missing; `families`: counts of the
        scheduled ones by chemical family; `schedules`: by claim. A substance counts as scheduled
        if the catalogue has any claim of control of it.
    """
    catalogue = list(substances.load().values())
    have = {entry.substance for entry in library.entries}
    groups: dict[str, Any] = {}
    for group in GROUPS:
        members = [info for info in catalogue if _is(info, group)]
        groups[group] = {
            **_counts(members, have),
            "missing": [_gap(info) for info in members if info.id not in have],
        }
    scheduled = [info for info in catalogue if info.claims]
    families = sorted({family for info in scheduled for family in info.families})
    claims = sorted({claim.claim for info in scheduled for claim in info.claims})
    return {
        "groups": groups,
        "families": {
            name: _counts([i for i in scheduled if name in i.families], have) for name in families
        },
        "schedules": {
            name: {
                **_counts([i for i in scheduled if any(c.claim == name for c in i.claims)], have),
                "verified": sum(
                    c.claim == name and c.verification == "verified"
                    for i in scheduled
                    for c in i.claims
                ),
            }
            for name in claims
        },
    }


def coverage(library: Library, *, as_json: bool) -> int:
    """Print what a library lacks."""
    found = gaps(library)
    if as_json:
        print(json.dumps({"library": library.hash, "title": library.title, **found}))
        return 0
    print(f"{library.title}\n{library.hash}\n{UNVERIFIED}\n")
    print(f"{'group':40} {'with reference':>14} {'of':>5}")
    tables = (
        ("", {WORDS[name]: row for name, row in found["groups"].items()}),
        ("scheduled, by family", found["families"]),
        ("scheduled, by claim", found["schedules"]),
    )
    for title, rows in tables:
        if title:
            print(f"\n{title}")
        for name, row in rows.items():
            state = "" if row.get("verified", row["of"]) else " (claim, unverified)"
            print(f"{name + state:40} {row['with_reference']:>14} {row['of']:>5}")
    for name, row in found["groups"].items():
        print(f"\n{WORDS[name]} without a reference ({len(row['missing'])}):")
        for gap in row["missing"]:
            said = ", ".join(f"{c['claim']} ({c['verification']})" for c in gap["claims"])
            print(f"  {gap['id']:40} {', '.join(gap['families']):36} {said}")
    return 0


def _is(info: SubstanceInfo, group: str) -> bool:
    return bool(info.claims) if group == "scheduled" else group in info.roles


def _counts(members: list[SubstanceInfo], have: set[str]) -> dict[str, int]:
    return {"with_reference": sum(info.id in have for info in members), "of": len(members)}


def _gap(info: SubstanceInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "name": info.name,
        "cas": info.cas,
        "families": list(info.families),
        "roles": list(info.roles),
        "claims": [asdict(claim) for claim in info.claims],
    }
