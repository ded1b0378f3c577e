"""Firmware bundles as bytes: build, sign, take apart, verify. Pure: no file, no clock.

The head and the manifest are checked by the code that units run (`fieldassay_wire.bundle`); the
signature is Ed25519 (RFC 8032) by `cryptography`, over 15 fixed bytes and the SHA-256 of the
manifest. Keys in files and firmware folders are `release`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from fieldassay_wire import bundle as form
from fieldassay_wire.errors import WireError

from fieldassay.errors import ReleaseError

CONTEXT = b"fieldassay-fw-1"
_AGAIN = "Get the bundle again from who released it."


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose form and file hashes are right; whether its signature is, `verify` says."""

    data: bytes
    manifest: Mapping[str, Any]
    manifest_bytes: bytes
    key: bytes
    signature: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the manifest in hex: the name of exactly this firmware."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    @property
    def signed(self) -> bool:
        """Whether there is a signature at all."""
        return self.signature != form.UNSIGNED

    def files(self) -> Iterable[tuple[str, bytes]]:
        """Path and content of every file, in the order of the manifest."""
        at = form.HEAD_BYTES + len(self.manifest_bytes)
        for path, size, _ in self.manifest["files"]:
            yield path, self.data[at : at + size]
            at += size


def build(
    files: Mapping[str, bytes],
    *,
    version: str,
    sequence: int,
    hardware: Iterable[str],
    minimum_sequence: int = 0,
    expires_s: int = 0,
) -> bytes:
    """An unsigned bundle; the same arguments always give the same bytes.

    Args:
        files: Content by path, as they will stand in a slot.
        version: For people, 1 to 32 bytes.
        sequence: Rises with every release; units refuse what is not above their own.
        hardware: Names of the boards it is for.
        minimum_sequence: Units that confirmed it never go below this again.
        expires_s: Seconds since 1970, UTC, after which no unit installs it; 0: never.

    Raises:
        ReleaseError: `bundle_bad`: a field or a file breaks a limit.
    """
    document = {
        "format": 1,
        "product": form.PRODUCT,
        "hardware": sorted(set(hardware)),
        "version": version,
        "sequence": sequence,
        "minimum_sequence": minimum_sequence,
        "expires_s": expires_s,
        "files": [
            [path, len(content), hashlib.sha256(content).hexdigest()]
            for path, content in sorted(files.items())
        ],
    }
    manifest = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    data = form.head(len(manifest), bytes(32), form.UNSIGNED) + manifest
    data += b"".join(content for _, content in sorted(files.items()))
    try:
        form.read_head(data)
        form.read_manifest(manifest)
    except WireError as error:
        raise ReleaseError(
            "bundle_bad",
            f"This firmware makes no bundle: {error.what}",
            "Keep within the limits of docs/reference/firmware-bundle.md.",
        ) from error
    return data


def read(data: bytes) -> Bundle:
    """Take a bundle apart and check its form and the hash of every file, not its signature.

    Raises:
        ReleaseError: `bundle_damaged`.
    """
    try:
        size, key, signature = form.read_head(data)
        manifest_bytes = data[form.HEAD_BYTES : form.HEAD_BYTES + size]
        manifest = form.read_manifest(manifest_bytes)
    except WireError as error:
        raise ReleaseError("bundle_damaged", f"No bundle: {error.what}", _AGAIN) from error
    if len(data) != form.HEAD_BYTES + size + form.files_bytes(manifest):
        raise ReleaseError("bundle_damaged", "The bundle has not the size it says.", _AGAIN)
    bundle = Bundle(data, manifest, manifest_bytes, key, signature)
    for (path, content), (_, _, digest) in zip(bundle.files(), manifest["files"], strict=True):
        if hashlib.sha256(content).hexdigest() != digest:
            raise ReleaseError("bundle_damaged", f"{path} is not what was released.", _AGAIN)
    return bundle


def sign(bundle: Bundle, key: Ed25519PrivateKey) -> bytes:
    """The same bundle with the signature of `key`; signing twice gives the same bytes."""
    signature = key.sign(CONTEXT + bytes.fromhex(bundle.sha256))
    public = key.public_key().public_bytes_raw()
    start = form.head(len(bundle.manifest_bytes), public, signature)
    return start + bundle.data[form.HEAD_BYTES :]


def verify(bundle: Bundle, trusted: Iterable[bytes]) -> None:
    """Return if one of the `trusted` public keys (32 bytes each) signed it.

    Raises:
        ReleaseError: `bundle_unsigned`, `bundle_key_unknown`, `bundle_altered`.
    """
    if not bundle.signed:
        raise ReleaseError(
            "bundle_unsigned", "The bundle is not signed.", "Sign it: fieldassay release sign FILE."
        )
    if bundle.key not in set(trusted):
        raise ReleaseError(
            "bundle_key_unknown",
            f"The bundle is signed with the key {bundle.key.hex()[:16]}…, which is not trusted.",
            "Do not install it. Ask who released it which key is right.",
        )
    try:
        Ed25519PublicKey.from_public_bytes(bundle.key).verify(
            bundle.signature, CONTEXT + bytes.fromhex(bundle.sha256)
        )
    except (InvalidSignature, ValueError) as error:
        raise ReleaseError(
            "bundle_altered", "The signature does not fit this bundle: it was altered.", _AGAIN
        ) from error
