"""The command `fieldassay`: one line per command, the work is in `fieldassay.commands`.

Exit status: 0 done, 1 the command ran and something failed (a file could not be read), 2 wrong use.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys

from fieldassay import __version__
from fieldassay.errors import FieldassayError

COMMANDS = {
    "run": "broker, host, one simulated unit and the browser page, until Ctrl-C",
    "host": "the host alone, against a broker of yours",
    "identify": "identify spectra in files (CSV, JCAMP-DX, SPC)",
    "explain": "draw why a spectrum got its verdict",
    "evaluate": "measure how good the identification is, on spectra with a known truth",
    "library": "build and show reference libraries",
    "record": "list, show and export records of the evidence store",
    "authority": "make and renew the certificates of broker and host",
    "broker": "configure a broker for the network",
    "unit": "add units and their keys",
    "release": "build, sign and check firmware for units",
}


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser; docs/reference/cli.md is checked against its help.

    Args:
        only: Import and describe this command alone, for a fast start; None: all of them.
    """
    parser = argparse.ArgumentParser(
        prog="fieldassay",
        description="Identify drugs, precursors and cutting agents from Raman spectra. Results are "
        "presumptive: confirm in a laboratory.",
    )
    parser.add_argument("--version", action="version", version=f"fieldassay {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in COMMANDS.items():
        if only not in (None, name):
            commands.add_parser(name, help=help_text)
            continue
        module = importlib.import_module(f"fieldassay.commands.{name}")
        sub = commands.add_parser(name, help=help_text, description=module.__doc__)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; typed errors become the same three lines everywhere."""
    words = sys.argv[1:] if argv is None else argv
    command = words[0] if words else ""  # before it there are only options that end the program
    args = build_parser(only=command).parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may be of another encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = int(args.run(args))
        sys.stdout.flush()
    except FieldassayError as error:
        print(f"{error.code}: {error.what}\n  {error.do_next}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
