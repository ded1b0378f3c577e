"""Build, sign, show and verify firmware bundles for units."""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

from fieldassay import bundle, release
from fieldassay.errors import ReleaseError

HARDWARE = ("sim", "pico2w", "esp32s3")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`keygen`, `build`, `show`, `sign` and `verify`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    keygen = actions.add_parser("keygen", help="make a signing key; prints the public key")
    keygen.add_argument("file", type=Path, help="new private key file, readable by you only")
    build = actions.add_parser("build", help="make a bundle of a firmware folder")
    build.add_argument("--firmware", type=Path, required=True, help="folder with main.py (device/)")
    build.add_argument("--version", required=True, help="name of the release, for people")
    build.add_argument(
        "--sequence", type=int, required=True, help="number of the release, above every earlier one"
    )
    build.add_argument(
        "--minimum-sequence", type=int, default=0, help="units never go below this again (0)"
    )
    build.add_argument("--expires", help="last day on which units install it, YYYY-MM-DD")
    build.add_argument(
        "--hardware", nargs="+", default=list(HARDWARE), help="boards it is for (all known)"
    )
    build.add_argument(
        "--mpy",
        choices=("bytecode", *release.ARCHITECTURES),
        help="compile modules; an architecture compiles native code too",
    )
    build.add_argument("--key", type=Path, help="sign it with this private key")
    build.add_argument("--out", type=Path, required=True, help="the bundle, NAME.fafw")
    show = actions.add_parser("show", help="what a bundle holds; does not verify its signature")
    show.add_argument("bundle", type=Path)
    show.add_argument("--json", action="store_true", help="print the manifest")
    sign = actions.add_parser("sign", help="put your signature on a bundle")
    sign.add_argument("bundle", type=Path)
    sign.add_argument("--key", type=Path, required=True, help="private key file")
    verify = actions.add_parser("verify", help="check signature and every file")
    verify.add_argument("bundle", type=Path)
    verify.add_argument(
        "--trust", nargs="+", required=True, metavar="KEY", help="public keys in hex, or files"
    )


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    if args.action == "keygen":
        print(f"{release.keygen(args.file).hex()}")
    elif args.action == "build":
        _build(args)
    elif args.action == "sign":
        found = release.load(args.bundle)
        release.save(args.bundle, bundle.sign(found, release.read_key(args.key)))
        print(f"{args.bundle} is signed.")
    elif args.action == "show":
        _show(release.load(args.bundle), args.json)
    else:
        found = release.load(args.bundle)
        bundle.verify(found, [release.public_key(text) for text in args.trust])
        print(f"{args.bundle}: signature and {len(found.manifest['files'])} files are right.")
    return 0


def _build(args: argparse.Namespace) -> None:
    files = release.firmware_files(args.firmware)
    if args.mpy:
        files = release.compiled(files, "" if args.mpy == "bytecode" else args.mpy)
    data = bundle.build(
        files,
        version=args.version,
        sequence=args.sequence,
        minimum_sequence=args.minimum_sequence,
        expires_s=_end_of(args.expires) if args.expires else 0,
        hardware=args.hardware,
    )
    if args.key:
        data = bundle.sign(bundle.read(data), release.read_key(args.key))
    release.save(args.out, data)
    print(f"{args.out}: {len(files)} files, {len(data)} bytes, {bundle.read(data).sha256}")


def _end_of(day: str) -> int:
    try:
        start = datetime.datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise ReleaseError(
            "release_date_bad", f"{day!r} is no date.", "Give it as YYYY-MM-DD."
        ) from error
    return int(start.timestamp()) + 86_400


def _show(found: bundle.Bundle, as_json: bool) -> None:
    manifest = found.manifest
    if as_json:
        print(json.dumps(manifest, indent=1, sort_keys=True))
        return
    expires = "never"
    if manifest["expires_s"]:
        end = datetime.datetime.fromtimestamp(manifest["expires_s"], datetime.UTC)
        expires = f"{end:%Y-%m-%d %H:%M} UTC"
    print(f"version   {manifest['version']}")
    print(f"sequence  {manifest['sequence']} (never below {manifest['minimum_sequence']} again)")
    print(f"hardware  {' '.join(manifest['hardware'])}")
    print(f"expires   {expires}")
    print(f"firmware  {found.sha256}")
    print(f"signed    {f'with the key {found.key.hex()}' if found.signed else 'no'}")
    for path, size, digest in manifest["files"]:
        print(f"{size:8d}  {digest[:16]}  {path}")
