"""Spectra of things mostly not in the library, out of two public packages, fetched on wish.

Owns the two pins, taking the spectra out, and which of their names mean a library substance. The
licences allow use, not shipping (Open Specy: not stated in the package; ramanbiolib: ODbL), so they
stay in the home folder and never enter the default library. Nothing is fetched unless asked for.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
import zipfile
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from fieldassay import pinned
from fieldassay.evaluate.samples import Names, Role, Sample
from fieldassay.library import Library
from fieldassay.pinned import Pin
from fieldassay.spectrum import Axis, Floats, Spectrum

OPEN_SPECY = Pin(
    "pyopenspecy", "0.0.1", "ba932f294c871bd4cf80df27549672588916688eb55f3b30a4d2a4b9b8277df2"
)
RAMANBIOLIB = Pin(
    "ramanbiolib", "1.0.0.post5", "31a9948e7288471b1873f5199b07ff88a9fc6c424283c9298df3dbe4eb29ce1c"
)
PINS = (OPEN_SPECY, RAMANBIOLIB)
WINDOW_CM1 = (302.0, 1800.0)
MIN_POINTS, MIN_WIDTH_CM1 = 50, 200.0  # less is no spectrum
# What these collections call substances of the default library; None: too near to be counted as
# unknown, too different to be counted as known (other crystal forms, hydrates, copolymers).
ALIASES: tuple[tuple[str, str | None], ...] = (
    (r"calcite|c ca o3", "calcium-carbonate"),
    (r"aragonite|vaterite|monohydrocalcite|ikaite", None),
    (r"thenardite|na2 o4 s", "sodium-sulfate"), (r"mirabilite", None),
    (r"nahcolite|c h na o3", "sodium-bicarbonate"), (r"natrite|c na2 o3", "sodium-carbonate"),
    (r"thermonatrite|natron|trona", None), (r"moissanite.*|c si", "silicon-carbide"),
    (r"silicon|si", "silicon"), (r"archerite|h2 k o4 p", "potassium-dihydrogen-phosphate"),
    (r"urea|c h4 n2 o", "urea"), (r"h k2 o4 p", "dipotassium-hydrogen-phosphate"),
    (r".*polystyrene.*|.*styrene.*|.*\bp?abs\b.*|ps", None),
    (r"polystyrene|polystyrene resin|ps", "polystyrene"),
    (r"hdpe|ldpe|pe|polyethylene( resin|, (high|low) density)?", "polyethylene"),
    # Its spectrum has bands at 1230, 1550 and 1600 cm-1 that polyethylene has not: a pigment.
    (r"low densitiy polyethylene", None),
    (r"(high|low|linear low) densiti?y polyethylene", "polyethylene"),
    (r"poly ?\(?ethylene ?tere?phtha?l?ate?\)?.*|polyethylene ?terephthalate|pet"
     r"|polyethyleneterephtalate|poly\(ethylene terephtalate\)", "polyethylene-terephthalate"),
    (r".*(glycol|ethylene oxide).*", "polyethylene-glycol"),
    (r"poly\(tetrafluoroethylene\)|ptfe|.*teflon.*|polytetrafluoroethylene", "ptfe"),
    (r"polypropylene( resin|, isotactic)?|pp", "polypropylene"),
    (r".*(ethylene|propylene|\bpe\b|\bpp\b|\bpet\b).*", None), (r".*par+af+in.*|.*\bwax.*", None),
    (r"d-\(\+\)-dextrose|d-\(\+\)-glucose|β-d-glucose", "glucose"),
    (r"d-\(-\)-fructose", "fructose"), (r"d-\(\+\)-sucrose", "sucrose"),
    (r"lactose|d-\(\+\)-lactose monohydrate", "lactose"), (r"l-alanine", "alanine"),
    (r"l-arginine", "arginine"), (r"nadh?|nad\+", "coenzyme-nad"),
)  # fmt: skip
# The order matters: the first pattern that is the whole name decides, exact names before wide ones.
_WIDE = (".*polystyrene", ".*(ethylene")


def fetch(folder: Path) -> None:
    """Download both packages and keep what is needed of them in `folder`, once.

    Raises:
        LibraryError: `reference_fetch_failed`, `reference_hash_wrong`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for pin in PINS:
        if _kept(folder, pin).exists():
            continue
        with tempfile.TemporaryDirectory() as scratch:
            wheel = pinned.fetch(pin, Path(scratch), "spectra for the evaluation")
            data = pinned.read(pin, wheel)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            spectra = _open_specy(archive) if pin is OPEN_SPECY else _ramanbiolib(archive)
            _keep(_kept(folder, pin), spectra)


def complete(folder: Path) -> bool:
    """True if both packages' spectra are in the folder."""
    return all(_kept(folder, pin).exists() for pin in PINS)


def load(folder: Path, pin: Pin, library: Library) -> list[Sample]:
    """One spectrum of each differently named substance; empty if it was not fetched."""
    path = _kept(folder, pin)
    if not path.exists():
        return []
    names = Names(library)
    # Single spectra of these sets were used when thresholds were chosen, and it was not kept which.
    role: Role = "tuned"
    samples = []
    with np.load(path) as kept:
        facts = json.loads(str(kept["facts"]))
        ends = np.cumsum(kept["sizes"])
        x, y = np.split(kept["x"], ends[:-1]), np.split(kept["y"], ends[:-1])
    for (name, group, laser), axis, values in zip(facts, x, y, strict=True):
        known = meaning(name, names)
        samples.append(
            Sample(
                name=name,
                spectrum=Spectrum(Axis(axis, "cm-1"), values),
                kind="unknown" if known is None else "library" if known else "uncounted",
                truth=frozenset({known} if known else ()),
                substance=known or " ".join(name.casefold().split()),
                instrument=group,
                laser_nm=laser,
                set=pin.package,
                role=role,
                note="near a library substance" if known == "" else "",
            )
        )
    return samples


def meaning(name: str, names: Names) -> str | None:
    """Id of the library substance, "" for what is only near one, None for anything else."""
    plain = re.sub(r"\s*\(\d+\)$", "", " ".join(name.split()).casefold())
    if found := names.in_library(plain):
        return found
    ordered = sorted(ALIASES, key=lambda alias: alias[0].startswith(_WIDE))
    for pattern, meant in ordered:
        if re.fullmatch(pattern, plain):
            return (names.in_library(meant) or "") if meant else ""
    return None


def _kept(folder: Path, pin: Pin) -> Path:
    return folder / f"{pin.package}-{pin.version}.npz"


Kept = tuple[str, str, float | None, Floats, Floats]  # name, group, laser, x, y


def _keep(path: Path, spectra: Iterable[Kept]) -> None:
    kept = sorted(spectra, key=lambda s: (s[1], s[0]))
    np.savez_compressed(
        path,
        facts=json.dumps([s[:3] for s in kept]),
        sizes=np.array([s[3].size for s in kept]),
        x=np.concatenate([s[3] for s in kept]),
        y=np.concatenate([s[4] for s in kept]),
    )


def _open_specy(archive: zipfile.ZipFile) -> Iterator[Kept]:
    """Of each name the spectrum with the widest range in WINDOW_CM1; the first if several have."""
    with archive.open("pyopenspecy/data/raman_metadata.csv") as file:
        facts = {row["sample_name"]: row for row in csv.DictReader(_text(file))}
    points: dict[str, tuple[array[float], array[float]]] = {}
    with archive.open("pyopenspecy/data/raman_library.csv") as file:
        rows = csv.reader(_text(file))
        next(rows)
        for x_text, y_text, sample, *_ in rows:  # spectra are not all in one piece
            if x_text and y_text and "N" not in y_text:
                x, y = points.setdefault(sample, (array("d"), array("d")))
                x.append(float(x_text))
                y.append(float(y_text))
    best: dict[str, tuple[float, Kept]] = {}
    for sample, (x_raw, y_raw) in points.items():
        fact = facts.get(sample)
        if fact is None or len(x_raw) < MIN_POINTS:
            continue
        axis, values = _ordered(np.array(x_raw), np.array(y_raw))
        inside = axis[(axis >= WINDOW_CM1[0]) & (axis <= WINDOW_CM1[1])]
        width = float(np.ptp(inside)) if inside.size > 1 else 0.0
        name = fact["spectrum_identity"]
        if width > best.get(name, (MIN_WIDTH_CM1,))[0]:
            best[name] = (width, (name, fact["organization"], None, axis, values))
    yield from (kept for _, kept in best.values())


def _ramanbiolib(archive: zipfile.ZipFile) -> Iterator[Kept]:
    """The first spectrum of each name."""
    with archive.open("ramanbiolib/db/metadata_db.csv") as file:
        facts = {row["id"]: row for row in csv.DictReader(_text(file))}
    seen = set()
    with archive.open("ramanbiolib/db/raman_spectra_db.csv") as file:
        for row in csv.DictReader(_text(file)):
            name = row["component"]
            if name in seen:
                continue
            seen.add(name)
            laser = facts.get(row["id"], {}).get("laser_wavelength", "")
            x, y = _ordered(
                np.array(json.loads(row["wavenumbers"]), dtype=np.float64),
                np.array(json.loads(row["intensity"]), dtype=np.float64),
            )
            yield name, "ramanbiolib", float(laser) if laser else None, x, y


def _text(file: IO[bytes]) -> io.TextIOWrapper:
    csv.field_size_limit(10_000_000)
    return io.TextIOWrapper(file, encoding="utf-8")


def _ordered(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    axis, first = np.unique(x, return_index=True)
    return axis, y[first]
