"""The band search of the plot against scipy's."""

from __future__ import annotations

import numpy as np
from fieldassay.web.plot import bands, prominences
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import find_peaks

# Few different values, so that flat tops, ties and steps at the ends are common.
COARSE = arrays(np.float64, st.integers(1, 60), elements=st.integers(-4, 4).map(float))
FINE = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6))


@given(COARSE | FINE)
def test_maxima_and_prominences_are_those_of_scipy(values: np.ndarray) -> None:
    peaks, rise = prominences(values)
    expected, facts = find_peaks(values, prominence=0)
    np.testing.assert_array_equal(peaks, expected)
    np.testing.assert_array_equal(rise, facts["prominences"])


def test_bands_are_the_most_prominent_ones_in_the_order_of_the_axis() -> None:
    axis = np.arange(3000.0)
    centres = np.arange(100.0, 2900.0, 140.0)  # 20 bands, 5 more than are shown
    heights = np.linspace(1.0, 0.05, centres.size)
    curve = (heights * np.exp(-(((axis[:, None] - centres) / 8.0) ** 2))).sum(axis=1)
    found = bands(axis, curve, np.full_like(curve, np.nan))
    assert [band["cm1"] for band in found] == centres[:15].tolist()
    assert [band["measured_percent"] for band in found] == [round(100 * h) for h in heights[:15]]
    assert all(band["fit_percent"] is None for band in found)


def test_what_is_lost_in_the_line_width_is_no_band() -> None:
    curve = np.array([0.0, 1.0, 0.0, 0.02, 0.0])
    assert [b["cm1"] for b in bands(np.arange(5.0), curve, curve)] == [1.0]
    assert bands(np.arange(5.0), np.zeros(5), np.zeros(5)) == []
