"""The head of a signed firmware bundle and its manifest: taken apart and checked, never trusted.

A bundle is HEAD_BYTES of head, the manifest, then the files one after the other. The manifest is
JSON whose very bytes are signed. Verifying signature and hashes is the caller's. The form is
docs/reference/firmware-bundle.md.
"""

import json
import struct

from .errors import WireError
from .rules import Int, List, OneOf, Text, valid_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC = b"fafw\x01\x00"
HEAD_BYTES = 6 + 4 + 32 + 64  # magic, size of the manifest, public key, signature
MANIFEST_MAX = 12 * 1024
FILE_MAX = 64 * 1024
FILES_MAX = 96
PRODUCT = "fieldassay-unit"
UNSIGNED = bytes(64)
SEQUENCE = Int(1, 0x3FFFFFFF)


def valid_path(path: str) -> bool:
    # Folders of lower-case names, at most three parts, a file of MicroPython at the end.
    parts = path.split("/")
    if len(parts) > 3 or not path.endswith((".py", ".mpy")):
        return False
    return all(part and part[0] != "." and valid_name(part) for part in parts)


TABLE: "dict[str, Any]" = {
    "format": Int(1, 1),
    "product": OneOf(PRODUCT),
    "hardware": List(1, 16, Text(1, 32, valid_name, "lower-case letters, digits, _ - .")),
    "version": Text(1, 32),
    "sequence": SEQUENCE,
    "minimum_sequence": Int(0, 0x3FFFFFFF),
    "expires_s": Int(0, 0xFFFFFFFF),
}
_PATH = Text(4, 64, valid_path, "a path of a .py or .mpy file")
_SIZE = Int(0, FILE_MAX)


def head(manifest_bytes: int, key: bytes, signature: bytes) -> bytes:
    return MAGIC + struct.pack(">I", manifest_bytes) + key + signature


def read_head(data: "Any") -> "tuple[int, bytes, bytes]":
    # Size of the manifest, public key, signature.
    if len(data) < HEAD_BYTES or bytes(data[:6]) != MAGIC:
        raise WireError("bad_bundle", "The bytes do not start as a firmware bundle, form 1.")
    size = struct.unpack(">I", data[6:10])[0]
    if not 2 <= size <= MANIFEST_MAX:
        raise WireError("bad_bundle", "The manifest has {} bytes, too many or few.".format(size))
    return size, bytes(data[10:42]), bytes(data[42:106])


def read_manifest(data: bytes) -> "dict[str, Any]":
    # The checked manifest; unknown fields are kept. Files are [path, size, sha256 in hex].
    try:
        manifest: dict[str, Any] = json.loads(bytes(data).decode())
    except ValueError:
        raise WireError("bad_bundle", "The manifest is no JSON.") from None
    if not isinstance(manifest, dict):
        raise WireError("bad_bundle", "The manifest is no JSON object.")
    for name in TABLE:
        if name not in manifest:
            raise WireError("bad_bundle", "The manifest has no {}.".format(name))
        TABLE[name].check("manifest." + name, manifest[name])
    if manifest["minimum_sequence"] > manifest["sequence"]:
        raise WireError("bad_bundle", "The manifest forbids itself: sequence below the minimum.")
    _check_files(manifest.get("files"))
    return manifest


def _check_files(files: "Any") -> None:
    if not isinstance(files, list) or not 1 <= len(files) <= FILES_MAX:
        raise WireError("bad_bundle", "The manifest lists no or too many files.")
    last = ""
    for entry in files:
        if not isinstance(entry, list) or len(entry) != 3:
            raise WireError("bad_bundle", "A file is not [path, size, sha256].")
        path, size, digest = entry
        _PATH.check("file", path)
        _SIZE.check(path, size)
        if not isinstance(digest, str) or len(digest) != 64 or digest.strip("0123456789abcdef"):
            raise WireError("bad_bundle", "{} has no SHA-256 in lower-case hex.".format(path))
        if path <= last:
            raise WireError("bad_bundle", "The files are not sorted or one is there twice.")
        last = path


def files_bytes(manifest: "dict[str, Any]") -> int:
    return sum([entry[1] for entry in manifest["files"]])
