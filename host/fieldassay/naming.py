"""What the rules call a library row."""

from __future__ import annotations

from fieldassay.decide import Named
from fieldassay.library import Library

SALTS = "inorganic salt"  # families of the catalogue
CHAINS = ("hydrocarbon oil", "hydrocarbon wax")


def named(library: Library, row: int, told_packaging: str) -> Named:
    """The substance of a row; the packaging the officer named counts as packaging."""
    s = library.substances[library.entries[row].substance]
    told = told_packaging.strip().lower()
    packaging = s.packaging or (told != "" and told in (s.id, s.name.lower()))
    return Named(
        s.id, s.name, s.inchikey, packaging, s.natural, s.family == SALTS, s.family in CHAINS
    )
