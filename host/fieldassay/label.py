"""The label on a unit: its name, readable at arm's length, and a QR code. Holds no secret.

Owns the drawing in millimetres and the three forms it is written in. The code holds text and no
address: FIELDASSAY, the unit's name, the fingerprint of its key.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import PurePath

import segno

from fieldassay.errors import SetupError

WIDTH_MM, HEIGHT_MM = 62.0, 29.0  # a common size of label printers
MARGIN_MM = 2.0
DOTS_PER_MM = 12  # about 300 per inch
NAME_MAX_MM = 8.0
LETTER = 0.6  # width of a letter by its height, bold Helvetica, on average
FORMS = (".svg", ".png", ".pdf")
_POINTS_PER_MM = 72 / 25.4


@dataclass(frozen=True, slots=True)
class _Text:
    x_mm: float
    baseline_mm: float
    size_mm: float
    text: str
    bold: bool


def content(name: str, fingerprint: str) -> str:
    """What the QR code says."""
    return f"FIELDASSAY unit {name} key {fingerprint}"


def draw(name: str, fingerprint: str, form: str) -> bytes:
    """The label as a file.

    Args:
        name: Of the unit.
        fingerprint: `fieldassay_wire.keys.fingerprint` of its key.
        form: One of FORMS.

    Raises:
        SetupError: `label_form_unknown`.
    """
    code = segno.make(content(name, fingerprint), error="m", micro=False)
    rows = [list(row) for row in code.matrix_iter(border=4)]
    side_mm = HEIGHT_MM - 2 * MARGIN_MM
    dot_mm = side_mm / len(rows)
    dots = [
        (MARGIN_MM + x * dot_mm, MARGIN_MM + y * dot_mm)
        for y, row in enumerate(rows)
        for x, dark in enumerate(row)
        if dark
    ]
    texts = _texts(name, fingerprint, MARGIN_MM + side_mm + 1.0)
    writers = {".svg": _svg, ".png": _png, ".pdf": _pdf}
    if form not in writers:
        raise SetupError(
            "label_form_unknown",
            f"A label cannot be written as {form or 'a file without an ending'!r}.",
            f"Give a file that ends in {', '.join(FORMS)}.",
        )
    return writers[form](dots, dot_mm, texts)


def form_of(path: PurePath) -> str:
    """The form that a file name asks for."""
    return path.suffix.lower()


def _texts(name: str, fingerprint: str, left_mm: float) -> list[_Text]:
    """The name in one line where it stays large, else in as many as it takes."""
    room_mm = WIDTH_MM - MARGIN_MM - left_mm
    per_line = max(len(name) if len(name) <= 9 else -(-len(name) // _lines(len(name))), 1)
    lines = [name[at : at + per_line] for at in range(0, len(name), per_line)]
    size_mm = min(NAME_MAX_MM, room_mm / (LETTER * per_line), 17.0 / (1.15 * len(lines)))
    texts = []
    y_mm = MARGIN_MM + size_mm * 0.85
    for line in lines:
        texts.append(_Text(left_mm, y_mm, size_mm, line, True))
        y_mm += size_mm * 1.15
    texts.append(_Text(left_mm, HEIGHT_MM - MARGIN_MM - 3.6, 2.8, f"key {fingerprint}", False))
    texts.append(_Text(left_mm, HEIGHT_MM - MARGIN_MM - 0.4, 2.4, "fieldassay  presumptive", False))
    return texts


def _lines(letters: int) -> int:
    return 2 if letters <= 18 else 3


def _svg(dots: list[tuple[float, float]], dot_mm: float, texts: list[_Text]) -> bytes:
    path = "".join(f"M{x:.3f} {y:.3f}h{dot_mm:.3f}v{dot_mm:.3f}h-{dot_mm:.3f}z" for x, y in dots)
    words = "".join(
        f'<text x="{t.x_mm:.2f}" y="{t.baseline_mm:.2f}" font-size="{t.size_mm:.2f}"'
        f' font-weight="{"bold" if t.bold else "normal"}">{t.text}</text>'
        for t in texts
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM}mm" height="{HEIGHT_MM}mm"'
        f' viewBox="0 0 {WIDTH_MM} {HEIGHT_MM}" font-family="Helvetica, Arial, sans-serif">'
        f'<rect width="100%" height="100%" fill="#fff"/><path d="{path}"/>{words}</svg>\n'
    ).encode()


def _png(dots: list[tuple[float, float]], dot_mm: float, texts: list[_Text]) -> bytes:
    from PIL import Image, ImageDraw, ImageFont  # late, and comes with fpdf2

    scale = DOTS_PER_MM
    image = Image.new("L", (round(WIDTH_MM * scale), round(HEIGHT_MM * scale)), 255)
    pen = ImageDraw.Draw(image)
    for x, y in dots:
        right, bottom = round((x + dot_mm) * scale) - 1, round((y + dot_mm) * scale) - 1
        pen.rectangle((round(x * scale), round(y * scale), right, bottom), fill=0)
    for t in texts:
        font = ImageFont.load_default(t.size_mm * scale)
        place = (t.x_mm * scale, t.baseline_mm * scale)
        pen.text(place, t.text, 0, font, anchor="ls", stroke_width=int(t.bold))
    file = io.BytesIO()
    image.save(file, "png", dpi=(scale * 25.4, scale * 25.4))
    return file.getvalue()


def _pdf(dots: list[tuple[float, float]], dot_mm: float, texts: list[_Text]) -> bytes:
    from fpdf import FPDF  # late: it takes long to import

    pdf = FPDF(unit="mm", format=(HEIGHT_MM, WIDTH_MM), orientation="L")
    pdf.set_auto_page_break(False)
    pdf.add_page()
    pdf.set_fill_color(0)
    for x, y in dots:
        pdf.rect(x, y, dot_mm, dot_mm, style="F")
    for t in texts:
        pdf.set_font("Helvetica", "B" if t.bold else "", t.size_mm * _POINTS_PER_MM)
        pdf.text(t.x_mm, t.baseline_mm, t.text)
    return bytes(pdf.output())
