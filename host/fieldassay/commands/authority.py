"""Make, show and renew the certificate authority that broker, host and units trust."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from fieldassay import config
from fieldassay.authority import AUTHORITY_DAYS, SERVER_DAYS, Authority, Certificate

SOON_DAYS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`init`, `show`, `renew` and `revoke`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    init = actions.add_parser(
        "init", help="make the authority, and certificates of broker and host"
    )
    init.add_argument("--name", default="fieldassay authority", help="what its certificate says")
    init.add_argument(
        "--days", type=int, default=AUTHORITY_DAYS, help="how long it lives (ten years)"
    )
    show = actions.add_parser("show", help="what was issued, until when, and what is revoked")
    show.add_argument("--json", action="store_true", help="print one JSON object a line")
    renew = actions.add_parser("renew", help="new keys and certificates of broker and host")
    for sub in (init, renew):
        sub.add_argument(
            "--broker",
            action="append",
            required=True,
            metavar="NAME",
            help="host name or address by which units reach the broker; repeat for more",
        )
        sub.add_argument(
            "--server-days", type=int, default=SERVER_DAYS, help="validity of both (825 days)"
        )
    revoke = actions.add_parser("revoke", help="revoke every certificate of a name")
    revoke.add_argument("name", help="as `authority show` lists it; a unit: use `unit retire`")
    for sub in (init, show, renew, revoke):
        sub.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    home = config.home(args.home).create()
    now = datetime.now(UTC)
    if args.action == "init":
        authority = Authority.create(home.authority, args.name, now, args.days)
        _issue(authority, args, now)
        print(f"authority    {home.authority}")
        print(f"fingerprint  {authority.fingerprint}")
        print("Keep a copy of this folder in a safe place: whoever has it can let anybody in.")
        return 0
    authority = Authority.open(home.authority)
    if args.action == "renew":
        _issue(authority, args, now)
        authority.refresh_crl(now)
        print("Broker and host have new certificates. Type `fieldassay broker config` next.")
    elif args.action == "revoke":
        count = authority.revoke(args.name, now)
        print(f"{count} certificates of {args.name} are revoked.")
        print("Type `fieldassay broker config` next, so that the broker knows.")
        return int(count == 0)
    else:
        _show(authority, now, args.json)
    return 0


def _issue(authority: Authority, args: argparse.Namespace, now: datetime) -> None:
    authority.issue_server(args.broker, now, args.server_days)
    authority.issue_host(now, args.server_days)


def _show(authority: Authority, now: datetime, as_json: bool) -> None:
    if not as_json:
        print(f"fingerprint  {authority.fingerprint}")
        print(f"ends         {authority.not_after:%Y-%m-%d}")
    for row in authority.certificates():
        if as_json:
            facts = {
                "serial": f"{row.serial:x}",
                "name": row.name,
                "kind": row.kind,
                "not_after_ms": row.not_after_ms,
                "revoked_ms": row.revoked_ms,
            }
            print(json.dumps(facts))
        else:
            print(f"{row.kind:<7} {row.name:<24} {_until(row, now)}  {row.serial:x}")


def _until(row: Certificate, now: datetime) -> str:
    if row.revoked_ms is not None:
        return "REVOKED"
    end = datetime.fromtimestamp(row.not_after_ms / 1000, UTC)
    left = (end - now).days
    word = f"until {end:%Y-%m-%d}"
    if left < 0:
        return f"{word} EXPIRED"
    return f"{word} RENEW SOON" if left < SOON_DAYS else word
