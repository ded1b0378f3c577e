"""Several spots of one sample: what may be said about the whole.

Owns the combination. Pure. Uneven samples ("chocolate chip cookies") show different substances at
different spots; even ones show the same at each, and their mean has less noise. So every spot and
the mean are identified on their own, and what any of them names counts. Each of the n + 1 looks
has the error rate of a single verdict, so that of the combination is at most their sum; the reason
says how many spots showed each substance, and a single one among many is for people to weigh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fieldassay import calibration, decide
from fieldassay.decide import wording
from fieldassay.errors import FormatError
from fieldassay.identify import Context, identify
from fieldassay.library import Library
from fieldassay.spectrum import Axis, Spectrum, Step
from fieldassay.verdict import Identification, Reason, Substance, Verdict, VerdictKind

Floats = NDArray[np.float64]
NAMING = ("match", "mixture")


@dataclass(frozen=True, slots=True)
class Combined:
    """The whole and its parts.

    Attributes:
        whole: What is said about the sample.
        spots: The identification of each spot, in the order given.
        mean: That of the mean spectrum; None if fewer than two spots could be averaged.
    """

    whole: Identification
    spots: tuple[Identification, ...]
    mean: Identification | None


def combine(
    spectra: Sequence[Spectrum], library: Library, contexts: Sequence[Context] = ()
) -> Combined:
    """Identify the spots of one sample together.

    Args:
        spectra: One or more, each on an axis in cm-1, or in nm with the laser in its context.
        library: The references.
        contexts: One for each spectrum; default: nothing is known.

    Raises:
        FormatError: `no_spots`; an axis cannot be converted or does not overlap the library.
    """
    if not spectra:
        raise FormatError("no_spots", "There is no spot to combine.", "Give one file or more.")
    known = list(contexts) or [Context()] * len(spectra)
    moved = [
        calibration.to_wavenumber(spectrum, context.excitation_nm)
        for spectrum, context in zip(spectra, known, strict=True)
    ]
    spots = tuple(
        identify(spectrum, library, context) for spectrum, context in zip(moved, known, strict=True)
    )
    usable = [n for n, spot in enumerate(spots) if not spot.quality.saturated]
    mean = None
    if len(usable) > 1 and (averaged := average([moved[n] for n in usable])) is not None:
        mean = identify(averaged, library, replace(known[usable[0]], saturated=False, flags=()))
    return Combined(_whole(spots, mean, library), spots, mean)


def average(spectra: Sequence[Spectrum]) -> Spectrum | None:
    """The mean on the axis of the first spectrum, over the range all share; None if there is none.

    The noise of the mean is that of the sum of independent measurements, shape as the axis.
    """
    low = max(float(s.axis.values[0]) for s in spectra)
    high = min(float(s.axis.values[-1]) for s in spectra)
    axis = spectra[0].axis.values
    inside = axis[(axis >= low) & (axis <= high)]
    if inside.size < 2:
        return None
    stacked = np.stack([np.interp(inside, s.axis.values, s.intensity) for s in spectra])
    told = [s.noise for s in spectra if s.noise is not None]
    noise = None
    if len(told) == len(spectra):
        variance = np.stack(
            [
                np.interp(inside, s.axis.values, sigma**2)
                for s, sigma in zip(spectra, told, strict=True)
            ]
        )
        noise = np.sqrt(variance.sum(axis=0)) / len(spectra)
    return Spectrum(
        axis=Axis(inside, spectra[0].axis.unit),
        intensity=stacked.mean(axis=0),
        unit=spectra[0].unit,
        noise=noise,
        steps=(*spectra[0].steps, Step("mean_of_spots/1", {"spots": len(spectra)})),
        meta=spectra[0].meta,
    )


def _whole(
    spots: Sequence[Identification], mean: Identification | None, library: Library
) -> Identification:
    base = mean or max(spots, key=lambda spot: spot.quality.snr)
    if len(spots) == 1:
        return spots[0]
    looks = [*spots, *([mean] if mean else [])]
    found = _found(spots, looks)
    unknown = [spot for spot in spots if spot.verdict.kind in ("out_of_library", "class")]
    if found:
        verdict = _named(spots, looks, found, unknown)
    elif unknown:
        verdict = _with_note(unknown[0].verdict, spots)
    else:
        verdict = _with_note(base.verdict, spots)
    cards = {s.id: s.hazard_card for s in library.substances.values()}
    card = decide.hazard_card(verdict, cards)
    if unknown:  # an unknown part is handled as an unknown, whatever else was named
        card = decide.CARDS_STRICTEST_FIRST[0]
    details = {**base.quality.details, "spots": float(len(spots))}
    return replace(
        base, verdict=verdict, hazard_card=card, quality=replace(base.quality, details=details)
    )


def _found(
    spots: Sequence[Identification], looks: Sequence[Identification]
) -> list[tuple[Substance, int]]:
    """Each named substance with its mean share and the number of spots that name it."""
    named: dict[str, Substance] = {}
    for look in looks:
        if look.verdict.kind in NAMING:
            for substance in look.verdict.substances:
                named.setdefault(substance.id, substance)
    naming = [s for s in spots if s.verdict.kind in NAMING] or [
        look for look in looks if look.verdict.kind in NAMING
    ]
    result = []
    for substance in named.values():
        shares = [
            next((x.share or 0.0 for x in look.verdict.substances if x.id == substance.id), 0.0)
            for look in naming
        ]
        # The spread between spots, not the fit of one, is what the share of the sample rests on.
        mean = float(np.mean(shares))
        interval = (min(shares), max(shares)) if len(shares) > 1 else substance.share_interval
        times = sum(
            any(x.id == substance.id for x in spot.verdict.substances)
            for spot in spots
            if spot.verdict.kind in NAMING
        )
        result.append((replace(substance, share=mean, share_interval=interval), times))
    return sorted(result, key=lambda item: (-(item[0].share or 0.0), item[0].id))


def _named(
    spots: Sequence[Identification],
    looks: Sequence[Identification],
    found: Sequence[tuple[Substance, int]],
    unknown: Sequence[Identification],
) -> Verdict:
    total = len(spots)
    seen = ", ".join(f"{s.name} at {times} of {total} spots" for s, times in found)
    reasons = [Reason("spots_combined", f"Seen: {seen}.")]
    if any(times < total for _, times in found):
        reasons.append(
            Reason(
                "spots_differ",
                "The spots differ, so shares are of the spots measured and not of the sample.",
            )
        )
    if unknown:
        reasons.append(
            Reason(
                "spot_unexplained",
                f"{len(unknown)} of {total} spots show something that no reference explains.",
            )
        )
    codes = {reason.code for reason in reasons}
    for look in looks:
        for reason in look.verdict.reasons if look.verdict.kind in NAMING else ():
            if reason.code not in codes:
                codes.add(reason.code)
                reasons.append(reason)
    kind: VerdictKind = "match" if len(found) == 1 else "mixture"
    do_next = wording.FOLLOW_CARD
    if unknown:
        do_next = f"{wording.AS_UNKNOWN} {wording.FOLLOW_CARD}"
    return Verdict(kind, tuple(s for s, _ in found), tuple(reasons), do_next)


def _with_note(verdict: Verdict, spots: Sequence[Identification]) -> Verdict:
    kinds = ", ".join(
        f"{sum(s.verdict.kind == kind for s in spots)} {kind.replace('_', ' ')}"
        for kind in dict.fromkeys(s.verdict.kind for s in spots)
    )
    note = Reason("spots_combined", f"{len(spots)} spots were measured: {kinds}.")
    first, *rest = verdict.reasons
    return replace(verdict, reasons=(first, note, *rest))
