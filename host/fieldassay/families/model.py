"""The families of a library as numbers: where their members have bands and other substances not.

Owns the model and its calibration, both made from the library's own references and catalogue words
alone, so an imported family needs no training and no code. Pure and deterministic. Method: naive
Bayes on band presence with frequencies shrunk to those of all other substances, in five views that
differ in scale and in how many characteristic bands they use; how alike the most alike member is;
how rare it is that published bands do not contradict. Together they are log odds, over what others
than members have of them: the mean of such odds over non-members, so that by chance they rarely
exceed 1/p (Markov's inequality; e-values, Vovk and Wang 2021). Each substance is left out in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay.families import profile, published
from fieldassay.families.profile import Profile
from fieldassay.library import Entry, Library

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]
Singles = NDArray[np.float32]

SHRINK = 2.0  # members' frequencies count as if this many average substances were among them
CLIP = 0.03  # no frequency is surer than this
APART = 3  # points between two characteristic bands
EDGE = 4  # points at the ends of the grid that are no characteristic band
LEAST_INFORMATION = 0.02  # of a characteristic band, nats
VIEWS: tuple[tuple[int, int | None], ...] = ((0, 4), (0, 12), (0, None), (1, 4), (1, None))
# A large library is sampled evenly; a small one is used whole.
MAX_OTHERS = 200  # substances left out in turn
MAX_MEMBERS = 16  # members of a family
MAX_REFERENCES = 3  # of a substance


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
        members: Their substance ids, all of them.
        rows: Where those that are looked at stand in `Model.curves`.
        views: The log odds of each of VIEWS.
        middle, spread: Of the scores of substances outside it, one a view.
        rarity: Logarithm of 1 over the part of other substances that the published bands do not
            contradict; 0 without published bands.
        offset: Logarithm of the mean odds of substances outside it.
        typical: Evidence of a typical member left out.
    """

    word: str
    members: frozenset[str]
    rows: Rows
    views: tuple[View, ...]
    middle: Floats
    spread: Floats
    rarity: float
    offset: float
    typical: float


@dataclass(frozen=True, slots=True)
class Weights:
    """What evidence is worth, as logarithms of odds; the same for every family.

    Attributes:
        bands: Of one standard deviation of the scores of band presence.
        likeness: Of a cosine of 1 to the most alike member.
        base: Of neither.
    """

    bands: float
    likeness: float
    base: float

    def __call__(self, bands: Floats, likeness: Floats) -> Floats:
        """Log odds, of any shape."""
        return self.base + self.bands * bands + self.likeness * likeness


@dataclass(frozen=True, slots=True)
class Model:
    """All families of a library that can be told from the rest.

    Attributes:
        families: By word.
        weights: Of the evidence.
        files: Published bands by word.
        gain, base: For each scale what a band adds to the score of a view, and what its views have
            without bands, shape (families x views, B); zero for views of the other scale.
        others: Evidence of each substance left out for a wrong family, if it is the largest of
            all; 0 if a right one is. Sorted.
        names: Of the substances that `curves` are of.
        curves: Of references of members, see `profile.likeness`, shape (R, B).
    """

    families: Mapping[str, FamilyModel]
    weights: Weights
    files: Mapping[str, published.Published]
    gain: Floats
    base: Floats
    others: Floats
    names: tuple[str, ...]
    curves: Singles

    def evidence(self, spectrum: Profile, library: Library) -> dict[str, float]:
        """For each family the log10 of the odds over those of other substances; 0: none.

        The score of a view is the sum of its log odds over the points the spectrum has data for.
        """
        bands = spectrum.presence * spectrum.seen
        scores = sum(
            gain @ own + base @ spectrum.seen
            for gain, base, own in zip(self.gain, self.base, bands, strict=True)
        )
        alike = profile.likeness(self.curves, [spectrum])[0]
        found = {}
        for family, own in zip(
            self.families.values(), np.reshape(scores, (-1, len(VIEWS))), strict=True
        ):
            file = self.files.get(family.word)
            if file is not None and not published.agrees(file, spectrum, library):
                found[family.word] = 0.0
                continue
            normal = np.mean((own - family.middle) / family.spread)
            odds = float(self.weights(normal, alike[family.rows].max()))
            found[family.word] = max((odds + family.rarity - family.offset) / LN10, 0.0)
        return found

    def nearest(self, family: FamilyModel, spectrum: Profile, count: int) -> tuple[str, ...]:
        """Names of the members most like it."""
        alike = profile.likeness(self.curves[family.rows], [spectrum])[0]
        ordered = (self.names[family.rows[i]] for i in np.argsort(-alike, kind="stable"))
        return tuple(dict.fromkeys(ordered))[:count]


LN10 = float(np.log(10.0))


def build(
    library: Library,
    not_named: frozenset[str],
    numbers: Mapping[str, float],
    files: Mapping[str, published.Published] | None = None,
) -> Model | None:
    """The model of a library, or None if it has too few substances or no family.

    Args:
        library: References with their families.
        not_named: Words that are no families here.
        numbers: `min_members`: families with fewer substances are left out. `min_typical`: families
            whose members, left out in turn, are typically less evident than this (log10) are left
            out: they can only raise false alarms. `bands_weight`, `likeness_weight`, `base`: see
            `Weights`.
        files: Published bands by word; None: those that come with fieldassay.
    """
    files = published.load() if files is None else files
    weights = Weights(numbers["bands_weight"], numbers["likeness_weight"], numbers["base"])
    words = _words(library, not_named, int(numbers["min_members"]))
    if not words:
        return None
    table = _Table.of(library, words)
    families, wrong = {}, np.zeros(len(table.keys))
    right = np.zeros(len(table.keys))
    for word, members in words.items():
        member = np.array([key in members for key in table.keys])
        normal, middle, spread = table.leave_each_out(member)
        odds = weights(normal.mean(axis=1), table.likeness_left_out(member))
        others = table.used & ~member
        agreeing, rarity = np.ones(member.size, dtype=bool), 0.0
        if (file := files.get(word)) is not None:
            agreeing = table.agreeing(file, library)
            outside = agreeing[others]
            rarity = float(-np.log((outside.sum() + 1.0) / (outside.size + 1.0)))
        odds = np.where(agreeing & (table.used | member), odds + rarity, -np.inf)
        # One more outsider, at even odds, so that none is no certainty.
        offset = float(np.log((np.exp(odds[others]).sum() + 1.0) / (others.sum() + 1.0)))
        evidence = np.maximum((odds - offset) / LN10, 0.0)
        typical = float(np.median(evidence[member]))
        if typical < numbers["min_typical"]:
            continue
        families[word] = FamilyModel(
            word=word,
            members=members,
            rows=table.curves_of(member),
            views=table.views(member),
            middle=middle,
            spread=spread,
            rarity=rarity,
            offset=offset,
            typical=typical,
        )
        right = np.where(member, np.maximum(right, evidence), right)
        wrong = np.where(member, wrong, np.maximum(wrong, evidence))
    if not families:
        return None
    noted = np.sort(np.where(wrong > right, wrong, 0.0)[table.used])
    names = tuple(library.substances[table.keys[i]].name for i in table.owner)
    gain, base = _stacked(families, profile.points(library.grid_cm1.size))
    return Model(families, weights, files, gain, base, noted, names, table.curves)


def _words(
    library: Library, not_named: frozenset[str], min_members: int
) -> dict[str, frozenset[str]]:
    """The families to look at: their members."""
    keys = sorted({entry.substance for entry in library.entries})
    members: dict[str, set[str]] = {}
    for key in keys:
        for word in families_of(library, key):
            if word not in not_named:
                members.setdefault(word, set()).add(key)
    found: dict[str, frozenset[str]] = {}
    for word, own in sorted(members.items()):
        if min_members <= len(own) and len(own) + 2 * min_members <= len(keys):
            same = next((w for w, m in found.items() if m == own), None)
            if same is None or (word in published.load() and same not in published.load()):
                found.pop(same or "", None)
                found[word] = frozenset(own)  # of two words for the same substances one is enough
    return found


def _some(names: list[str], most: int) -> list[str]:
    """At most so many of them, evenly spread."""
    return names[:: max(1, -(-len(names) // most))]


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
    """Band presence of the substances that are looked at: the mean over references, and curves."""

    def __init__(
        self,
        keys: list[str],
        used: Bools,
        spectra: list[list[Profile]],
        presence: Floats,
        seen: Floats,
    ) -> None:
        self.keys = keys
        self.used = used  # (M,): those that are others of every family
        self.spectra = spectra
        self.presence = presence  # (S, M, B), 0 where not seen
        self.seen = seen  # (M, B)
        flat = [p for own in spectra for p in own]
        self.curves = np.array([p.curve for p in flat], dtype=np.float32)
        self.owner = np.array([i for i, own in enumerate(spectra) for _ in own])
        self.alike = profile.likeness(self.curves, flat)  # (measured, reference)

    @classmethod
    def of(cls, library: Library, words: Mapping[str, frozenset[str]]) -> _Table:
        entries: dict[str, list[Entry]] = {}
        for entry in library.entries:
            entries.setdefault(entry.substance, []).append(entry)
        others = set(_some(sorted(entries), MAX_OTHERS))
        wanted = set(others)
        for members in words.values():
            wanted |= set(_some(sorted(members), MAX_MEMBERS))
        keys = sorted(wanted)
        spectra, presence, seen = [], [], []
        for key in keys:
            own = entries[key]
            some = [_profile(library, e) for e in own[:: -(-len(own) // MAX_REFERENCES)]]
            data = np.array([p.seen for p in some])
            bands = np.array([p.presence * p.seen for p in some])
            spectra.append(some)
            presence.append(bands.sum(axis=0) / np.maximum(data.sum(axis=0), 1.0))
            seen.append(data.max(axis=0))
        used = np.array([key in others for key in keys])
        return cls(keys, used, spectra, np.array(presence).transpose(1, 0, 2), np.array(seen))

    def views(self, member: Bools) -> tuple[View, ...]:
        """The log odds of a family."""
        made = {}
        for scale in {scale for scale, _ in VIEWS}:
            made[scale] = _log_odds(*self._sums(scale, member))
        return tuple(
            View(scale, made[scale][0], made[scale][1], _picked(made[scale][2], count))
            for scale, count in VIEWS
        )

    def curves_of(self, member: Bools) -> Rows:
        """Rows of the curves of some substances."""
        return np.flatnonzero(member[self.owner])

    def likeness_left_out(self, member: Bools) -> Floats:
        """Of each substance to the most alike other member; the mean over its references; (M,)."""
        theirs = self.curves_of(member)
        alike = self.alike[:, theirs]
        alike = np.where(self.owner[:, None] == self.owner[theirs], -1.0, alike).max(axis=1)
        return np.bincount(self.owner, alike) / np.bincount(self.owner)

    def agreeing(self, file: published.Published, library: Library) -> Bools:
        """Substances that the published bands do not contradict; (M,)."""
        return np.array(
            [any(published.agrees(file, p, library) for p in own) for own in self.spectra]
        )

    def leave_each_out(self, member: Bools) -> tuple[Floats, Floats, Floats]:
        """Scores of members and others by a model without them.

        Returns:
            Scores less the middle over the spread of the others, shape (M, V), only of what is used
            here; middle and spread, (V,).
        """
        rows = np.flatnonzero(self.used | member)
        whole = self.views(member)
        scores = np.zeros((member.size, len(VIEWS)))
        for scale in {scale for scale, _ in VIEWS}:
            inside, n_inside, outside, n_outside = self._sums(scale, member)
            bands, seen, at = self.presence[scale, rows], self.seen[rows], member[rows, None]
            there, lacking, information = _log_odds(
                inside - bands * at, n_inside - seen * at,
                outside - bands * ~at, n_outside - seen * ~at,
            )  # fmt: skip
            values = (bands * there + (1.0 - bands) * lacking) * seen
            for v, (of_scale, count) in enumerate(VIEWS):
                if of_scale != scale:
                    continue
                scores[rows, v] = values @ whole[v].counted()
                for i in np.flatnonzero(member[rows]) if count is not None else ():
                    scores[rows[i], v] = values[i, _picked(information[i], count)].sum()
        others = scores[self.used & ~member]
        middle = np.median(others, axis=0)
        spread = others.std(axis=0) + 1e-6
        return (scores - middle) / spread, middle, spread

    def _sums(self, scale: int, member: Bools) -> tuple[Floats, Floats, Floats, Floats]:
        bands, seen = self.presence[scale], self.seen
        return (
            bands[member].sum(axis=0), seen[member].sum(axis=0),
            bands[~member].sum(axis=0), seen[~member].sum(axis=0),
        )  # fmt: skip


def _profile(library: Library, entry: Entry) -> Profile:
    edge = profile.EDGE_COLUMNS
    window = (entry.first + edge, max(entry.last - edge, entry.first + edge))
    return profile.of(library.linear[entry.row].astype(np.float64), None, window)


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
