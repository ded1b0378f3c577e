"""Writes docs/reference/cli.md from the two parsers: `make docs`. A test fails when it is stale."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from fieldassay.cli import build_parser as host_parser
from fieldassay_sim.cli import build_parser as sim_parser

TARGET = Path(__file__).parent / "reference" / "cli.md"
HEAD = """# Command line
*Written by `make docs` from the programs themselves; a test fails when it is stale.*

Exit status: 0 done, 1 the command ran and something failed (a file could not be read, an outcome
was not acceptable), 2 wrong use, 130 stopped with Ctrl-C. Errors are three things everywhere: a
code ([errors](errors.md)), what happened, what to do next.

Environment: `FIELDASSAY_HOME` is the home folder (default `~/.local/share/fieldassay`): reference
library, keys of units, evidence store. `FIELDASSAY_MICROPYTHON` is the interpreter for simulated
units where no wheel brings one. `FIELDASSAY_DATA` is a folder of real spectra for the tests.
"""


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    yield parser, ""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            help_of = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, sub in action.choices.items():
                for found, text in _commands(sub):
                    yield found, text or help_of[name]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(action: argparse.Action) -> str:
    if action.option_strings:
        value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        name = ", ".join(f"`{option}{value}`" for option in action.option_strings)
    else:
        name = f"`{action.metavar or action.dest}`"
    notes = [action.help or ""]
    if action.choices and not isinstance(action.choices, dict):
        notes.append(f"one of {', '.join(str(c) for c in action.choices)}")
    if action.required and action.option_strings:
        notes.append("required")
    return f"| {name} | {_cell('; '.join(note for note in notes if note))} |"


def render() -> str:
    """The whole page."""
    parts = [HEAD]
    for program in (host_parser(), sim_parser()):
        for parser, help_text in _commands(program):
            parts.append(f"\n## {parser.prog}")
            parts.append(_cell(help_text or parser.description or "") + "\n")
            rows = [
                _row(action)
                for action in parser._actions
                if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
            ]
            if rows:
                parts += ["| argument | meaning |", "|---|---|", *rows]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
