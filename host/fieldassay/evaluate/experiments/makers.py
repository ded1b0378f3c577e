"""Instruments of other makers (CHARISMA, Arcadia Science): the only spectra that chose nothing.

Few substances, many instruments, lasers of 532, 633 and 785 nm: calcite, silicon and acetonitrile
(in the library), polystyrene (packaging, which is never the finding), lamps, glasses and LEDs (no
substance at all). Thresholds and calibration were made without them. Repeats of one sample through
several optics are no independent trials.
"""

from __future__ import annotations

from fieldassay.evaluate import judge, shared_data
from fieldassay.evaluate.setting import HELD_OUT, Setting
from fieldassay.evaluate.table import Outcome, Row, Target

NAME = "makers"
WRONG = Target(0.01, 0.0, at_most=True)


def run(setting: Setting) -> Outcome:
    """Ask every file once."""
    samples = shared_data.load_makers(setting.data, setting.library) if setting.data else []
    if not samples:
        absent = "data absent: no folder of calibration spectra"
        return Outcome([Row(NAME, "other makers: wrong substance named", "all", target=WRONG,
                            absent=absent)])  # fmt: skip
    samples = setting.some(samples, 12)
    pairs = list(zip(samples, setting.ask(samples, NAME), strict=True))
    packaging = {s.id for s in setting.library.substances.values() if s.packaging}
    inside = [(s, a) for s, a in pairs if s.kind == "library" and not s.truth & packaging]
    lasers = sorted({s.laser_nm for s, _ in inside if s.laser_nm})
    groups = [("all lasers", inside)]
    groups += [(f"{nm:.0f} nm", [(s, a) for s, a in inside if s.laser_nm == nm]) for nm in lasers]
    rows = [
        Row(NAME, "other makers: right substance named", group, n=len(own),
            count=sum(judge.right_match(a, s.truth) for s, a in own),
            substances=len({s.substance for s, _ in own}),
            instruments=len({s.instrument for s, _ in own}), tuned=HELD_OUT)
        for group, own in groups
    ]  # fmt: skip
    around = [(s, a) for s, a in pairs if s.truth & packaging]
    only = sum(judge.outcome(a, ()) == "inconclusive: only_packaging_seen" for _, a in around)
    rows.append(
        Row(NAME, "other makers: polystyrene called packaging", "all lasers", n=len(around),
            count=only, substances=1, instruments=len({s.instrument for s, _ in around}),
            tuned=HELD_OUT)
    )  # fmt: skip
    false = [(s, a) for s, a in pairs if judge.false_components(a, s.truth)]
    rows.append(
        Row(NAME, "other makers: a substance that is not there named", "all", n=len(pairs),
            count=len(false), substances=len({s.substance for s, _ in pairs}),
            instruments=len({s.instrument for s, _ in pairs}), target=WRONG, tuned=HELD_OUT)
    )  # fmt: skip
    details = [
        {"file": s.name, "instrument": s.instrument, "outcome": judge.outcome(a, s.truth),
         "named": sorted(judge.named(a))}
        for s, a in pairs
        if judge.false_components(a, s.truth) or not (
            s.kind == "unknown" or s.truth & packaging or judge.right_match(a, s.truth)
        )
    ]  # fmt: skip
    return Outcome(rows, {}, sorted(details, key=lambda d: not d["named"]))
