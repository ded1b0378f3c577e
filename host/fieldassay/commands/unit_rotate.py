"""Give a unit a new key and certificate; the old key is taken for a grace period."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from fieldassay_wire import keys

from fieldassay import config, provision
from fieldassay.authority import Authority
from fieldassay.bench.repl import Repl
from fieldassay.clock import now_ms
from fieldassay.errors import UnitError
from fieldassay.units import GRACE_DAYS, UnitRegistry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name, and port or confirmation."""
    parser.add_argument("name", help="which")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--port", help="serial port of the unit: write the new key and certificate")
    what.add_argument("--confirm", action="store_true", help="take the old keys no longer from now")
    parser.add_argument(
        "--grace-days",
        type=int,
        default=GRACE_DAYS,
        help=f"how long messages sealed with the old key are taken ({GRACE_DAYS})",
    )
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Rotate or confirm; may be repeated after an interruption."""
    home = config.home(args.home)
    registry = UnitRegistry(home.units)
    if args.confirm:
        registry.confirm_rotation(args.name, now_ms())
        print(f"Nothing more is taken that an old key of {args.name} seals; its records verify.")
        return 0
    now = datetime.now(UTC)
    with Repl(args.port) as board:
        board.enter(soft_reset=True)
        found = provision.read(board)
        if found is None:
            raise UnitError(
                "unit_not_provisioned",
                "This board has no settings.",
                f"Type `fieldassay unit provision {args.name}` with --port and --broker.",
            )
        provision.check_identity(found, args.name, replace=False)
        tls = bool(found.get("broker", {}).get("tls"))
        authority = Authority.open(home.authority) if tls else None
        coming = registry.begin_rotation(args.name).coming
        assert coming is not None
        certificate = None if authority is None else authority.issue_unit(args.name, now)
        document = provision.with_new_secrets(found, coming, certificate, now)
        provision.write(board, document, None)
        registry.complete_rotation(args.name, coming, now_ms(), args.grace_days)
        if authority is not None and certificate is not None:
            authority.revoke(args.name, now, certificate.certificate.serial)
        board.hard_reset()
    print(f"{args.name} has a new key {keys.fingerprint(coming)}; print a new label.")
    print(f"The old key is taken for {args.grace_days} days, or until --confirm.")
    if tls:
        print("Type `fieldassay broker config` next: the old certificate is revoked.")
    return 0
