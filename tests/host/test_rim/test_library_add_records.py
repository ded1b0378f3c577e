"""`fieldassay library add --record`: references out of the evidence store."""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay import library_check
from fieldassay.commands import library as command
from fieldassay.frame import Frame
from fieldassay.library import Library
from fieldassay.store import Store
from fieldassay.units import UnitRegistry
from fieldassay_wire import cbor, mac0, messages
from fieldassay_wire.cbor import TypedArray


def counts(values: np.ndarray) -> TypedArray:
    whole = np.maximum(values, 0).astype(np.uint32)
    return TypedArray(TypedArray.U32, struct.pack(f"<{whole.size}I", *whole.tolist()))


def test_records_become_a_reference_and_failed_checks_do_not(
    home: Path, measurement: Any, library_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = Library.open(library_path)
    entry = next(e for e in library.entries if e.label == "acetaminophen")
    clean = library_check.spectrum_of(library, entry)
    rng = np.random.default_rng(1)
    pixels = 1200
    shift = 1e7 / 785.0 - 1e7 / (800.0 + 0.1 * np.arange(pixels))
    signal = np.interp(shift, clean.axis.values, clean.intensity - clean.intensity.min())
    signal = 40_000.0 * signal / signal.max()
    unit = UnitRegistry(home / "units.json").add("unit-1")
    with Store.open(home / "evidence.db") as store:
        for seq in range(1, 6):
            message = measurement(
                seq=seq,
                raw=counts(4_000 + rng.poisson(signal) + rng.normal(0, 20, pixels)),
                dark=counts(2_000 + rng.normal(0, 14, pixels)),
                flags=["interrupted"] if seq == 4 else [],
                selftest={"ok": seq != 5, "checks": {"dark": "pass" if seq != 5 else "fail"}},
            )
            sealed = mac0.seal("measurement", unit.key, "unit-1", message)
            fields = messages.parse("measurement", cbor.encode(message))
            store.add_measurement(sealed, Frame.from_message(sealed, fields), 1_790_000_000_000)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    output = home / "own.falib"
    arguments = ["add", "--substance", "acetaminophen", "--output", str(output), "--json",
                 "--record", *(f"unit-1-1-{seq}" for seq in range(1, 6))]  # fmt: skip
    assert command.run(parser.parse_args(arguments)) == 0
    facts = json.loads(capsys.readouterr().out)
    refused = [one["refused"] for one in facts["measurements"]]
    assert refused[:3] == ["", "", ""]
    assert "interrupted" in refused[3] and "check" in refused[4]
    assert all(len(one["sha256"]) == 64 for one in facts["measurements"])
    (made,) = Library.open(output).entries
    assert (made.instrument, made.averaged, made.laser_nm) == ("unit-1", 3, 785.0)
    assert made.date == "2026-09-21" and made.file == "unit-1-1-1 and 2 more"
