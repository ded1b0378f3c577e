"""Calibrate the wavelength axis and the laser of a unit from measurements of a lamp and standards.

Measurements are spectrum files, records of the evidence store (`record:ID`), or made now at the
port (`live`). A fit that is not good enough is refused with its reasons, and nothing is written.
With --port the file is put on the unit itself; it must pass a performance check afterwards.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fieldassay import config
from fieldassay.clock import now_ms
from fieldassay.errors import CalibrationError
from fieldassay.private_file import write_private

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fieldassay.calibrate.measured import Session

RECORD = "record:"
LIVE = "live"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What was measured, and where the calibration goes."""
    parser.add_argument("unit", help="name of the unit")
    for option, example in (("--lamp", "neon=FILE"), ("--standard", "polystyrene=FILE")):
        parser.add_argument(
            option, action="append", required=True, metavar="NAME=SOURCE",
            help=f"a measurement: {example}, or record:ID of the store, or live: measured now "
            "at --port; may be given several times",
        )  # fmt: skip
    parser.add_argument("--laser-nm", type=float, default=785.0, help="nominal laser (785)")
    parser.add_argument(
        "--guess-nm", metavar="FIRST,LAST", help="roughly the wavelengths of first and last pixel"
    )
    parser.add_argument("--id", dest="name", help="name of the calibration (default: unit and day)")
    parser.add_argument("--out", type=Path, help="write calibration.json here")
    parser.add_argument("--port", help="serial port of the unit: write the file to it")
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Fit, report, write; 1 if the fit is refused."""
    from fieldassay.calibrate.attempt import attempt  # late: numpy takes long to import
    from fieldassay.residual_plot import residual_plot

    home = config.home(args.home).create()
    hot_pixels: tuple[int, ...] = ()
    if _is_live(args):
        common, hot_pixels = _live(args)
    else:
        common = _session(args, home)
    ends_nm = _pair(args.guess_nm) if args.guess_nm else None
    if ends_nm is None and _is_live(args) and common.guess is not None:
        # The unit's old axis may be far off: it says where to look, not which line is which.
        first, last = common.guess(common.measured[0].at[[0, -1]]).tolist()
        ends_nm = (first, last)
    lamps = len(common.measured) - len(args.standard)  # a live lamp gives several exposures
    tried = attempt(common, lamps, args.laser_nm, ends_nm)
    day = datetime.fromtimestamp(now_ms() / 1000.0, UTC).strftime("%Y-%m-%d")
    home.checks.mkdir(exist_ok=True, mode=0o700)
    stem = home.checks / f"{args.unit}-calibration-{day}"
    write_private(stem.with_suffix(".json"), json.dumps(tried.report, indent=1) + "\n")
    stem.with_suffix(".pdf").write_bytes(residual_plot(tried.solved, tried.positions))
    print(tried.summary())
    print(f"report: {stem}.json and .pdf")
    tried.accepted()
    if args.out or args.port:
        _write(args, tried.document(args.name or f"{args.unit}-{day}", day, hot_pixels))
    return 0


def _is_live(args: argparse.Namespace) -> bool:
    live = [_named(text)[1] == LIVE for text in (*args.lamp, *args.standard)]
    if any(live) and not (all(live) and args.port):
        raise _bad("live needs --port, and all measurements live.")
    return all(live)


def _live(args: argparse.Namespace) -> tuple[Session, tuple[int, ...]]:
    """Guide a person through the measurements at the unit's port."""
    from fieldassay.bench.calibrating import live_session
    from fieldassay.bench.repl import Repl
    from fieldassay.calibrate.detector import fit_dark
    from fieldassay.terminal_plot import curve

    def ask(step: str) -> None:
        input(f"{step} Then press Enter. ")

    def shown(what: str, values: NDArray[np.float64]) -> None:
        top, pixels = float(values.max()), range(len(values))
        print(f"{what}: {top:.0f} counts at most")
        print("\n".join(curve(pixels, values.tolist(), (0.0, max(top, 1.0)), 78, 5)[:5]))

    with Repl(args.port) as repl:
        lamps, standards = (
            [_named(text)[0] for text in part] for part in (args.lamp, args.standard)
        )
        common, darks = live_session(repl, args.unit, lamps, standards, ask, print, shown)
    hot_pixels = fit_dark(darks).hot_pixels
    print(f"{len(hot_pixels)} hot pixels")
    return common, hot_pixels


def _session(args: argparse.Namespace, home: config.Home) -> Session:
    from fieldassay import formats
    from fieldassay.calibrate.measured import Given, of_frames, session
    from fieldassay.commands.record import frame_of
    from fieldassay.store import Store

    named = [_named(text) for text in (*args.lamp, *args.standard)]
    records = [source.startswith(RECORD) for _, source in named]
    if any(records) and not all(records):
        raise CalibrationError(
            "calibration_axes_differ",
            "Records of a unit and files were mixed.",
            "Give records only, or files only.",
        )
    if all(records):
        with Store.open_read_only(home.evidence) as store:
            frames = [
                (name, frame_of(store.record(source.removeprefix(RECORD))))
                for name, source in named
            ]
        return of_frames(frames)
    given = []
    for name, source in named:
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise CalibrationError(
                "calibration_file_unreadable",
                f"{source} cannot be read: {error.strerror}.",
                "Check the name of the file.",
            ) from error
        given.append(Given(name, formats.read(data, source), source))
    return session(given, args.laser_nm)


def _named(text: str) -> tuple[str, str]:
    name, equals, source = text.partition("=")
    if not (name and equals and source):
        raise _bad(f"{text!r} is not NAME=FILE.")
    return name, source


def _pair(text: str) -> tuple[float, float]:
    try:
        first, last = (float(part) for part in text.split(","))
    except ValueError:
        raise _bad(f"--guess-nm {text!r} is not FIRST,LAST.") from None
    return first, last


def _bad(what: str) -> CalibrationError:
    return CalibrationError(
        "calibration_wrong_use",
        what,
        "For example: --lamp neon=neon.csv --standard polystyrene=ps.csv --guess-nm 800,960.",
    )


def _write(args: argparse.Namespace, data: bytes) -> None:
    if args.out:
        write_private(args.out, data.decode())
        print(f"written to {args.out}")
    if args.port:
        from fieldassay.bench import visits
        from fieldassay.bench.repl import Repl

        with Repl(args.port) as repl:
            visits.put_calibration(repl, data, args.unit)
        print(f"written to the unit at {args.port}; now check it: fieldassay unit verify")
