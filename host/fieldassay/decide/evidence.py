"""What the rules of a verdict see: evidence without spectra, and the numbers of decision.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import inf

from fieldassay.verdict import Reason

FILES = ("decision.toml", "mixture.toml", "family.toml")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers of the TOML files beside this module, by section."""

    id: str
    axis: Mapping[str, float]
    quality: Mapping[str, float]
    match: Mapping[str, float]
    unknown: Mapping[str, float]
    mixture: Mapping[str, float]
    family: Mapping[str, float]


def load_thresholds() -> Thresholds:
    """The thresholds that come with fieldassay."""
    folder = files("fieldassay.decide")
    documents = [tomllib.loads(folder.joinpath(name).read_text(encoding="utf-8")) for name in FILES]
    sections = {
        name: values
        for document in documents
        for name, values in document.items()
        if isinstance(values, dict)
    }
    return Thresholds(id="+".join(str(document["id"]) for document in documents), **sections)


@dataclass(frozen=True, slots=True)
class Named:
    """A substance as the rules need it; see `substances.SubstanceInfo` for the two marks.

    `salt`: an inorganic salt. With another metal ion its bands keep their pattern and move by a few
    cm-1, so on few bands only the axis tells it from its relatives.
    `chains`: an oil or wax of hydrocarbon chains, which is what the parts of polyethylene between
    its crystals are.
    """

    id: str
    name: str
    inchikey: str | None
    packaging: bool = False
    natural: bool = False
    salt: bool = False
    chains: bool = False


@dataclass(frozen=True, slots=True)
class Single:
    """How well the best reference of one substance fits; see `explain.Explanation`.

    `witnesses` and `shift_error_cm1`: how many parts of the axis tell its shift, and how far they
    agree; see `align.AxisFit`.
    """

    named: Named
    score: float
    bands: float
    shift_cm1: float
    witnesses: float = 0.0
    shift_error_cm1: float = inf


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a sum; see `mixtures.Part`.

    Attributes:
        named: The substance.
        share: Its part of the area of all bands, 0..1.
        gain: What the logarithm of the evidence loses without it, per unit of misfit.
        bands: Effective number of its bands that stand out.
        rival: The substance that replaces it best, and what the evidence loses by that.
        share_interval: 95 % interval of the share.
        strength: Its part of the norm of the derivative, 0..1: what is seen of it.
        agreement: On its own bands, 0..1.
        misfit: Squared residual over expectation on its own bands.
    """

    named: Named
    share: float
    gain: float
    bands: float
    rival: tuple[Named, float] | None
    share_interval: tuple[float, float] = (0.0, 1.0)
    strength: float = 0.5
    agreement: float = 1.0
    misfit: float = 0.0


@dataclass(frozen=True, slots=True)
class FamilyEvidence:
    """How much a measurement looks like a family of substances; see `families`.

    Attributes:
        id, name: The family, as a slug and as people read it.
        p_value: How often something outside the family looks like this or more so, 0..1.
        supported: Published bands of the family were looked for and found; None: none are on file.
        members: Substance ids of the members in the library.
        nearest: Names of the members that look most like it, best first.
        log10_odds: Evidence for the family, over what substances outside it have for it.
    """

    id: str
    name: str
    p_value: float
    supported: bool | None
    members: frozenset[str]
    nearest: tuple[str, ...]
    log10_odds: float = float("inf")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict rests on.

    Attributes:
        singles: Substances, best first.
        mixture: Components of the best sum, strongest first; one if no second was seen.
        mixture_score, mixture_shift_cm1: Of that sum.
        snr, informative_columns, range_cm1, background_ratio: Quality, see decision.toml.
        saturated: Detector pixels at full scale.
        interrupted: The measurement was cut short.
        notes: Reasons to add whatever the verdict is.
        families: Families it looks like, best first; only there where no substance was named.
        unexplained: Strongest band that is measured and that the best single lacks, over its own
            steepest; see `explain.Contradiction`. `unexplained_at_cm1`: where.
        missing: The strongest it has and the measurement lacks, and `missing_at_cm1`.
        library_substances: Substances of the library that was asked.
        library_others: Those of them that the library of the calibration did not have.
    """

    singles: Sequence[Single]
    mixture: Sequence[Component]
    mixture_score: float
    mixture_shift_cm1: float
    snr: float
    informative_columns: int
    range_cm1: float
    background_ratio: float
    saturated: bool
    interrupted: bool
    notes: tuple[Reason, ...] = ()
    families: tuple[FamilyEvidence, ...] = ()
    unexplained: float = 0.0
    unexplained_at_cm1: float = 0.0
    missing: float = 0.0
    missing_at_cm1: float = 0.0
    library_substances: int = 0
    library_others: int = 0
