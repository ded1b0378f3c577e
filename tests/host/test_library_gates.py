"""What may be a reference: each gate refuses what it is for and lets real references through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fieldassay.errors import LibraryError
from fieldassay.library import Library
from fieldassay.library_encode import Grid
from fieldassay.library_gates import clipped, require_reference, signal_to_noise
from fieldassay.spectrum import Axis, Spectrum

GRID = Grid().values


def spectrum(
    first: float = 200.0, last: float = 2000.0, step: float = 1.0, noise: float = 1.0
) -> Spectrum:
    x = np.arange(first, last, step)
    y = 100.0 + sum(
        height * np.exp(-(((x - at) / 8.0) ** 2))
        for at, height in ((620, 300), (1001, 1000), (1450, 500), (1602, 400))
    )
    return Spectrum(Axis(x, "cm-1"), y + np.random.default_rng(1).normal(0, noise, x.size))


def refused(given: Spectrum) -> str:
    with pytest.raises(LibraryError) as caught:
        require_reference(given, GRID)
    return caught.value.code


def with_values(given: Spectrum, values: np.ndarray) -> Spectrum:
    return Spectrum(given.axis, values)


def test_a_good_spectrum_passes_without_a_flag() -> None:
    assert require_reference(spectrum(), GRID) == ()


def test_flags_say_what_is_only_fair() -> None:
    assert require_reference(spectrum(600, 1300), GRID) == ("narrow_range",)
    assert require_reference(spectrum(noise=40.0), GRID) == ("noisy",)
    assert require_reference(spectrum(step=5.0), GRID) == ("wide_spacing",)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (spectrum(900, 1200), "reference_range_too_small"),
        (spectrum(2400, 3400), "reference_range_too_small"),
        (spectrum(step=12.0), "reference_too_coarse"),
        (spectrum(noise=300.0), "reference_too_noisy"),
        (with_values(spectrum(), np.full(1800, 5.0)), "reference_too_noisy"),
        (with_values(spectrum(), np.minimum(spectrum().intensity, 700.0)), "reference_saturated"),
    ],
)
def test_each_gate_refuses_what_it_is_for(given: Spectrum, code: str) -> None:
    assert refused(given) == code


def test_a_flat_top_of_rounding_is_not_taken_for_saturation() -> None:
    x = np.arange(300.0, 1800.0)
    broad = np.round(np.exp(-(((x - 1000) / 60.0) ** 2)), 2)
    assert np.count_nonzero(broad == broad.max()) > 4 and not clipped(broad)
    assert clipped(np.minimum(np.exp(-(((x - 1000) / 60.0) ** 2)), 0.7))
    full = spectrum().intensity * 70
    assert clipped(np.minimum(full, 65535.0))


def test_signal_to_noise_follows_the_noise() -> None:
    found = [signal_to_noise(spectrum(noise=n).intensity) for n in (1.0, 10.0, 100.0)]
    assert found[0] > 5 * found[1] > 5 * found[2]


def test_every_reference_of_the_default_set_passes(library_path: Path) -> None:
    """The gates must not refuse what the library stands on; counts are the claim."""
    library = Library.open(library_path)
    wrong = {}
    for entry in library.entries:
        kept = slice(entry.first - 9, entry.last + 9)
        given = Spectrum(Axis(library.grid_cm1[kept], "cm-1"), library.raw[entry.row, kept])
        try:
            require_reference(given, library.grid_cm1)
        except LibraryError as error:
            wrong[entry.label] = error.code
    assert len(library.entries) == 80
    assert wrong == {}
