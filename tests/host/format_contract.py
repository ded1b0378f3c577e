"""What every spectrum file format must hold; a format's test inherits FormatContract.

Real files come from `real_files`; the fuzz tests call the format's own `read`, without the last net
of `formats.read`, so an escaping exception is a failure here.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fieldassay import formats
from fieldassay.errors import FormatError
from fieldassay.spectrum import Axis, Spectrum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)


def spectrum_or_error(module: ModuleType, data: bytes) -> Spectrum | FormatError:
    """The only two things reading may give; also checks that the result is sound."""
    try:
        found = module.read(data)
    except FormatError as error:
        assert error.code and error.what.endswith(".") and error.do_next.endswith(".")
        return error
    assert isinstance(found, Spectrum)
    assert found.axis.values.size == found.intensity.size >= 2
    assert np.all(np.isfinite(found.intensity))
    return found


@st.composite
def spectra(draw: st.DrawFn) -> Spectrum:
    """Spectra with axes that differ only in the last bits, and intensities of any size."""
    size = draw(st.integers(2, 60))
    start = draw(st.floats(-500, 4000))
    steps = draw(st.lists(st.floats(1e-7, 50), min_size=size, max_size=size))
    axis = start + np.cumsum(steps)
    values = draw(st.lists(st.floats(-1e20, 1e20, width=64), min_size=size, max_size=size))
    return Spectrum(Axis(axis, draw(st.sampled_from(["cm-1", "nm"]))), np.array(values))


class FormatContract:
    """Inherit, set `name` and give at least one small valid file in `samples`."""

    name: str
    # True if the format states how many points there are: no cut file may be read as a whole.
    states_length = True

    @property
    def module(self) -> ModuleType:
        import importlib

        return importlib.import_module(f"fieldassay.formats.{self.name}")

    def samples(self) -> list[bytes]:
        """Small valid files, each of another kind."""
        raise NotImplementedError

    def real_files(self, data_dir: Path) -> list[Path]:
        """Real files to mutate; empty if there are none."""
        return []

    def test_is_registered_and_found_by_content(self) -> None:
        assert formats.FORMATS[self.name].read is self.module.read
        for data in self.samples():
            assert formats.read(data, "no-extension").meta["format"] == self.name

    def test_samples_are_read(self) -> None:
        for data in self.samples():
            assert isinstance(spectrum_or_error(self.module, data), Spectrum)

    def test_empty_is_one_error(self) -> None:
        for data in (b"", b"\n", b"\x00", b" " * 5000):
            assert isinstance(spectrum_or_error(self.module, data), FormatError)

    @FUZZ
    @given(st.binary(max_size=2000))
    def test_junk_never_escapes(self, data: bytes) -> None:
        spectrum_or_error(self.module, data)

    @FUZZ
    @given(st.data())
    def test_junk_after_a_valid_beginning_never_escapes(self, data: st.DataObject) -> None:
        sample = data.draw(st.sampled_from(self.samples()))
        keep = data.draw(st.integers(0, len(sample)))
        spectrum_or_error(self.module, sample[:keep] + data.draw(st.binary(max_size=300)))

    @FUZZ
    @given(st.data())
    def test_changed_bytes_never_escape(self, data: st.DataObject) -> None:
        changed = bytearray(data.draw(st.sampled_from(self.samples())))
        for _ in range(data.draw(st.integers(1, 12))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        spectrum_or_error(self.module, bytes(changed))

    def test_every_truncation_is_refused_or_read(self) -> None:
        for sample in self.samples():
            whole = self.module.read(sample)
            for keep in range(len(sample)):
                found = spectrum_or_error(self.module, sample[:keep])
                if isinstance(found, Spectrum) and self.states_length:
                    # Only bytes after the data may be missing.
                    np.testing.assert_array_equal(found.intensity, whole.intensity)
                    np.testing.assert_array_equal(found.axis.values, whole.axis.values)

    def test_real_files_cut_and_changed_never_escape(self, data_dir: Path) -> None:
        files = [p for p in self.real_files(data_dir) if p.stat().st_size < 60_000]
        if not files:
            pytest.skip("this format has no real files")
        random = np.random.default_rng(20260101)
        for path in files[:40]:
            data = path.read_bytes()
            for _ in range(4):
                cut = data[: int(random.integers(0, len(data)))]
                spectrum_or_error(self.module, cut)
                changed = bytearray(data)
                for place in random.integers(0, len(data), 8):
                    changed[place] = int(random.integers(0, 256))
                spectrum_or_error(self.module, bytes(changed))

    @FUZZ
    @given(spectra())
    def test_round_trip_is_exact(self, spectrum: Spectrum) -> None:
        write = formats.FORMATS[self.name].write
        if write is None:
            return
        back = formats.read(write(spectrum), "x")
        assert back.axis.unit == spectrum.axis.unit
        np.testing.assert_array_equal(back.axis.values, spectrum.axis.values)
        np.testing.assert_array_equal(back.intensity, spectrum.intensity)

    def test_axis_keeps_64_bits(self) -> None:
        """Two positions 1e-9 cm-1 apart stay apart; float32 would merge them."""
        write = formats.FORMATS[self.name].write
        if write is None:
            return
        axis = 1000.0 + np.arange(50) * 1e-9
        back = formats.read(write(Spectrum(Axis(axis, "cm-1"), np.arange(50.0))), "x")
        np.testing.assert_array_equal(back.axis.values, axis)

    def test_a_huge_claim_is_refused_before_it_is_made(self) -> None:
        for data in self.bombs():
            assert isinstance(spectrum_or_error(self.module, data), FormatError)

    def bombs(self) -> list[bytes]:
        """Small files that claim to be huge; empty if the format cannot claim a size."""
        return []
