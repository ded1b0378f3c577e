"""Columns of numbers into a Spectrum: limits, order, repeats, axis units. Every format ends here.

Knows nothing of any file layout: what a file says is found by its format module, what may become a
spectrum is decided here, once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import FormatError
from fieldassay.spectrum import Axis, AxisUnit, Floats, Spectrum

MAX_BYTES = 64 * 1024 * 1024
MAX_POINTS = 1_000_000
MAX_LINES = MAX_POINTS + 100_000
MAX_CELLS = 4_000_000
MAX_FACT_CHARACTERS = 200
MAX_FACTS = 200
_MAX_X = 1e7
_MAX_Y = 1e30

# As exports in several languages name them: a wavelength must not be taken for a shift.
_SHIFT_WORDS = (
    "cm-1", "cm⁻¹", "1/cm", "cm**-1", "/cm)", "ramanshift", "wavenumber", "wellenzahl",
    "verschiebung", "nombred'onde", "númerodeonda", "numerodeonda", "волновоечисло", "波数", "位移",
)  # fmt: skip
_WAVELENGTH_WORDS = (
    "nanomet", "wavelength", "lambda", "wellenlänge", "wellenlaenge", "longueurd'onde",
    "longituddeonda", "длинаволны", "波长",
)  # fmt: skip
_NM_ALONE = re.compile(r"(^|[^a-z])nm($|[^a-z])")
_NOT_SCATTERED = {
    "transmi": "transmittance", "transmissi": "transmittance", "durchlässig": "transmittance",
    "%t": "transmittance", "absorb": "absorbance", "absorption": "absorbance",
    "extinktion": "absorbance", "reflect": "reflectance", "kubelka": "reflectance",
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")


def damaged(what: str) -> FormatError:
    """The error for a file whose own statements do not fit what is in it."""
    return FormatError(
        "file_damaged", what, "Export the spectrum again from the instrument and copy it anew."
    )


def check_points(count: int) -> None:
    """Refuse a number of points that is beyond the limit, before anything of that size is made."""
    if count > MAX_POINTS:
        raise FormatError(
            "too_many_points",
            f"The file says it has {count} points; the limit is {MAX_POINTS}.",
            "Export one spectrum, not a map or a time series.",
        )


def split_lines(data: bytes, text: str) -> list[str]:
    """The lines of a text, whatever ends them; too many are refused before they are made."""
    if max(data.count(b"\n"), data.count(b"\r")) > MAX_LINES:
        raise FormatError(
            "too_many_points",
            f"The file has more than {MAX_LINES} lines; the limit is {MAX_POINTS} points.",
            "Export one spectrum, not a map or a time series.",
        )
    return re.split(r"\r\n|\r|\n", text)


def number(text: str) -> float | None:
    """A plain decimal number, or None; `1_000`, `nan`, `inf` and hexadecimal are not numbers."""
    text = text.strip()
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def axis_unit(label: str) -> tuple[AxisUnit, float] | None:
    """The axis unit a label names and the factor that brings its values there, or None.

    Micrometres and ångströms become nanometres. "Raman shift" and "wavenumber" mean cm-1.
    """
    text = label.lower().replace("µ", "u").replace("μ", "u").replace("^", "")
    text = text.replace(" ", "").replace("_", "").replace("’", "'")
    if any(word in text for word in _SHIFT_WORDS):
        return "cm-1", 1.0
    if "micromet" in text or "micron" in text or text in ("um", "wavelength(um)"):
        return "nm", 1000.0
    if "angstrom" in text or "ångström" in text:
        return "nm", 0.1
    if any(word in text for word in _WAVELENGTH_WORDS) or _NM_ALONE.search(text):
        return "nm", 1.0
    if any(word in text for word in ("pixel", "diode", "channel", "datapoint")) or text == "px":
        return "px", 1.0
    return None


_OTHER_TECHNIQUES = re.compile(
    r"\buv|ultraviolet|visible|fluores|luminesc|neutron|mass|nmr|absor[bp]|near.?ir|\bnir\b"
)


def technique(text: str) -> str | None:
    """`raman`, `infrared` or `other` where a data type names one; None where it tells nothing."""
    lower = text.lower()
    if "raman" in lower:
        return "raman"
    if "infrared" in lower or re.search(r"\bft-?ir\b|\bir\b", lower):
        return "infrared"
    return "other" if _OTHER_TECHNIQUES.search(lower) else None


def not_scattered(label: str) -> str | None:
    """`transmittance`, `absorbance` or `reflectance` where an intensity label names one."""
    lower = label.lower()
    for word, quantity in _NOT_SCATTERED.items():
        if word in lower:
            return quantity
    return None


def not_optical(label: str) -> FormatError:
    """The error for an axis that is stated and is neither a shift, a wavelength nor a pixel."""
    return FormatError(
        "axis_not_optical",
        f"The x axis is {label[:60]!r}, which is neither a wavenumber, a wavelength nor a pixel.",
        "Use an optical spectrum with a Raman shift axis in cm-1 or a wavelength axis in nm.",
    )


def facts(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Header facts for `meta`, bounded; the laser wavelength also as `excitation_nm`."""
    kept: dict[str, str] = {}
    for key, value in pairs:
        key, value = key.strip(), value.strip()
        if key and value and len(kept) < MAX_FACTS:
            kept.setdefault(key[:MAX_FACT_CHARACTERS], value[:MAX_FACT_CHARACTERS])
    for key, value in tuple(kept.items()):
        name = re.sub(r"[^a-z]", "", key.lower())
        laser = ("laser" in name and "wavelength" in name) or name.startswith("excitation")
        if (laser or name in ("wl", "laser", "lasernm")) and "excitation_nm" not in kept:
            found = _NUMBER.match(value.lower().removeprefix("laser").strip())
            if found and 200.0 <= float(found.group()) <= 2000.0:
                kept["excitation_nm"] = found.group()
        if name in ("integrationtime", "integrationtimems") and number(value) is not None:
            kept.setdefault("integration_ms", value)
    return kept


def assemble(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    unit: AxisUnit,
    meta: Mapping[str, str],
    noise: Floats | None = None,
) -> Spectrum:
    """One spectrum with an increasing axis from columns in any order.

    Equal neighbours (rounded in the file) are averaged; more than half of them, or the same values
    again further on, mean that the file holds several spectra.

    Args:
        x: Positions in `unit`, shape (N,).
        y: Intensities, shape (N,).
        unit: Unit of x.
        meta: Facts from the file; `x_order` and `x_repeats` are added where they apply.
        noise: Standard deviations, shape (N,), where the file has them.

    Raises:
        FormatError: not finite, out of range, too short, too long, several spectra in one.
    """
    check_points(x.size)
    if x.size != y.size:
        raise damaged(f"The file has {x.size} x values and {y.size} y values.")
    if not (np.all(np.abs(x) <= _MAX_X) and np.all(np.abs(y) <= _MAX_Y)):
        raise FormatError(
            "value_out_of_range",
            "The file has values that are not finite or not physically possible.",
            "Check the file for infinite or overflowing values and export it again.",
        )
    notes = dict(meta)
    steps = np.diff(x)
    if x.size > 1 and np.all(steps < 0):
        x, y = x[::-1], y[::-1]
        noise = None if noise is None else noise[::-1]
        notes["x_order"] = "descending"
    elif not np.all(steps > 0):
        order = np.argsort(x, kind="stable")
        ordered = bool(np.all(steps >= 0) or np.all(steps <= 0))
        if not np.all(steps >= 0):
            notes["x_order"] = "descending" if ordered else "unsorted"
        x, y = x[order], y[order]
        values, start, count = np.unique(x, return_index=True, return_counts=True)
        # Rounding makes neighbours equal; the same values again further on are another spectrum.
        if x.size - values.size > (0.5 if ordered else 0.01) * x.size:
            raise FormatError(
                "several_spectra",
                f"The x axis has {x.size} values of which only {values.size} differ.",
                "Export one spectrum to a file, not a map or a series.",
            )
        if noise is not None:
            noise = np.sqrt(np.add.reduceat(noise[order] ** 2, start)) / count
        if values.size < x.size:
            notes["x_repeats"] = str(x.size - values.size)
            y = np.add.reduceat(y / np.repeat(count, count), start)
            x = values
    return Spectrum(Axis(x, unit), y, noise=noise, meta=notes)
