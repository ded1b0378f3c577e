"""The unit's calibration: table of keys, reads and checks calibration.json beside settings.json.

The unit applies none of it: raw sums stay raw, and the calibration travels with every measurement
so that the host can correct, and correct again. `fieldassay unit calibrate` writes the file.
docs/reference/calibration-file.md is checked against TABLE.
"""

from checked_file import REQUIRED, File

# Rows as in `checked_file`.
TABLE = (
    ("id", "text", 1, 64, "", REQUIRED, "name of the calibration"),
    ("date", "date", 10, 10, "", REQUIRED, "day of the calibration"),
    ("excitation_pm", "int", 200000, 2000000, "pm", REQUIRED, "wavelength of the laser"),
    (
        "coefficients_nm",
        "numbers",
        2,
        8,
        "nm",
        REQUIRED,
        "pixel to wavelength, ascending powers of the pixel number",
    ),
    (
        "linearity",
        "numbers",
        0,
        8,
        "",
        (),
        "factor on the counts above the offset, ascending powers of these counts",
    ),
    ("hot_pixels", "pixels", 0, 128, "", (), "pixels that are not to be believed"),
    (
        "dark.offset_counts",
        "decimal",
        1,
        32,
        "counts",
        None,
        "what a pixel reads without light",
    ),
    ("dark.doubling_degc", "decimal", 1, 32, "degC", None, "dark current doubles every so many"),
    ("resolution_cm1", "decimal", 1, 32, "cm-1", None, "width of a line, full, half height"),
    ("response.id", "text", 1, 64, "", None, "what the response was measured with"),
    (
        "response.coefficients",
        "numbers",
        1,
        8,
        "",
        None,
        "relative response, ascending powers of the pixel number",
    ),
)
FILE = File(TABLE, "calibration", "calibration value", "A technician must calibrate this unit.")


# Read, check and complete the file of a detector with so many pixels.
def load(path, pixels):
    found = check(FILE.read(path))
    for pixel in found["hot_pixels"]:
        if pixel >= pixels:
            what = "Hot pixel {} is not on this detector of {}."
            raise FILE.bad("out_of_range", what.format(pixel, pixels))
    return found


def check(given):
    found = FILE.check(given)
    for section in ("dark", "response"):
        if found[section] is not None and None in found[section].values():
            if any(value is not None for value in found[section].values()):
                what = "The calibration value " + section + " is not complete."
                raise FILE.bad("missing_key", what)
            found[section] = None
    if found["linearity"] and found["dark"] is None:
        raise FILE.bad("missing_key", "The calibration value linearity needs dark.offset_counts.")
    return found
