"""A Spectrum as a JCAMP-DX file; reading is `jcamp`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fieldassay.spectrum import Spectrum


def write(spectrum: Spectrum) -> bytes:
    """The spectrum as JCAMP-DX 5.01, XYPOINTS: exact, every float64 reads back bit for bit.

    Only title, technique and excitation go into the labels; owner, place and date never do.
    """
    x, y = spectrum.axis.values, spectrum.intensity
    units = {"cm-1": "1/CM", "nm": "NANOMETERS", "px": "PIXEL"}
    kind = spectrum.meta.get("technique", "raman")
    labels: Iterable[tuple[str, str]] = (
        ("TITLE", _one_line(spectrum.meta.get("title", "")) or "spectrum"),
        ("JCAMP-DX", "5.01"),
        ("DATA TYPE", "INFRARED SPECTRUM" if kind == "infrared" else "RAMAN SPECTRUM"),
        ("DATA CLASS", "XYPOINTS"),
        ("ORIGIN", "fieldassay"),
        ("OWNER", "not stated"),
        *(
            (("$EXCITATION WAVELENGTH", _one_line(spectrum.meta["excitation_nm"]) + " nm"),)
            if "excitation_nm" in spectrum.meta
            else ()
        ),
        ("XUNITS", units[spectrum.axis.unit]),
        ("YUNITS", "ARBITRARY UNITS" if spectrum.unit == "arbitrary" else spectrum.unit.upper()),
        ("XFACTOR", "1.0"),
        ("YFACTOR", "1.0"),
        ("FIRSTX", repr(float(x[0]))),
        ("LASTX", repr(float(x[-1]))),
        ("FIRSTY", repr(float(y[0]))),
        ("MAXY", repr(float(y.max()))),
        ("MINY", repr(float(y.min()))),
        ("NPOINTS", str(len(spectrum))),
        ("XYPOINTS", "(XY..XY)"),
    )
    lines = [f"##{label}={value}" for label, value in labels]
    lines += [f"{a!r}, {b!r}" for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    return ("\r\n".join(lines) + "\r\n##END=\r\n").encode("ascii", "replace")


def _one_line(text: str) -> str:
    """Free text that cannot end its label, start another or become a comment."""
    return re.sub(r"\s+", " ", text.replace("$$", "$ $").replace("##", "# #")).strip()[:200]
