"""Write the configuration of a broker that serves units over the network (mosquitto, TLS only)."""

from __future__ import annotations

import argparse
from pathlib import Path

from fieldassay import broker_config, config
from fieldassay.authority import Authority


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`config`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    write = actions.add_parser(
        "config", help="write or refresh a folder with all that mosquitto needs"
    )
    write.add_argument("folder", type=Path, help="where, as /etc/mosquitto/fieldassay")
    write.add_argument(
        "--port",
        type=int,
        default=broker_config.DEFAULT_TLS_PORT,
        help="to listen on (8883)",
    )
    write.add_argument("--listen", default="", metavar="ADDRESS", help="one address only")
    write.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Write, then tell a running broker of this folder."""
    authority = Authority.open(config.home(args.home).authority)
    broker_config.write(args.folder, authority, args.port, args.listen)
    print(f"configuration  {args.folder.absolute() / 'mosquitto.conf'}")
    if broker_config.reload(args.folder):
        print("The running broker has been told to read its lists and certificates again.")
    else:
        print("No broker runs with it: start mosquitto -c with that file.")
    return 0
