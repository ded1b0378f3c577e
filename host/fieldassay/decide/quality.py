"""Rule: is the measurement good enough to say anything?"""

from __future__ import annotations

from fieldassay.decide.evidence import Evidence, Thresholds
from fieldassay.decide.wording import inconclusive
from fieldassay.verdict import Verdict


def bad_measurement(e: Evidence, t: Thresholds) -> Verdict | None:
    """A verdict if the measurement cannot carry one, or None."""
    if e.interrupted:
        return inconclusive(
            "interrupted",
            "The measurement was interrupted.",
            "Close the lid, hold still and measure again.",
        )
    if e.saturated:
        return inconclusive(
            "saturated",
            "The detector was at full scale, so band heights are not true.",
            "Shade the sample, move the probe a little away and measure again.",
        )
    if e.range_cm1 < t.quality["min_range_cm1"]:
        return inconclusive(
            "range_too_small",
            f"Only {max(e.range_cm1, 0):.0f} cm-1 can be compared with the library.",
            "Use a measurement or file that covers more of 300 to 2300 cm-1.",
        )
    few = e.informative_columns < t.quality["min_informative_columns"]
    if not few and e.snr >= t.quality["min_snr"]:
        return None
    if e.background_ratio > t.quality["background_ratio"]:
        return inconclusive(
            "background_only",
            "There is strong background (fluorescence or ambient light) and no distinct band.",
            "Shade the sample and try another spot; dark samples may need another technique.",
        )
    return inconclusive(
        "low_signal",
        "The signal is too weak to tell substances apart.",
        "Move closer, hold still, and measure where the wall is thinner.",
    )
