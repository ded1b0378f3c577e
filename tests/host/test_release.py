"""Firmware bundles on the computer: form, reproducibility, signing, refusals, the command."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fieldassay import bundle, release
from fieldassay.cli import main
from fieldassay.errors import ReleaseError
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
FILES = {"main.py": b"print(1)\n", "boards/sim.py": b"", "app.py": b"x = 2\n" * 40}
FACTS = {"version": "1.2", "sequence": 7, "hardware": ["sim", "pico2w"], "minimum_sequence": 3}


def signed() -> bytes:
    return bundle.sign(bundle.read(bundle.build(FILES, **FACTS)), KEY)


def code_of(data: bytes) -> str:
    with pytest.raises(ReleaseError) as caught:
        bundle.verify(bundle.read(data), [PUBLIC])
    return caught.value.code


def test_a_bundle_holds_what_went_in():
    found = bundle.read(signed())
    bundle.verify(found, [b"\x05" * 32, PUBLIC])
    assert dict(found.files()) == FILES
    assert found.manifest["hardware"] == ["pico2w", "sim"]
    assert [entry[0] for entry in found.manifest["files"]] == sorted(FILES)


def test_two_builds_are_the_same_bytes():
    turned = dict(reversed(list(FILES.items())))
    facts = {**FACTS, "hardware": ["pico2w", "sim", "sim"]}
    assert bundle.build(turned, **facts) == bundle.build(FILES, **FACTS)
    assert signed() == signed()


@pytest.mark.parametrize(
    ("change", "files"),
    [
        ({"sequence": 0}, {}),
        ({"sequence": 1 << 30}, {}),
        ({"minimum_sequence": 8}, {}),
        ({"version": ""}, {}),
        ({"hardware": []}, {}),
        ({"hardware": ["Pico 2"]}, {}),
        ({"expires_s": -1}, {}),
        ({}, {"../main.py": b""}),
        ({}, {"/main.py": b""}),
        ({}, {"a/b/c/d.py": b""}),
        ({}, {"settings.json": b""}),
        ({}, {".x.py": b""}),
        ({}, {"big.py": bytes(65537)}),
        ({}, {f"m{n}.py": b"" for n in range(97)}),
    ],
)
def test_what_breaks_a_limit_makes_no_bundle(change, files):
    with pytest.raises(ReleaseError) as caught:
        bundle.build({**FILES, **files}, **{**FACTS, **change})
    assert caught.value.code == "bundle_bad"


def test_refusals():
    unsigned = bundle.build(FILES, **FACTS)
    assert code_of(unsigned) == "bundle_unsigned"
    other = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
    assert code_of(bundle.sign(bundle.read(unsigned), other)) == "bundle_key_unknown"
    data = bytearray(signed())
    data[50] ^= 1
    assert code_of(bytes(data)) == "bundle_altered"
    assert code_of(signed().replace(b'"sequence":7', b'"sequence":8')) == "bundle_altered"
    assert code_of(signed()[:-1]) == "bundle_damaged"
    assert code_of(signed() + b"\0") == "bundle_damaged"
    forged = bytearray(signed())
    forged[10:42] = other.public_key().public_bytes_raw()
    assert code_of(bytes(forged)) == "bundle_key_unknown"


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_change_of_any_byte_is_taken(data):
    """Head, manifest and files: whatever is altered, cut out or put in is refused, with a code."""
    good = signed()
    at = data.draw(st.integers(0, len(good) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "swap"]))
    if kind == "flip":
        bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    elif kind == "cut":
        bad = good[:at] + good[at + data.draw(st.integers(1, 50)) :]
    elif kind == "insert":
        bad = good[:at] + data.draw(st.binary(min_size=1, max_size=9)) + good[at:]
    else:
        bad = good[:at] + good[at + 9 : at + 18] + good[at : at + 9] + good[at + 18 :]
    if bad != good:
        assert code_of(bad).startswith("bundle_")


def test_the_firmware_folder_goes_in_whole(root: Path):
    """What a slot holds is what the firmware's own hash covers, so both sides see one hash."""
    files = release.firmware_files(root / "device")
    assert "main.py" in files
    assert "boards/__init__.py" in files
    assert not [name for name in files if name.startswith("rom/")]
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(b"%s\0%d\0" % (name.encode(), len(content)) + content)
    scope: dict[str, object] = {"__file__": str(root / "device" / "firmware.py")}
    exec((root / "device" / "firmware.py").read_text(), scope)
    assert scope["describe"]()["sha256"] == digest.digest()  # type: ignore[operator]
    found = bundle.read(bundle.build(files, **FACTS))
    assert len(found.manifest_bytes) < 8000  # travels in one piece to a small heap


def test_the_command_from_key_to_verified_bundle(root: Path, tmp_path: Path, capsys):
    key, out = tmp_path / "release.pem", tmp_path / "one.fafw"
    assert main(["release", "keygen", str(key)]) == 0
    public = capsys.readouterr().out.strip()
    assert key.stat().st_mode & 0o777 == 0o600
    build = ["release", "build", "--firmware", str(root / "device"), "--version", "0.2"]
    build += ["--sequence", "2", "--expires", "2030-01-01", "--out", str(out)]
    assert main(build) == 0
    assert main(["release", "verify", str(out), "--trust", public]) == 1
    assert "bundle_unsigned" in capsys.readouterr().err
    assert main(["release", "sign", str(out), "--key", str(key)]) == 0
    assert main(["release", "verify", str(out), "--trust", public]) == 0
    first = out.read_bytes()
    assert main([*build, "--key", str(key)]) == 0
    assert out.read_bytes() == first
    capsys.readouterr()
    assert main(["release", "show", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["expires_s"] == 1893542400
    assert main(["release", "show", str(out)]) == 0
    assert public in capsys.readouterr().out
    assert main(["release", "keygen", str(key)]) == 1
    assert "release_key_exists" in capsys.readouterr().err


def test_a_key_that_others_may_read_is_refused(tmp_path: Path):
    path = tmp_path / "key.pem"
    release.keygen(path)
    path.chmod(0o640)
    with pytest.raises(ReleaseError) as caught:
        release.read_key(path)
    assert caught.value.code == "release_key_open"


@pytest.mark.parametrize("architecture", ["", *release.ARCHITECTURES])
def test_compiled_firmware(root: Path, architecture: str):
    files = release.compiled(release.firmware_files(root / "device"), architecture)
    source = {name for name in files if name.endswith(".py")}
    assert "main.py" in source
    assert ("coadd_viper.py" in source) is (architecture == "")
    assert all(content[:1] == b"M" for name, content in files.items() if name.endswith(".mpy"))
    assert files == release.compiled(release.firmware_files(root / "device"), architecture)
