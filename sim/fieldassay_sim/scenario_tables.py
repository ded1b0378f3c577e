"""Every table and key a scenario file may have: type, range, unit and meaning.

The one place that says so: the loader checks files against TABLES, a test checks the reference
page.
"""

from __future__ import annotations

from dataclasses import dataclass

from fieldassay_sim.parts import CLOCKS
from fieldassay_sim.samples import PACKAGINGS

VERDICTS = ("match", "mixture", "class", "out_of_library", "inconclusive")
OUTCOMES = (*VERDICTS, "refused", "stopped")


@dataclass(frozen=True, slots=True)
class Key:
    """One allowed key: its type, range or choices, unit and meaning."""

    kind: str
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False


def _number(low: float, high: float, text: str) -> Key:
    return Key("number", text, low, high)


def _whole(low: float, high: float, text: str) -> Key:
    return Key("whole", text, low, high)


# Every table of a scenario file and its keys. [samples.<id>] and [[steps]] repeat.
TABLES: dict[str, dict[str, Key]] = {
    "": {
        "title": Key("text", "one line for lists", required=True),
        "about": Key("text", "what the scenario shows and how to use it"),
        "seed": _whole(0, 2**31, "decides fixed pattern and noise; default 1"),
        "outside": Key("texts", "what a person or program must do outside the simulator"),
        "instrument": Key("table", "the unit as built"),
        "condition": Key("table", "how the unit is when it starts"),
        "settings": Key("table", "settings of the unit that differ from its defaults"),
        "samples": Key("table", "the tray"),
        "fleet": Key("table", "several units at once"),
        "steps": Key("tables", "what `fieldassay-sim play` does"),
    },
    "instrument": {
        "pixels": _whole(64, 8192, "detector pixels"),
        "excitation_nm": _number(400, 1100, "nm, laser wavelength"),
        "coefficients_nm": Key("numbers", "nm, pixel to wavelength, ascending powers of the pixel"),
        "width_cm1": _number(2, 60, "cm-1, line width (FWHM); below 6 the references limit it"),
        "offset_cm1": _number(-50, 50, "cm-1, calibration error; positive: bands appear too high"),
        "drift_cm1_per_degc": _number(-2, 2, "cm-1 per degree of detector temperature above 25"),
        "tilt": _number(-0.9, 0.9, "response of the red end against the blue end; 0 is flat"),
        "throughput": _number(0.001, 100, "factor on all light"),
        "gain_e_per_count": _number(0.1, 1000, "electrons per ADC count"),
        "read_noise_e": _number(0.1, 1000, "electrons rms"),
        "full_well_e": _number(1000, 1e8, "electrons a pixel holds"),
        "bias_counts": _number(0, 20000, "counts, ADC offset"),
        "dark_e_per_s": _number(0, 1e6, "electrons per s and pixel at 25 degC; doubles per 7 degC"),
        "prnu": _number(0, 0.2, "relative spread of pixel gain"),
        "hot_pixels": _whole(0, 64, "pixels with 30 times the dark current"),
        "nonlinearity": _number(0, 0.3, "part of the light lost at full scale, less below"),
        "cosmic_per_s": _number(0, 100, "cosmic ray hits per s"),
    },
    "condition": {
        "sample": Key("text", "id of the sample under the probe; empty for none"),
        "packaging": Key("text", "what the light passes through", choices=PACKAGINGS),
        "lid": Key("text", "the sample compartment's lid", choices=("closed", "open")),
        "key": Key("text", "the key switch", choices=("closed", "open")),
        "battery_mv": _whole(0, 20000, "mV"),
        "detector_degc": _number(-60, 90, "degC"),
        "laser_degc": _number(-60, 90, "degC"),
        "room_light": _number(0, 1000, "1 is a lit office; enters fully with the lid open"),
        "clock": Key("text", "what the unit's clock knows at power-on", choices=CLOCKS),
        "interlock_unreadable": Key("bool", "the interlock does not answer"),
        "indicator_broken": Key("bool", "the laser's emission indicator stays dark"),
        "detector_failing": Key("bool", "the detector does not answer"),
        "detector_saturated": Key("bool", "every pixel is full, whatever the exposure"),
    },
    "sample": {
        "title": Key("text", "what people read; default: the id"),
        "reference": Key("text", "name of a reference spectrum (file stem, any case)"),
        "file": Key("text", "CSV file, relative to the scenario"),
        "bands": Key("bands", "[[position_cm1, height, width_cm1], ...] where no file exists"),
        "rate_per_ms": _number(0.001, 10000, "tallest band, with `bands` only; acetone is 51"),
        "mixture": Key("parts", "[{sample, weight}, ...] of samples in this file; weight by mass"),
        "strength": _number(0, 1000, "factor on all Raman light"),
        "fluorescence": Key("table", "broad light under the bands"),
    },
    "fluorescence": {
        "rate_per_ms": _number(0, 1e6, "its maximum, in the unit of rate_per_ms above"),
        "center_cm1": _number(-2000, 5000, "cm-1 of the maximum"),
        "width_cm1": _number(100, 20000, "cm-1, full width at half maximum"),
        "bleach_j": _number(0, 1000, "J of laser light that leaves 1/e of the bleachable part"),
        "floor": _number(0, 1, "part that never bleaches"),
        "rise_per_j": _number(0, 1e4, "a dark sample heats: its light grows by this each J"),
        "rise_from_j": _number(0, 100, "J of laser light before it begins to grow"),
    },
    "part": {
        "sample": Key("text", "id of a sample in this file", required=True),
        "weight": Key("number", "mass, any unit", 1e-6, 1e6, required=True),
    },
    "fleet": {
        "units": Key("whole", "how many", 1, 50, required=True),
        "prefix": Key("text", "names are <prefix>1, <prefix>2, ...; default sim-"),
        "vary": Key("table", "half-widths of the spread between units"),
    },
    "vary": {
        "width_cm1": _number(0, 20, "cm-1"),
        "offset_cm1": _number(0, 20, "cm-1"),
        "tilt": _number(0, 0.5, "response"),
        "throughput": _number(0, 0.9, "relative"),
        "dark_e_per_s": _number(0, 0.9, "relative"),
        "detector_degc": _number(0, 30, "degC"),
    },
    "step": {
        "title": Key("text", "what happens", required=True),
        "sample": Key("text", "put this sample under the probe; default: leave it"),
        "packaging": Key("text", "with `sample`", choices=PACKAGINGS),
        "set": Key("table", "keys of [condition] to change before the press"),
        "dark_sample": Key(
            "text", "the officer's answer: dark or coloured?", choices=("no", "yes", "unknown")
        ),
        "press_before": Key("buttons", "buttons to press first, one after another"),
        "press": Key("text", "button to press", choices=("trigger", "next", "ok", "")),
        "lid_opens_after_fire_ms": _number(0, 20000, "ms from the laser's edge"),
        "key_opens_after_fire_ms": _number(0, 20000, "ms from the laser's edge"),
        "power_cut_after_fire_ms": _number(0, 20000, "ms from the laser's edge"),
        "power_cut_after_press_ms": _number(0, 60000, "ms from the press"),
        "power_cut_at_flash_op": _whole(1, 100000, "n-th program or erase after a restart"),
        "power_cut_at_random_flash_op": Key("bool", "as above, n from the seed, 1..80"),
        "wait_ms": _whole(0, 600000, "ms to wait before the press"),
        "broker": Key("text", "recorded for who runs the broker", choices=("up", "down")),
        "truth": Key("texts", "substance ids really there; empty list: none in the library"),
        "truth_text": Key("text", "the truth in words"),
        "accept": Key("outcomes", "outcomes that are right; empty: nothing to judge"),
        "why": Key("text", "why these and no others"),
    },
}
SETTINGS = ("laser", "acquire", "spool", "battery", "detector")
