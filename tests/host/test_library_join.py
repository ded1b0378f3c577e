"""Several library files for one verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay.commands import identify as identify_command
from fieldassay.errors import LibraryError
from fieldassay.library import Library
from fieldassay.library_encode import Grid, Reference, encode_references
from fieldassay.library_header import LibrarySubstance
from fieldassay.library_join import join
from fieldassay.spectrum import Axis, Spectrum


def small(name: str, grid: Grid, band: float, **more: Any) -> Library:
    x = np.arange(200.0, 900.0)
    y = 1000 * np.exp(-(((x - band) / 6) ** 2))
    fields = {"inchikey": None, "cas": None, "family": "unknown", **more}
    substance = LibrarySubstance(
        id=name, name=name, hazard_card="default-strictest", packaging=False, natural=False,
        **fields,
    )  # fmt: skip
    reference = Reference(name, Spectrum(Axis(x, "cm-1"), y), name, "f", "", "", 785.0, "s", "l")
    data = encode_references([reference], {name: substance}, name, {}, grid)
    return Library.from_buffer(np.frombuffer(data, np.uint8))


def test_one_library_is_itself() -> None:
    library = small("a", Grid(300, 800), 500)
    assert join([library]) is library


def test_rows_stand_at_their_wavenumbers_in_the_wider_grid() -> None:
    parts = [small("a", Grid(400, 800), 500), small("b", Grid(300, 700), 600)]
    joined = join(parts)
    assert joined.grid_cm1[[0, -1]].tolist() == [300.0, 800.0]
    assert [e.substance for e in joined.entries] == ["a", "b"]
    for row, part in enumerate(parts):
        columns = np.searchsorted(joined.grid_cm1, part.grid_cm1)
        for name in ("raw", "linear", "matrix"):
            assert np.array_equal(getattr(joined, name)[row, columns], getattr(part, name)[0])
        first, last = joined.valid[row]
        own_first, own_last = part.valid[0]
        assert joined.grid_cm1[first] == part.grid_cm1[own_first]
        assert joined.grid_cm1[last - 1] == part.grid_cm1[own_last - 1]
        assert (joined.entries[row].first, joined.entries[row].last) == (first, last)


def test_the_name_is_of_the_parts_in_their_order() -> None:
    a, b = small("a", Grid(400, 800), 500), small("b", Grid(300, 700), 600)
    assert join([a, b]).hash == join([a, b]).hash != join([b, a]).hash
    assert join([a, b]).build["parts"] == [a.hash, b.hash]


def test_what_cannot_be_joined_is_a_typed_error() -> None:
    a, b = small("a", Grid(400, 800), 500), small("b", Grid(300, 700), 600)
    one, other = (small("c", Grid(300, 700), 600, cas=cas) for cas in ("67-64-1", "108-88-3"))
    half = replace(b, grid_cm1=b.grid_cm1 + 0.5)
    for wrong in ([], [a, a], [a, replace(b, recipe="old/0")], [a, half], [one, other]):
        with pytest.raises(LibraryError) as caught:
            join(wrong)
        assert caught.value.code == "libraries_differ"


def test_the_better_known_substance_wins() -> None:
    vague = small("c", Grid(300, 700), 600)
    known = small("c", Grid(300, 700), 610, family="ketone", cas="67-64-1")
    for pair in ([vague, known], [known, vague]):
        assert join(pair).substances["c"].family == "ketone"


def test_one_verdict_from_two_real_libraries(
    library_path: Path, sources_dir: Path, tmp_path: Path
) -> None:
    """Acetone is in one part, the stranger in the other; each is named by the two together."""
    full = Library.open(library_path)
    stranger = small("stranger", Grid(), 500)
    joined = join([full, stranger])
    assert len(joined.entries) == 81
    _, found = identify_command.identify_file(sources_dir / "acetone.csv", joined)
    _, alone = identify_command.identify_file(sources_dir / "acetone.csv", full)
    assert [s.id for s in found.verdict.substances] == ["acetone"]
    assert found.verdict.substances == alone.verdict.substances
    assert found.library == joined.hash != full.hash
