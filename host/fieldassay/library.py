"""The reference library: one read-only, memory-mapped file with everything that matching needs.

Owns the file layout (described below) and opening it. Making one is `library_build`; scores are
`match`.

Layout, little-endian: 8 bytes magic "FALIB" 0 0 version, 8 bytes header length, 32 bytes SHA-256 of
all that follows, JSON header (UTF-8, sorted keys), padding to 64 bytes, then float32 matrices, each
64-byte aligned, rows padded to 64 bytes: "raw" (the reference as measured on the grid), "linear"
(its derivative, for sums of substances) and "matrix" (the compressed derivative the kernel
compares). The header names their places, the grid, the recipe and one entry a row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import LibraryError

MAGIC = b"FALIB\x00\x00\x01"
HEADER_AT = 48
ALIGN = 64
Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Entry:
    """One reference spectrum: row `row` of every matrix.

    Attributes:
        row: Row number.
        substance: Substance id.
        label: Name in the source.
        file, sha256: Source file and its hash.
        instrument, laser_nm: What measured it.
        source, licence: Where it comes from and on what terms.
        first, last: Columns [first, last) that hold data.
    """

    row: int
    substance: str
    label: str
    file: str
    sha256: str
    instrument: str
    laser_nm: float
    source: str
    licence: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class LibrarySubstance:
    """Identity of a substance as it was when the library was built, so records can be replayed."""

    id: str
    name: str
    inchikey: str | None
    cas: str | None
    family: str
    hazard_card: str
    packaging: bool
    natural: bool
    families: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Library:
    """An open library.

    Attributes:
        hash: "sha256:…" of the content; names the library in every identification.
        title: For people.
        recipe: Id of the preprocessing the matrices were made with.
        grid_cm1: Wavenumber of each column, shape (D,), 1 cm-1 apart.
        entries: One for each row.
        substances: By id.
        matrix: What the kernel compares, float32, shape (N, D), read-only; rows may be padded (see
            `padded`).
        linear: Derivatives before compression, float32, shape (N, D), read-only.
        raw: The references as measured, float32, shape (N, D), read-only; 0 where there are no
            data.
        valid: Columns with data, int32, shape (N, 2).
        build: What it was made from: package, hashes, builder version.
    """

    hash: str
    title: str
    recipe: str
    grid_cm1: NDArray[np.float64]
    entries: tuple[Entry, ...]
    substances: Mapping[str, LibrarySubstance]
    matrix: Matrix
    linear: Matrix
    raw: Matrix
    valid: NDArray[np.int32]
    build: Mapping[str, Any]

    @classmethod
    def open(cls, path: Any) -> Library:
        """Map a library file.

        Args:
            path: A path-like or text.

        Raises:
            LibraryError: `library_missing`, `library_damaged`, `library_other_version`.
        """
        try:
            data = np.memmap(path, dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise LibraryError(
                "library_missing",
                f"The reference library {path} cannot be opened: {error}.",
                "Build it with: fieldassay library build",
            ) from error
        return cls.from_buffer(data)

    @classmethod
    def from_buffer(cls, data: NDArray[np.uint8]) -> Library:
        """Check and map the content of a library file; arrays are views on `data`.

        Raises:
            LibraryError: `library_damaged`, `library_other_version`.
        """
        if data.size < HEADER_AT or bytes(data[:5]) != MAGIC[:5]:
            raise _damaged("it does not start like a library")
        if bytes(data[:8]) != MAGIC:
            raise LibraryError(
                "library_other_version",
                "The reference library has another format version.",
                "Build it again with: fieldassay library build",
            )
        digest = bytes(data[16:HEADER_AT])
        if hashlib.sha256(data[HEADER_AT:].data).digest() != digest:
            raise _damaged("its hash is wrong")
        length = int.from_bytes(bytes(data[8:16]), "little")
        try:
            header = json.loads(bytes(data[HEADER_AT : HEADER_AT + length]))
            return cls._from_header(header, data, digest)
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise _damaged(f"its header cannot be read ({error})") from error

    def without(self, substances: Collection[str]) -> Library:
        """The same library less these substance ids, in memory: for leave-one-out evaluations.

        Its `hash` says what was left out, so a result can never pass for one of the full library.
        """
        kept = [e.row for e in self.entries if e.substance not in substances]
        left_out = ",".join(sorted(substances))
        return replace(
            self,
            hash=f"{self.hash}-without:{left_out}",
            entries=tuple(replace(self.entries[row], row=i) for i, row in enumerate(kept)),
            substances=MappingProxyType(
                {k: s for k, s in self.substances.items() if k not in substances}
            ),
            matrix=self.matrix[kept],
            linear=self.linear[kept],
            raw=self.raw[kept],
            valid=self.valid[kept],
        )

    @classmethod
    def _from_header(
        cls, header: dict[str, Any], data: NDArray[np.uint8], digest: bytes
    ) -> Library:
        entries = tuple(Entry(row=row, **fields) for row, fields in enumerate(header["entries"]))
        columns = int(header["grid"]["columns"])
        grid = header["grid"]["first_cm1"] + header["grid"]["step_cm1"] * np.arange(columns)
        matrices = {}
        for name in ("raw", "linear", "matrix"):
            place = header["matrices"][name]
            stride, offset = int(place["stride"]), int(place["offset"])
            if stride < columns:
                raise ValueError(f"rows of {name!r} are shorter than the grid")
            flat = np.frombuffer(data, np.dtype("<f4"), count=len(entries) * stride, offset=offset)
            flat.setflags(write=False)
            matrices[name] = flat.reshape(len(entries), stride)[:, :columns]
        valid = np.array([(e.first, e.last) for e in entries], dtype=np.int32).reshape(-1, 2)
        grid.setflags(write=False)
        valid.setflags(write=False)
        return cls(
            hash=f"sha256:{digest.hex()}",
            title=header["title"],
            recipe=header["recipe"],
            grid_cm1=grid,
            entries=entries,
            substances=MappingProxyType({s["id"]: _substance(s) for s in header["substances"]}),
            valid=valid,
            build=MappingProxyType(header["build"]),
            **matrices,
        )


def _substance(fields: Mapping[str, Any]) -> LibrarySubstance:
    several = {name: tuple(fields.get(name, ())) for name in ("families", "roles")}
    return LibrarySubstance(**{**fields, **several})


def encode(header: dict[str, Any], matrices: Mapping[str, Matrix]) -> bytes:
    """The bytes of a library file; the same arguments give the same bytes.

    Args:
        header: JSON-compatible: title, recipe, grid {first_cm1, step_cm1, columns}, entries,
            substances, build.
        matrices: "raw", "linear" and "matrix", each float32 of shape (N, D).
    """
    columns = int(header["grid"]["columns"])
    stride = -(-columns // (ALIGN // 4)) * (ALIGN // 4)
    rows = len(header["entries"])
    size = _aligned(rows * stride * 4)
    places = {name: {"stride": stride, "offset": 10**12 + i} for i, name in enumerate(matrices)}
    # The header is measured with longer offsets than the true ones, so those cannot move anything.
    length = len(_json({**header, "matrices": places}))
    start = _aligned(HEADER_AT + length)
    for index, name in enumerate(matrices):
        places[name]["offset"] = start + index * size
    text = _json({**header, "matrices": places})
    length = len(text)
    body = bytearray(start + size * len(matrices) - HEADER_AT)
    body[: len(text)] = text
    for name, matrix in matrices.items():
        padded = np.zeros((rows, stride), dtype="<f4")
        padded[:, :columns] = matrix
        at = places[name]["offset"] - HEADER_AT
        body[at : at + padded.nbytes] = padded.tobytes()
    return MAGIC + length.to_bytes(8, "little") + hashlib.sha256(body).digest() + bytes(body)


def _json(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _aligned(offset: int) -> int:
    return -(-offset // ALIGN) * ALIGN


def _damaged(why: str) -> LibraryError:
    return LibraryError(
        "library_damaged",
        f"The reference library cannot be used: {why}.",
        "Build it again with: fieldassay library build",
    )
