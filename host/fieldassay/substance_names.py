"""Which substance of the catalogue a name, CAS number or InChIKey of a library means.

Owns the comparison of names and identifiers, and what becomes of a substance that the catalogue
does not know. The catalogue itself is `substances`. A name may carry the form of the sample
("cocaine HCl"); the form is told apart from the substance.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fieldassay.errors import LibraryError
from fieldassay.library_header import LibrarySubstance
from fieldassay.substances import SubstanceInfo

UNKNOWN_FAMILY = "unknown"
STRICTEST_CARD = "default-strictest"
_CAS = re.compile(r"(\d{2,7})-(\d{2})-(\d)")
_INCHIKEY = re.compile(r"[A-Z]{14}-[A-Z]{10}-[A-Z]")
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ω": "omega"}

# Words at the end of a name that say which form of the substance was measured.
FORMS: Mapping[str, str] = {
    "hydrochloride": "hydrochloride", "hcl": "hydrochloride", "dihydrochloride": "dihydrochloride",
    "hydrobromide": "hydrobromide", "hbr": "hydrobromide", "sulfate": "sulfate",
    "sulphate": "sulfate", "hemisulfate": "hemisulfate", "phosphate": "phosphate",
    "tartrate": "tartrate", "citrate": "citrate", "maleate": "maleate", "fumarate": "fumarate",
    "oxalate": "oxalate", "base": "free base", "free base": "free base", "freebase": "free base",
    "free acid": "free acid", "sodium salt": "sodium salt", "potassium salt": "potassium salt",
    "hydrate": "hydrate", "monohydrate": "monohydrate", "hemihydrate": "hemihydrate",
    "dihydrate": "dihydrate", "anhydrous": "anhydrous",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """What a file says about the identity of a sample.

    Attributes:
        names: Best first; the first becomes the name of a substance nobody knows.
        cas, inchikey: As written, or "".
    """

    names: tuple[str, ...] = ()
    cas: str = ""
    inchikey: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Which substance is meant.

    Attributes:
        substance: Of the catalogue, or one made of what the file says.
        by: "inchikey", "cas", "name", or "" if the catalogue does not know it.
        form: Form that the name carries, or None.
        flags: "cas_invalid" (wrong check digit), "cas_differs" (the name is known under another).
    """

    substance: LibrarySubstance
    by: str
    form: str | None
    flags: tuple[str, ...] = ()


def normal(name: str) -> str:
    """A name for comparison: small letters without accents, one kind of separator, no Greek."""
    parts = unicodedata.normalize("NFKD", name).casefold()
    accentless = "".join(letter for letter in parts if not unicodedata.combining(letter))
    text = unicodedata.normalize("NFKC", accentless).strip()
    for letter, word in _GREEK.items():
        text = text.replace(letter, word)
    return re.sub(r"[\s_\-‐‑–—]+", " ", text).strip(" .,;")


def valid_cas(text: str) -> str | None:
    """The CAS number in a text if its check digit is right, else None."""
    found = _CAS.fullmatch(text.strip().removeprefix("CAS").strip(" :"))
    if not found:
        return None
    digits = found.group(1) + found.group(2)
    total = sum(i * int(d) for i, d in enumerate(reversed(digits), start=1))
    return found.group() if total % 10 == int(found.group(3)) else None


def split_form(name: str) -> tuple[str, str | None]:
    """The normal name without a form at its end, and the form."""
    parts = re.sub(r"[()\[\],]", " ", name).split()
    for words in (2, 1):  # only a word of its own is a form: not the end of "fructose-6-phosphate"
        form = FORMS.get(normal(" ".join(parts[-words:])))
        if len(parts) > words and form:
            return normal(name[: name.rindex(parts[-words])].rstrip(" ([,")), form
    return normal(name), None


class Finder:
    """Finds substances, and keeps those it had to make, so that each is made once.

    The same calls in the same order give the same ids.
    """

    def __init__(self, catalogue: Iterable[SubstanceInfo]) -> None:
        self.substances: dict[str, LibrarySubstance] = {}
        self._by_key: dict[str, str] = {}
        self._by_cas: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        self._made: dict[str, str] = {}
        for info in catalogue:
            self.substances[info.id] = identity(info)
            if info.inchikey:
                self._by_key[info.inchikey] = info.id
            if info.cas:
                self._by_cas[info.cas] = info.id
            for name in (info.id, info.name, *info.synonyms, *info.references):
                self._by_name.setdefault(normal(name), info.id)

    def find(self, said: Names) -> Found:
        """Which substance is meant.

        Raises:
            LibraryError: `substance_conflict`: what is said names two substances;
                `substance_not_named`: nothing is said.
        """
        cas = valid_cas(said.cas)
        flags = ["cas_invalid"] if said.cas.strip() and cas is None else []
        key = said.inchikey.strip().upper()
        hits: list[tuple[str, str]] = []
        if _INCHIKEY.fullmatch(key) and key in self._by_key:
            hits.append((self._by_key[key], "inchikey"))
        if cas in self._by_cas:
            hits.append((self._by_cas[cas], "cas"))
        form = None
        for name in said.names:
            found, form_of_name = self._by_names(name)
            form = form or form_of_name
            if found:
                hits.append((found, "name"))
        if not hits:
            return Found(self._unknown(said, cas, key), "", form, tuple(flags))
        if len({substance for substance, _ in hits}) > 1:
            named = sorted({substance for substance, _ in hits})
            raise LibraryError(
                "substance_conflict",
                f"Name and identifiers are of different substances: {', '.join(named)}.",
                "Correct the file, or say which it is with --mapping.",
            )
        substance, by = self.substances[hits[0][0]], hits[0][1]
        if by == "name" and cas and substance.cas and form is None:
            flags.append("cas_differs")
        return Found(substance, by, form, tuple(flags))

    def _by_names(self, name: str) -> tuple[str | None, str | None]:
        if exact := self._by_name.get(normal(name)):
            return exact, split_form(name)[1]
        bare, form = split_form(name)
        return self._by_name.get(bare), form

    def _unknown(self, said: Names, cas: str | None, key: str) -> LibrarySubstance:
        """A substance of its own, with the strictest card; the same one for the same identifier."""
        names = [name.strip() for name in said.names if name.strip()]
        name = names[0] if names else cas or key
        if not name:
            raise LibraryError(
                "substance_not_named",
                "The file does not say what substance it is of.",
                "Say it with --substance or --mapping.",
            )
        inchikey = key if _INCHIKEY.fullmatch(key) else None
        bare = split_form(name)[0] or normal(name)
        known_as = inchikey or cas or bare
        if known_as not in self._made:
            slug = re.sub(r"[^a-z0-9]+", "-", bare).strip("-")[:60] or "unnamed"
            number = 1
            while (made := slug if number == 1 else f"{slug}-{number}") in self.substances:
                number += 1
            self._made[known_as] = made
            self.substances[made] = LibrarySubstance(
                id=made,
                name=name[:120],
                inchikey=inchikey,
                cas=cas,
                family=UNKNOWN_FAMILY,
                hazard_card=STRICTEST_CARD,
                packaging=False,
                natural=False,
                families=(UNKNOWN_FAMILY,),
            )
        return self.substances[self._made[known_as]]


def identity(info: SubstanceInfo) -> LibrarySubstance:
    """What a library keeps of a substance of the catalogue."""
    return LibrarySubstance(
        id=info.id,
        name=info.name,
        inchikey=info.inchikey,
        cas=info.cas,
        family=info.family,
        hazard_card=info.hazard_card,
        packaging=info.packaging,
        natural=info.natural,
        families=info.families,
        roles=info.roles,
    )


def file_names(stem: str) -> Sequence[str]:
    """Names a file may mean: its own without suffix, and that without a number at the end."""
    shorter = re.sub(r"[\s_\-.]+(?:\d{1,4}|[a-z])$", "", stem, flags=re.IGNORECASE)
    return (stem,) if shorter in ("", stem) else (stem, shorter)
