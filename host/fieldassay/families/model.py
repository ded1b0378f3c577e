"""The families of a library as numbers: where their members have bands and other substances not.

Owns the model and its calibration, both made from the library's own references and catalogue words
alone, so an imported family needs no training and no code. Pure and deterministic. Method: naive
Bayes on band presence with frequencies shrunk to those of all other substances, in five views that
differ in scale and in how many characteristic bands they use; scores become tail probabilities by
leaving each substance out of its own library in turn (conformal prediction, Vovk et al. 2005).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay.families import profile, published
from fieldassay.families.profile import Profile
from fieldassay.library import Library

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SHRINK = 2.0  # members' frequencies count as if this many average substances were among them
CLIP = 0.03  # no frequency is surer than this
APART = 3  # points between two characteristic bands
EDGE = 4  # points at the ends of the grid that are no characteristic band
LEAST_INFORMATION = 0.02  # of a characteristic band, nats
VIEWS: tuple[tuple[int, int | None], ...] = ((0, 4), (0, 12), (0, None), (1, 4), (1, None))
WAYS: Mapping[str, tuple[int, ...]] = {
    "few bands": (0, 1, 3),
    "whole profile": (2, 4),
    "all": (0, 1, 2, 3, 4),
}
MAX_OTHERS = 400  # substances left out in turn for the calibration; all of them in a small library
TAIL = 0.1  # part of the scores whose tail is taken as exponential


@dataclass(frozen=True, slots=True)
class View:
    """Log odds of a band being there and not being there, and the points that count."""

    scale: int
    there: Floats
    lacking: Floats
    picked: NDArray[np.intp] | None

    def counted(self) -> Floats:
        """1 at the points that count, shape (B,)."""
        ones = np.ones(self.there.size)
        if self.picked is not None:
            ones[:] = 0.0
            ones[self.picked] = 1.0
        return ones


@dataclass(frozen=True, slots=True)
class FamilyModel:
    """One family of a library.

    Attributes:
        word: The catalogue's word for it.
        members: Their substance ids.
        rows: Where they stand in `Model.names`; some of them in a large family.
        views: The log odds of each of VIEWS.
        middle, spread: Of the scores of substances outside it, one a view.
        way: Which of WAYS tells its members apart best.
        log_agreeing: log10 of the part of other substances that the published bands do not
            contradict; 0 without published bands.
        typical: Evidence of a typical member left out.
    """

    word: str
    members: frozenset[str]
    rows: NDArray[np.intp]
    views: tuple[View, ...]
    middle: Floats
    spread: Floats
    way: str
    log_agreeing: float
    typical: float


@dataclass(frozen=True, slots=True)
class Model:
    """All families of a library that can be told from the rest.

    Attributes:
        families: By word.
        tails: For each of WAYS the scores of substances outside a family.
        gain, base: For each scale what a band adds to the score of a view, and what its views have
            without bands, shape (families x views, B); zero for views of the other scale.
        others: Largest evidence for a wrong family of each substance left out, sorted.
        names: Of the substances, for `nearest`.
        presence: Of the substances, in the order of `names`, shape (M, B).
    """

    families: Mapping[str, FamilyModel]
    tails: Mapping[str, Tail]
    gain: Floats
    base: Floats
    others: Floats
    names: tuple[tuple[str, str], ...]
    presence: Floats

    def evidence(self, spectrum: Profile, library: Library) -> dict[str, float]:
        """For each family -log10 of how often something outside it gets this far; 0: contradicted.

        The score of a view is the sum of its log odds over the points the spectrum has data for.
        """
        bands = spectrum.presence * spectrum.seen
        scores = sum(
            gain @ own + base @ spectrum.seen
            for gain, base, own in zip(self.gain, self.base, bands, strict=True)
        )
        found = {}
        for family, own in zip(
            self.families.values(), np.reshape(scores, (-1, len(VIEWS))), strict=True
        ):
            file = published.load().get(family.word)
            if file is not None and not published.agrees(file, spectrum, library):
                found[family.word] = 0.0
                continue
            normal = (own - family.middle) / family.spread
            value = float(normal[list(WAYS[family.way])].mean())
            tail = float(self.tails[family.way].log10(np.array([value]))[0])
            found[family.word] = -(tail + family.log_agreeing)
        return found

    def nearest(self, family: FamilyModel, spectrum: Profile, count: int) -> tuple[str, ...]:
        """Names of the members whose profile is most like it."""
        rows = family.rows
        own = spectrum.presence[0] * spectrum.seen
        others = self.presence[rows] * spectrum.seen
        norms = np.linalg.norm(others, axis=1) * np.linalg.norm(own)
        alike = others @ own / np.maximum(norms, 1e-12)
        best = np.argsort(-alike, kind="stable")[:count]
        return tuple(self.names[rows[i]][1] for i in best)


@dataclass(frozen=True, slots=True)
class Tail:
    """How often scores are exceeded: counted, and exponential in the last TAIL."""

    ordered: Floats
    limit: float
    decay: float

    @classmethod
    def of(cls, scores: Floats) -> Tail:
        """From scores of any order, shape (N,)."""
        ordered = np.sort(scores)
        limit = float(np.quantile(ordered, 1.0 - TAIL))
        above = ordered[ordered > limit] - limit
        return cls(ordered, limit, max(float(above.mean()) if above.size else 0.0, 1e-6))

    def log10(self, values: Floats) -> Floats:
        """log10 of the part of the scores above each value."""
        counted = 1.0 - np.searchsorted(self.ordered, values) / self.ordered.size
        beyond = np.log10(TAIL) - (values - self.limit) / self.decay / np.log(10.0)
        usual = np.log10(np.maximum(counted, TAIL))
        return np.asarray(np.where(values > self.limit, beyond, usual), dtype=np.float64)


def build(
    library: Library, not_chemistry: frozenset[str], min_members: int, min_typical: float
) -> Model | None:
    """The model of a library, or None if it has too few substances or no family.

    Args:
        library: References with their families.
        not_chemistry: Words that say what a substance is used as; they are no families here.
        min_members: Families with fewer substances are left out.
        min_typical: Families whose members, left out in turn, are typically less evident than
            this (-log10) are left out: they can only raise false alarms.
    """
    keys = sorted({entry.substance for entry in library.entries})
    table = _Table.of(library, keys)
    words: dict[str, Bools] = {}
    for word in sorted({w for key in keys for w in families_of(library, key)} - not_chemistry):
        member = np.array([word in families_of(library, key) for key in keys])
        if min_members <= member.sum() and member.sum() + 2 * min_members <= len(keys):
            same = next((w for w, m in words.items() if np.array_equal(m, member)), None)
            if same is None or (word in published.load() and same not in published.load()):
                words.pop(same or "", None)
                words[word] = member  # of two words for the same substances one is enough
    if not words:
        return None
    left_out = {word: table.leave_each_out(member) for word, member in words.items()}
    tails = {
        way: Tail.of(
            np.concatenate(
                [normal[used & ~words[w]][:, list(v)].mean(axis=1)
                 for w, (normal, used, _, _) in left_out.items()]
            )
        )
        for way, v in WAYS.items()
    }  # fmt: skip
    families, wrong = {}, np.zeros(len(keys))
    for word, member in words.items():
        normal, used, middle, spread = left_out[word]
        file = published.load().get(word)
        agreeing = np.ones(len(keys), dtype=np.bool_)
        if file is not None:
            agreeing = np.array(
                [any(published.agrees(file, p, library) for p in table.spectra[k]) for k in keys]
            )
        outside = ~member
        part = (np.count_nonzero(agreeing & outside) + 1.0) / (np.count_nonzero(outside) + 1.0)
        log_agreeing = float(np.log10(part)) if file is not None else 0.0
        by_way = {
            way: np.where(
                agreeing, -(tails[way].log10(normal[:, list(v)].mean(axis=1)) + log_agreeing), 0
            )
            for way, v in WAYS.items()
        }
        way = max(WAYS, key=lambda w: float(np.median(by_way[w][member & used])))
        typical = float(np.median(by_way[way][member & used]))
        if typical < min_typical:
            continue
        families[word] = FamilyModel(
            word=word,
            members=frozenset(k for k, m in zip(keys, member, strict=True) if m),
            rows=_some(np.flatnonzero(member)),
            views=table.views(member),
            middle=middle,
            spread=spread,
            way=way,
            log_agreeing=log_agreeing,
            typical=typical,
        )
        wrong = np.maximum(wrong, np.where(used & outside, by_way[way], 0.0))
    names = tuple((key, library.substances[key].name) for key in keys)
    gain, base = _stacked(families, profile.points(library.grid_cm1.size))
    return Model(families, tails, gain, base, np.sort(wrong[table.used]), names, table.presence[0])


def _some(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most MAX_OTHERS of them, evenly spread; all in a small library."""
    return rows[:: max(1, -(-rows.size // MAX_OTHERS))]


def _stacked(families: Mapping[str, FamilyModel], points: int) -> tuple[Floats, Floats]:
    """The views of all families as matrices; see `Model`."""
    views = [view for family in families.values() for view in family.views]
    gain = np.zeros((len(profile.SCALES), len(views), points))
    base = np.zeros_like(gain)
    for row, view in enumerate(views):
        gain[view.scale, row] = view.counted() * (view.there - view.lacking)
        base[view.scale, row] = view.counted() * view.lacking
    return gain, base


def families_of(library: Library, substance: str) -> tuple[str, ...]:
    """The catalogue words of a substance."""
    known = library.substances[substance]
    return known.families or ((known.family,) if known.family else ())


class _Table:
    """Band presence of every substance: the mean over its references, with what they cover."""

    def __init__(
        self, spectra: Mapping[str, list[Profile]], presence: Floats, seen: Floats, used: Bools
    ) -> None:
        self.spectra = spectra
        self.presence = presence  # (S, M, B), 0 where not seen
        self.seen = seen  # (M, B)
        self.used = used  # (M,)

    @classmethod
    def of(cls, library: Library, keys: list[str]) -> _Table:
        spectra: dict[str, list[Profile]] = {key: [] for key in keys}
        for entry in library.entries:
            edge = profile.EDGE_COLUMNS
            window = (entry.first + edge, max(entry.last - edge, entry.first + edge))
            row = library.linear[entry.row].astype(np.float64)
            spectra[entry.substance].append(profile.of(row, None, window))
        presence, seen = [], []
        for key in keys:
            data = np.array([p.seen for p in spectra[key]])
            bands = np.array([p.presence * p.seen for p in spectra[key]])
            presence.append(bands.sum(axis=0) / np.maximum(data.sum(axis=0), 1.0))
            seen.append(data.max(axis=0))
        stride = -(-len(keys) // MAX_OTHERS)
        used = np.arange(len(keys)) % stride == 0
        return cls(spectra, np.array(presence).transpose(1, 0, 2), np.array(seen), used)

    def views(self, member: Bools) -> tuple[View, ...]:
        """The log odds of a family."""
        made = {}
        for scale in {scale for scale, _ in VIEWS}:
            made[scale] = _log_odds(*self._sums(scale, member))
        return tuple(
            View(scale, made[scale][0], made[scale][1], _picked(made[scale][2], count))
            for scale, count in VIEWS
        )

    def leave_each_out(self, member: Bools) -> tuple[Floats, Bools, Floats, Floats]:
        """Scores of every substance by a model without it.

        Returns:
            Scores less the middle over the spread of the others, shape (M, V); which substances
            were scored, (M,); middle and spread, (V,).
        """
        used = self.used.copy()
        used[_some(np.flatnonzero(member))] = True
        whole = self.views(member)
        scores = np.zeros((member.size, len(VIEWS)))
        for scale in {scale for scale, _ in VIEWS}:
            inside, n_inside, outside, n_outside = self._sums(scale, member)
            for i in np.flatnonzero(used):
                own, seen = self.presence[scale, i], self.seen[i]
                if member[i]:
                    odds = _log_odds(inside - own, n_inside - seen, outside, n_outside)
                else:
                    odds = _log_odds(inside, n_inside, outside - own, n_outside - seen)
                values = (own * odds[0] + (1.0 - own) * odds[1]) * seen
                for v, (of_scale, count) in enumerate(VIEWS):
                    if of_scale == scale:
                        picked = _picked(odds[2], count) if member[i] else whole[v].picked
                        scores[i, v] = values.sum() if picked is None else values[picked].sum()
        others = scores[used & ~member]
        middle = np.median(others, axis=0)
        spread = others.std(axis=0) + 1e-6
        return (scores - middle) / spread, used, middle, spread

    def _sums(self, scale: int, member: Bools) -> tuple[Floats, Floats, Floats, Floats]:
        bands, seen = self.presence[scale], self.seen
        return (
            bands[member].sum(axis=0), seen[member].sum(axis=0),
            bands[~member].sum(axis=0), seen[~member].sum(axis=0),
        )  # fmt: skip


def _log_odds(
    inside: Floats, n_inside: Floats, outside: Floats, n_outside: Floats
) -> tuple[Floats, Floats, Floats]:
    """Log odds of a band there and lacking, and the information in it, each (B,)."""
    usual = (outside + 0.5) / (n_outside + 1.0)
    theirs = np.clip((inside + SHRINK * usual) / (n_inside + SHRINK), CLIP, 1.0 - CLIP)
    usual = np.clip(usual, CLIP, 1.0 - CLIP)
    there = np.log(theirs / usual)
    lacking = np.log((1.0 - theirs) / (1.0 - usual))
    return there, lacking, theirs * there + (1.0 - theirs) * lacking


def _picked(information: Floats, count: int | None) -> NDArray[np.intp] | None:
    """The most characteristic points, apart from each other."""
    if count is None:
        return None
    left = information.copy()
    left[:EDGE] = left[-EDGE:] = 0.0
    found: list[int] = []
    while len(found) < count:
        best = int(left.argmax())
        if left[best] <= LEAST_INFORMATION:
            break
        found.append(best)
        left[max(0, best - APART) : best + APART + 1] = 0.0
    return np.array(found, dtype=np.intp)
