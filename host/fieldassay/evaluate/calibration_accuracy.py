"""How well other makers' instruments are calibrated from their own files.

Owns the list of spectra, the comparison with standards that were not used, and the page
docs/explanation/calibration-accuracy.md (`python -m fieldassay.evaluate.calibration_accuracy DATA`
prints it). The calibration itself is `calibrate`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fieldassay import formats
from fieldassay.calibrate import assign, peaks
from fieldassay.calibrate.lamps import lamp
from fieldassay.calibrate.measured import Given, session
from fieldassay.calibrate.solve import Measured, Solved, bands_on, objections, solve
from fieldassay.errors import CalibrationError
from fieldassay.spectrum import Spectrum

Floats = NDArray[np.float64]
ROUGH_CM1 = 6.0  # a calibrated axis is not further off; wider, a neighbour could be taken
SHARP_CM1 = 1.0  # bands with a smaller uncertainty in the standard are called sharp


@dataclass(frozen=True, slots=True)
class Instrument:
    """Files of one instrument: lamp exposures, and (standard, file) pairs."""

    name: str
    laser_nm: float
    neon: tuple[str, ...]
    standards: tuple[tuple[str, str], ...]


def _set(
    name: str, laser_nm: float, neon: str, files: str, polystyrene: str, *others: str
) -> Instrument:
    known = {"S0": "silicon", "S1": "silicon", "Si": "silicon", "nC": "calcite", "sC": "calcite"}
    pairs = [("polystyrene", f"{files}{polystyrene}.txt")]
    pairs += [(known[other[:2]], f"{files}{other}.txt") for other in others]
    return Instrument(name, laser_nm, tuple(f"{files}{n}.txt" for n in neon.split()), tuple(pairs))


_B785, _B532 = "ICV_BW785/", "ICV_BW532/"
INSTRUMENTS = (
    _set("B&W Tek 785, x20", 784.82, "Ne_785nm_x20_50ms", _B785, "PST02_iRPlus785_Z020_100_1300ms",
         "nCAL02_iRPlus785_Z020_100_1100ms", "sCAL02_iRPlus785_Z020_100_2400ms",
         "S0N02_iRPlus785_Z020_100_3800ms", "S0P02_iRPlus785_Z020_100_12000ms",
         "S1N02_iRPlus785_Z020_100_3800ms"),
    _set("B&W Tek 785, x50", 784.82, "Ne_785nm_x20_50ms", _B785, "PST02_iRPlus785_Z050_100_3200ms",
         "nCAL02_iRPlus785_Z050_100_2100ms", "sCAL02_iRPlus785_Z050_100_3800ms",
         "S0N02_iRPlus785_Z050_100_3200ms", "S0P02_iRPlus785_Z050_100_5700ms",
         "S0B02_iRPlus785_Z050_100_5500ms", "S1N02_iRPlus785_Z050_100_2100ms"),
    _set("B&W Tek 785, x100", 784.82, "Ne_785nm_x20_50ms", _B785, "PST02_iRPlus785_Z100_100_9000ms",
         "nCAL02_iRPlus785_Z100_100_6000ms", "sCAL02_iRPlus785_Z100_100_9500ms",
         "S0N02_iRPlus785_Z100_100_3100ms", "S0P02_iRPlus785_Z100_100_4800ms",
         "S0B02_iRPlus785_Z100_100_4700ms", "S1N02_iRPlus785_Z100_100_2000ms"),
    _set("B&W Tek 532, probe", 532.02,
         "NeonSNQ043_iR532_Probe_5msx2 NeonSNQ043_iR532_Probe_100msx2", "FMNT-M_BW532/",
         "PST10_iR532_Probe_100_3000msx7", "nCAL10_iR532_Probe_100_2500msx3",
         "sCAL10_iR532_Probe_100_3200msx4", "Sil10_iR532_Probe_100_60000msx2",
         "S0B10_iR532_Probe_100_60000msx2", "S0N10_iR532_Probe_100_30000msx3",
         "S0P10_iR532_Probe_100_60000msx2", "S1N10_iR532_Probe_100_22000msx2"),
    _set("B&W Tek 532, x50", 532.14, "Ne_532nm_x50_25ms Ne_532nm_x50_800ms", _B532,
         "PST02_iRPlus532_Z050_100_2500msx5", "nCAL02_iRPlus532_Z050_100_9000ms",
         "sCAL02_iRPlus532_Z050_100_20000ms", "S0B02_iRPlus532_Z050_100_30000ms",
         "S0N02_iRPlus532_Z050_100_40000ms", "S0P02_iRPlus532_Z050_100_30000ms",
         "S1N02_iRPlus532_Z050_100_12000ms"),
    _set("B&W Tek 532, x100", 532.14, "Ne_532nm_x100_110ms Ne_532nm_x100_2000ms", _B532,
         "PST02_iRPlus532_Z100_100_50000ms", "nCAL02_iRPlus532_Z100_100_30000ms",
         "sCAL02_iRPlus532_Z100_100_65000ms", "S0B02_iRPlus532_Z100_100_22000ms",
         "S0N02_iRPlus532_Z100_100_28000ms", "S0P02_iRPlus532_Z100_100_20000ms",
         "S1N02_iRPlus532_Z100_100_6500ms"),
    _set("Horiba 785, OP01", 785.0, "NeonSNQ043_iR785_OP01", "FMNT-M_Ho785/",
         "PST10_iR785_OP01_40000msx4", "nCAL10_iR785_OP01_6000msx4", "sCAL10_iR785_OP01_4000msx4",
         "Sil10_iR785_OP01_6000msx4", "S0B10_iR785_OP01_6000msx4", "S0N10_iR785_OP01_6000msx4",
         "S0P10_iR785_OP01_6000msx4", "S1N10_iR785_OP01_6000msx4"),
    _set("Horiba 785, OP02", 785.0, "NeonSNQ043_iR785_OP02", "FMNT-M_Ho785/",
         "PST10_iR785_OP02_50000msx2", "nCAL10_iR785_OP02_20000msx2", "sCAL10_iR785_OP02_15000msx2",
         "Sil10_iR785_OP02_25000msx2", "S0B10_iR785_OP02_25000msx2", "S0N10_iR785_OP02_25000msx2",
         "S0P10_iR785_OP02_25000msx2", "S1N10_iR785_OP02_25000msx2"),
    _set("Horiba 785, OP03", 784.3, "NeonSNQ043_iR785_OP03", "FMNT-M_Ho785/",
         "PST10_iR785_OP03_8000msx2", "nCAL10_iR785_OP03_8000msx2", "sCAL10_iR785_OP03_8000msx2",
         "Sil10_iR785_OP03_8000msx2", "S0B10_iR785_OP03_8000msx2", "S0N10_iR785_OP03_8000msx2",
         "S0P10_iR785_OP03_8000msx2", "S1N10_iR785_OP03_8000msx2"),
    _set("Horiba 633", 632.8, "neon_new2_Z010", "TOP_Ho633/", "Pol_HLR633_Z010_100_15sx5",
         "nCAL_HLR633_Z010_100_5sx5", "sCAL_HLR633_Z010_100_15sx5", "Si_HLR633_Z010_100_40sx5",
         "S0B_HLR633_Z010_100_40sx5", "S0N_HLR633_Z010_100_15sx5", "S0P_HLR633_Z010_100_40sx5",
         "S1N_HLR633_Z010_100_10sx5"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """One instrument calibrated with one standard and tested with the others.

    Attributes:
        instrument: Its name.
        used: The standard in the fit.
        solved: The calibration; None if it was refused outright.
        refusal: Why it would not be put on a unit; empty if it would.
        off_cm1: Band minus true for every band of the other standards within the lines' range.
        sharp: Which of them are sharp.
        beyond: Bands of the others outside that range: not counted.
        unseen: Files in which the standard was not recognised.
    """

    instrument: str
    used: str
    solved: Solved | None
    refusal: tuple[str, ...]
    off_cm1: Floats
    sharp: NDArray[np.bool_]
    beyond: int
    unseen: int

    def rms_cm1(self, sharp_only: bool = False) -> float:
        """Root mean square of `off_cm1`; NaN if nothing could be tested."""
        off = self.off_cm1[self.sharp] if sharp_only else self.off_cm1
        return float(np.sqrt(np.mean(off**2))) if off.size else float("nan")


def evaluate(instrument: Instrument, used: str, data: Path) -> Outcome:
    """Calibrate with neon and the first file of `used`; test on all files of other standards."""
    given = [Given("neon", _read(data, name), name) for name in instrument.neon]
    given += [Given(name, _read(data, file), file) for name, file in instrument.standards]
    common = session(given, instrument.laser_nm)
    lamps = [m for m in common.measured if m.name == "neon"]
    own = next(m for m in common.measured if m.name == used)
    nothing = np.zeros(0)
    try:
        solved = solve(lamps, [own], instrument.laser_nm, common.guess)
    except CalibrationError as error:
        return Outcome(
            instrument.name, used, None, (error.what,), nothing, nothing.astype(bool), 0, 0
        )
    others = [m for m in common.measured if m.name not in ("neon", used)]
    off, sharp, beyond, unseen = _tested(solved, others)
    positions = lamps[0].at
    return Outcome(
        instrument.name, used, solved, tuple(objections(solved, positions)), off, sharp, beyond,
        unseen,
    )  # fmt: skip


def _tested(solved: Solved, others: list[Measured]) -> tuple[Floats, NDArray[np.bool_], int, int]:
    axis = solved.axis
    assert axis.laser_nm is not None
    low, high = axis.span()
    off: list[float] = []
    sharp: list[bool] = []
    beyond = unseen = 0
    for measured in others:
        try:
            lines, _ = bands_on(measured, axis, axis.laser_nm, ROUGH_CM1)
        except CalibrationError:
            unseen += 1
            continue
        inside = (lines.at >= low) & (lines.at <= high)
        beyond += int(np.sum(~inside))
        off += list((axis.shift_cm1(lines.at) - lines.known)[inside])
        sharp += list((lines.known_error < SHARP_CM1)[inside])
    return np.array(off), np.array(sharp, dtype=np.bool_), beyond, unseen


def open_raman(data: Path) -> assign.Assignment:
    """The do-it-yourself spectrometer whose file has a pixel axis only: neon without any guess."""
    file = "arcadia/OpenRAMAN__neon_n_n_n_solid_10000_0_5.csv"
    spectrum = formats.read((data / "calibration" / file).read_bytes(), file)
    return assign.blind(peaks.find(spectrum.intensity), lamp("neon"), len(spectrum))


def _read(data: Path, name: str) -> Spectrum:
    return formats.read((data / "calibration" / "charisma" / name).read_bytes(), name)


def outcomes(data: Path) -> list[Outcome]:
    """Every instrument with every standard in turn."""
    return [
        evaluate(instrument, used, data)
        for instrument in INSTRUMENTS
        for used in ("polystyrene", "calcite", "silicon")
    ]


def table(found: list[Outcome]) -> str:
    """The table of the page."""
    lines = [
        "| instrument | in the fit | laser nm | order | neon, left out cm-1 | others, all bands rms cm-1 (n) | others, sharp bands rms cm-1 (n) | would be put on a unit |",  # noqa: E501
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        if one.solved is None:
            lines.append(f"| {one.instrument} | {one.used} | | | | | | no: {one.refusal[0]} |")
            continue
        axis = one.solved.axis
        per_nm = 1e7 / float(np.mean(axis.lamp.known)) ** 2
        lines.append(
            f"| {one.instrument} | {one.used} | {axis.laser_nm:.3f} ± {axis.laser_error_nm:.3f} "
            f"| {axis.order} | {axis.rms_nm * per_nm:.2f} ({axis.lamp.at.size}) "
            f"| {one.rms_cm1():.2f} ({one.off_cm1.size}) "
            f"| {one.rms_cm1(True):.2f} ({int(one.sharp.sum())}) "
            f"| {'yes' if not one.refusal else 'no: ' + ' '.join(one.refusal)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table(outcomes(Path(sys.argv[1]))))
