"""The public test spectra as samples: what each file is of, and which labels are not to be trusted.

Owns the layout of that folder and the list of doubtful labels. Names become substances through
the catalogue, as everywhere; the folder's README says where the spectra come from.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from fieldassay import formats
from fieldassay.errors import SetupError
from fieldassay.evaluate.distort import Counts
from fieldassay.evaluate.samples import Names, Role, Sample
from fieldassay.library import Library

SECOND = Path("raman-785-second-instrument")
MULTI = Path("raman-multi-instrument")
MIXTURES = Path("mixtures-carbohydrates")
# What a file calls a substance, where the catalogue does not know that name.
FILE_NAMES = {
    "metamizol mg": "metamizole", "sugar": "sucrose", "sugar_b": "sucrose",
    "cyclohexane_b": "cyclohexane", "sucrose (table sugar)": "sucrose",
}  # fmt: skip
# Read by eye against several references; (set, file stem): ids that may be named, why.
DOUBTFUL: dict[tuple[str, str], tuple[frozenset[str], str]] = {
    ("legacy_2024", "fructose"): (
        frozenset({"fructose", "lactose"}),
        "labelled fructose, has the bands of lactose",
    ),
    ("WP-01977", "glucose"): (
        frozenset({"glucose"}),
        "labelled glucose, has none of the bands of crystalline glucose",
    ),
}
SOLUTIONS = {"glucose 100 g/l aq": "glucose", "glucose aq": "glucose"}
SOLUTION_NOTE = "a solution: mostly not the crystal the library has"
MIXED = {"acetonitrile/toluene 50:50": ("acetonitrile", "toluene")}
REPEATED = {("legacy_2024", "sugar_b"), ("legacy_2024", "cyclohexane_b")}
MAKERS = Path("calibration")
# How the files of other makers begin: sample or lamp. S0, S1, Sil: silicon wafers.
MAKER_FILES = (
    (r"PST|Pol_", "polystyrene"), (r"[ns]CAL", "calcium-carbonate"),
    (r"S[01][BNP]|Sil?\d*_", "silicon"),
    (r"Ne|neon", "neon lamp"), (r"NIST", "fluorescent glass"), (r"LED|NIR_|Visible_", "broad lamp"),
    (r".*__acetonitrile", "acetonitrile"), (r".*__glass", "glass slide"),
)  # fmt: skip
# docs/explanation/how-a-verdict-is-decided.md says which sets chose the thresholds.
# decide/calibration.json has ranks of all of them; legacy_2024 and 532 nm chose no threshold.
ROLES: dict[str, Role] = {
    "WP-01977": "tuned",
    "WP-00340": "tuned",
    "WP-00341": "tuned",
    "WP-00391": "tuned",
    "legacy_2024": "seen",
    "WP-00193 (532 nm)": "seen",
}


def load(data: Path, library: Library) -> list[Sample]:
    """Every spectrum of the two folders of single substances, in a fixed order.

    Files that hold the same spectrum a second time are left out.

    Raises:
        SetupError: `evaluation_data_missing`.
    """
    if not (data / SECOND).is_dir() or not (data / MULTI).is_dir():
        raise SetupError(
            "evaluation_data_missing",
            f"{data} does not have the folders of the public test spectra.",
            "Give their folder with --data, or spectra of yours with --manifest.",
        )
    names = Names(library, FILE_NAMES)
    return [
        _sample(label, path, group, laser_nm, names)
        for label, path, group, laser_nm in _files(data)
        if (group, path.stem) not in REPEATED
    ]


def load_makers(data: Path, library: Library) -> list[Sample]:
    """Calibration materials, lamps and glasses on instruments of other makers; [] without them.

    The OpenRAMAN unit is left out (its axis is in pixels), as are the copies in vendor formats.
    """
    names, samples = Names(library), []
    for path in sorted((data / MAKERS).rglob("*.*")):
        folder = path.parent.name
        if path.suffix not in (".txt", ".csv") or path.stem.startswith(("LICENSE", "OpenRAMAN")):
            continue
        stated = re.search(r"(532|633|785)", path.name if folder == "arcadia" else folder)
        found = next((meant for start, meant in MAKER_FILES if re.match(start, path.stem)), None)
        if folder == "fileformat_fixtures" or found is None:
            continue
        known = names.in_library(found)
        samples.append(
            Sample(
                name=f"{folder}/{path.name}",
                spectrum=formats.read(path.read_bytes(), path.name),
                kind="library" if known else "unknown",
                truth=frozenset({known} if known else ()),
                substance=known or found,
                instrument=path.stem.split("__")[0] if "__" in path.stem else folder,
                laser_nm=float(stated[1]) if stated else None,
                set="other makers",
                role="held_out",
            )
        )
    return samples


def _files(data: Path) -> Iterator[tuple[str, Path, str, float]]:
    for folder, group in (("WP-01977_2025", "WP-01977"), ("legacy_2024", "legacy_2024")):
        for path in sorted((data / SECOND / folder).glob("*.csv")):
            yield path.stem, path, group, 785.0
    with (data / MULTI / "index.csv").open(encoding="utf-8", newline="") as index:
        for row in csv.DictReader(index):
            unit = row["serial"].split()[0]
            laser = float(row["laser_nm"])
            group = unit if laser == 785.0 else f"{unit} ({laser:.0f} nm)"
            yield row["substance"], data / MULTI / row["file"], group, laser


def _sample(label: str, path: Path, group: str, laser_nm: float, names: Names) -> Sample:
    sample = Sample(
        name=path.name,
        spectrum=formats.read(path.read_bytes(), path.name),
        kind="unknown",
        truth=frozenset(),
        substance=names.id_of(label) or label.casefold(),
        instrument=group,
        laser_nm=laser_nm,
        set=group,
        role=ROLES.get(group, "held_out"),
    )
    if doubt := DOUBTFUL.get((group, path.stem)):
        return replace(sample, kind="uncounted", truth=doubt[0], note=doubt[1])
    if solute := SOLUTIONS.get(label.casefold()):
        return replace(sample, kind="uncounted", truth=frozenset({solute}), note=SOLUTION_NOTE)
    if parts := MIXED.get(label.casefold()):
        return replace(sample, kind="mixture", truth=frozenset(parts))
    if found := names.in_library(label):
        return replace(sample, kind="library", truth=frozenset({found}))
    return sample


def counts(data: Path, sample: Sample) -> Counts | None:
    """The same measurement in counts on native pixels, raw minus dark; None if the file has none.

    Needed where spectra are mixed with their noise: the processed column of WP-01977 has its
    baseline removed and is intensity corrected, so its noise is no longer that of counting.
    """
    if sample.instrument == "legacy_2024":
        return None
    folder = SECOND / "WP-01977_2025" if sample.instrument == "WP-01977" else MULTI / "spectra"
    facts: dict[str, str] = {}
    columns: dict[str, int] = {}
    points = []
    with (data / folder / sample.name).open(encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            if "Wavenumber" in row:
                columns = {name: i for i, name in enumerate(row)}
            elif not columns and len(row) > 1:
                facts[row[0]] = row[1]
            elif columns and len(row) == len(columns) and row[columns["Processed"]] != "NA":
                light = row[columns.get("Raw", columns["Processed"])]
                dark = row[columns["Dark"]] if "Dark" in columns else "0"
                points.append((float(row[columns["Wavenumber"]]), float(light) - float(dark)))
    x, y = np.array(points).T
    return Counts(x, y, float(facts["CCD Gain"]) * _frames(facts))


def _frames(facts: Mapping[str, str]) -> int:
    """Averaged frames: a field of its own, or written into the label as in "10x300ms"."""
    written = re.search(r"(\d+)x\d+ms", facts.get("Label", ""))
    return int(facts.get("Scan Averaging") or (written[1] if written else 1))
