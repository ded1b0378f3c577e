"""The catalogue of substances: identity, names, claims with their verification state, hazard card.

Owns reading and checking substances.toml (what the default library has references of) and
substances_controlled.toml (scheduled substances, precursors, cutting agents without one), and
finding a substance by CAS number, InChIKey or name. The text of hazard cards is `hazards`; which
references exist is `library`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from fieldassay.errors import LibraryError

Verification = Literal["verified", "unverified"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said about the control of a substance; only verified claims may be shown as facts."""

    claim: str
    verification: Verification
    source: str


@dataclass(frozen=True, slots=True)
class SubstanceInfo:
    """One substance of the catalogue.

    Attributes:
        id: Lower-case slug of the preferred name.
        name: Preferred name as people read it.
        synonyms: Other names, for search.
        cas, inchikey: Identifiers or None.
        identity: Whether the identifiers are verified.
        family: Chemical family in plain words, one of `vocabulary().families`.
        families: All chemical families it belongs to; the first is `family`.
        roles: What it is met as: precursor, cutting agent, solvent, packaging.
        hazard_card: Id of the hazard card.
        packaging: True for materials a measurement goes through; never reported as the finding.
        natural: A natural or technical mixture with look-alike relatives outside the library.
        references: File names (without suffix) of its references in the default set.
        claims: Claims about control.
    """

    id: str
    name: str
    synonyms: tuple[str, ...]
    cas: str | None
    inchikey: str | None
    identity: Verification
    family: str
    hazard_card: str
    packaging: bool
    natural: bool
    references: tuple[str, ...]
    claims: tuple[Claim, ...]
    families: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def verified_claims(self) -> tuple[Claim, ...]:
        """The claims that may be shown as facts."""
        return tuple(claim for claim in self.claims if claim.verification == "verified")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words families and roles are made of, each with its plural."""

    families: Mapping[str, str]
    roles: Mapping[str, str]


def parse(document: Mapping[str, Any]) -> Mapping[str, SubstanceInfo]:
    """Check a catalogue document and return its substances by id, in file order.

    Families and roles must be in the document's own vocabulary, where it has one.

    Raises:
        LibraryError: `catalogue_not_usable`.
    """
    substances: dict[str, SubstanceInfo] = {}
    owners: dict[str, str] = {}
    words: dict[str, Mapping[str, str]] = {
        name: document[name] for name in ("families", "roles") if name in document
    }
    for row in document.get("substance", ()):
        try:
            info = _info(row)
        except (KeyError, TypeError, ValueError) as error:
            raise _not_usable(f"substance {row.get('id', '?')!r}: {error!r}") from error
        for kind, used in (("families", info.families), ("roles", info.roles)):
            if kind in words and (unknown := set(used) - set(words[kind])):
                raise _not_usable(f"substance {info.id!r} has unknown {kind} {sorted(unknown)}")
        if info.id in substances:
            raise _not_usable(f"substance {info.id!r} is there twice")
        for reference in info.references:
            if reference in owners:
                raise _not_usable(f"{reference!r} belongs to {owners[reference]!r} and {info.id!r}")
            owners[reference] = info.id
        substances[info.id] = info
    if document.get("schema") != 1 or not substances:
        raise _not_usable("schema is not 1 or no substance is listed")
    return MappingProxyType(substances)


FILES = ("substances.toml", "substances_controlled.toml")


def texts() -> tuple[bytes, ...]:
    """The catalogue files as they are, for hashing and reading."""
    return tuple(files("fieldassay").joinpath(name).read_bytes() for name in FILES)


def load() -> Mapping[str, SubstanceInfo]:
    """The catalogue that comes with fieldassay, by id."""
    documents = [tomllib.loads(text.decode()) for text in texts()]
    rows = [row for document in documents for row in document.get("substance", ())]
    schemas = {document.get("schema") for document in documents}
    schema = schemas.pop() if len(schemas) == 1 else None
    return parse({**documents[0], "schema": schema, "substance": rows})


def vocabulary() -> Vocabulary:
    """The families and roles the catalogue uses, with their plurals."""
    document = tomllib.loads(texts()[0].decode())
    return Vocabulary(
        MappingProxyType(dict(document["families"])), MappingProxyType(dict(document["roles"]))
    )


def by_reference(catalogue: Iterable[SubstanceInfo]) -> dict[str, SubstanceInfo]:
    """Which substance a reference file (name without suffix) is of."""
    return {reference: info for info in catalogue for reference in info.references}


_KEYS = frozenset({*SubstanceInfo.__dataclass_fields__, "identity_note"})


def _info(row: Mapping[str, Any]) -> SubstanceInfo:
    if unknown := set(row) - _KEYS:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    if row["identity"] not in ("verified", "unverified"):
        raise ValueError("identity is neither verified nor unverified")
    claims = tuple(Claim(**claim) for claim in row.get("claims", ()))
    if any(claim.verification not in ("verified", "unverified") for claim in claims):
        raise ValueError("a claim is neither verified nor unverified")
    families = tuple(row.get("families", (row["family"],)))
    if not families or families[0] != row["family"]:
        raise ValueError("the first of families is not family")
    return SubstanceInfo(
        id=row["id"],
        name=row["name"],
        synonyms=tuple(row["synonyms"]),
        cas=row.get("cas"),
        inchikey=row.get("inchikey"),
        identity=row["identity"],
        family=row["family"],
        hazard_card=row["hazard_card"],
        packaging=bool(row.get("packaging", False)),
        natural=bool(row.get("natural", False)),
        references=tuple(row["references"]),
        claims=claims,
        families=families,
        roles=tuple(row.get("roles", ())),
    )


def _not_usable(why: str) -> LibraryError:
    return LibraryError(
        "catalogue_not_usable",
        f"The substance catalogue cannot be used: {why}.",
        "Correct the catalogue files or install fieldassay again.",
    )
