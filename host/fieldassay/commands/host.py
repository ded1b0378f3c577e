"""The host alone: evidence store, identification and page, against a broker of yours."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fieldassay import config, process
from fieldassay.errors import SetupError

if TYPE_CHECKING:
    from fieldassay.link import BrokerAddress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Broker, page and home folder."""
    parser.add_argument("--broker", required=True, metavar="HOST:PORT", help="the MQTT broker")
    parser.add_argument("--tls-ca", type=Path, metavar="FILE", help="use TLS; authority as PEM")
    parser.add_argument(
        "--tls", action="store_true", help="use TLS with the host's own certificate and authority"
    )
    parser.add_argument("--user", help="user name at the broker")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="its password, one line")
    parser.add_argument(
        "--client-id", default="fieldassay-host", help="name of the session at the broker"
    )
    parser.add_argument("--port", type=int, help="port of the page (8620 or the next free one)")
    parser.add_argument(
        "--bench-port", action="append", default=[], metavar="PATH",
        help="serial port that the bench page offers besides those found; may be repeated",
    )  # fmt: skip
    parser.add_argument("--library", type=Path, help="reference library (default: the built one)")
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Run until a signal."""
    process.configure_logging("INFO")
    home = config.home(args.home).create()
    address = _address(args, home)
    from fieldassay import service  # late: it takes long to import
    from fieldassay.library import Library

    library = Library.open(args.library or home.library)
    with process.stopping_on_signals() as stop:
        bound = process.bind_page(args.port)
        try:
            host = service.Host(home, address, library, args.bench_port)
        except BaseException:
            bound.close()
            raise
        page = service.Page(host, bound)
        try:
            host.start()
            page.serve_in_background()
            print(f"page    {page.address}", flush=True)
            print(f"broker  {address.host}:{address.port}", flush=True)
            stop.wait()
        finally:
            host.feed.close()
            page.stop()
            host.stop()
    return 0


def _address(args: argparse.Namespace, home: config.Home) -> BrokerAddress:
    name, _, port = args.broker.rpartition(":")
    if not name or not port.isdigit() or not 0 < int(port) < 65536:
        raise SetupError(
            "broker_address_bad",
            f"{args.broker!r} is not the address of a broker.",
            "Give name or address and port, as in --broker 192.168.7.1:8883.",
        )
    from fieldassay.link import BrokerAddress

    password = None
    if args.password_file is not None:
        try:
            password = args.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise SetupError(
                "password_unreadable",
                f"The password file {args.password_file} cannot be read.",
                "Give a text file with the password in one line, readable by this user.",
            ) from error
    ca: Path | None = args.tls_ca
    certificates: tuple[tuple[Path, Path], ...] = ()
    if args.tls:
        from fieldassay.authority import Authority

        authority = Authority.open(home.authority)
        ca, certificates = authority.ca_pem, authority.host_pairs
    return BrokerAddress(
        name.strip("[]"), int(port), ca, args.user, password, args.client_id, certificates
    )
