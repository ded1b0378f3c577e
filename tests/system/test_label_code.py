"""The QR code of a label, read from the picture as a phone does it."""

from __future__ import annotations

import io

import pytest
import zxingcpp
from fieldassay import label
from PIL import Image

FINGERPRINT = "12ab-34cd"
NAMES = ["a", "officer-7", "unit-with-a-name-of-24-1", "a" * 32, "w" * 32, "0-" * 16]


def read(picture: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(picture)]


@pytest.mark.parametrize("name", NAMES)
def test_the_code_says_name_and_fingerprint_and_nothing_else(name: str) -> None:
    picture = Image.open(io.BytesIO(label.draw(name, FINGERPRINT, ".png")))
    assert read(picture) == [label.content(name, FINGERPRINT)]
    assert label.content(name, FINGERPRINT) == f"FIELDASSAY unit {name} key {FINGERPRINT}"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_small_turned_and_pale(name: str) -> None:
    picture = Image.open(io.BytesIO(label.draw(name, FINGERPRINT, ".png")))
    small = picture.resize((picture.width // 3, picture.height // 3), Image.Resampling.BILINEAR)
    turned = picture.rotate(20, expand=True, fillcolor=255)
    pale = picture.point([120 + level // 4 for level in range(256)])
    for seen in (small, turned, pale):
        assert read(seen) == [label.content(name, FINGERPRINT)]


def test_a_damaged_code_is_not_misread() -> None:
    picture = Image.open(io.BytesIO(label.draw("officer-7", FINGERPRINT, ".png"))).convert("L")
    for share in (0.1, 0.5, 0.9):
        spoilt = picture.copy()
        side = int(picture.height * share)
        spoilt.paste(0, (picture.height // 4, picture.height // 4, side + 40, side + 40))
        assert set(read(spoilt)) <= {label.content("officer-7", FINGERPRINT)}
