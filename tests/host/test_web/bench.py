"""A whole web application over real store, library and cards: what the tests of pages and API use.

Loaded by path from the conftest files here and of tests/system/test_browser. Measurements are
sealed by the real wire code; counts come from a file of a spectrometer, else they are made up.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from fieldassay import answers, config
from fieldassay.bench.jobs import Jobs
from fieldassay.calibrate.lamps import lamp
from fieldassay.calibrate.standards import standard
from fieldassay.duty import Duty
from fieldassay.errors import FrameError
from fieldassay.frame import Frame
from fieldassay.hazards.cards import load_cards
from fieldassay.identify import identify_frame
from fieldassay.library import Library
from fieldassay.live import Feed
from fieldassay.store import Store
from fieldassay.unit_states import UnitStates
from fieldassay.units import UnitRegistry
from fieldassay.web.app import create_app
from fieldassay.web.bench_desk import Bench as Workshop
from fieldassay_wire import cbor, mac0

PIXELS = 2048
NOW_MS = 1_764_000_000_000
COEFFICIENTS_NM = ("793.27", "0.15326", "0.0000140788", "-0.00000001132", "1.386e-12")

BODIES: dict[str, dict[str, Any]] = {
    "match": {
        "substances": [("acetaminophen", "acetaminophen", None)],
        "reasons": [("fits", "The spectrum fits acetaminophen, and nothing else of the library.")],
        "do_next": "File the record. Send a sample to the laboratory.",
    },
    "mixture": {
        "substances": [("lactose", "lactose", 0.62), ("caffeine", "caffeine", 0.38)],
        "reasons": [("two", "Lactose and caffeine together explain the spectrum, neither alone.")],
        "do_next": "File the record. The laboratory decides on shares.",
    },
    "class": {
        "substances": [("fentanyl-related", "fentanyl-related substance", None)],
        "reasons": [("family", "The bands are those of the family; the member is not known.")],
        "do_next": "Treat as fentanyl. Call the laboratory.",
    },
    "out_of_library": {
        "substances": [],
        "reasons": [("unexplained", "A good spectrum that no reference explains.")],
        "do_next": "Treat as unknown and toxic. Send the record for review.",
    },
    "inconclusive": {
        "substances": [],
        "reasons": [
            ("low_signal", "The strongest band is 2.1 times the noise; at least 5 is needed."),
            ("fluorescent", "The sample fluoresces strongly."),
        ],
        "do_next": "Measure again on another spot, with a longer exposure.",
    },
}


def body(kind: str, **changes: Any) -> dict[str, Any]:
    """A verdict in the documented JSON form; unknown kinds get the fields of an inconclusive."""
    template = BODIES.get(kind, BODIES["inconclusive"])
    return {
        "verdict": kind,
        "substances": [
            {"id": i, "name": n, "inchikey": None, "share": s} for i, n, s in template["substances"]
        ],
        "candidates": [
            {"id": "acetaminophen", "name": "acetaminophen", "score": 0.9731},
            {"id": "caffeine", "name": "caffeine", "score": 0.4127},
            {"id": "lactose", "name": "lactose", "score": 0.2214},
        ],
        "quality": {
            "snr": 81.3,
            "axis_shift_cm1": -0.75,
            "saturated": False,
            "range_cm1": [302.0, 2303.0],
        },
        "reasons": [{"code": c, "text": t} for c, t in template["reasons"]],
        "do_next": template["do_next"],
        "hazard_card": "unknown",
        "library": "sha256:" + "ab" * 32,
        "algorithm": "test/1",
        **changes,
    }


def made_up_counts(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Raw and dark counts of one frame: a few bands on a sloping background, with noise."""
    rng = np.random.default_rng(seed)
    pixel = np.arange(PIXELS)
    bands = rng.uniform(150, 1400, 12)
    signal = sum(3000 * rng.uniform(0.1, 1) * np.exp(-(((pixel - b) / 4) ** 2)) for b in bands)
    dark = rng.poisson(900, PIXELS)
    return rng.poisson(900 + 400 + 0.2 * pixel + signal), dark


def read_counts(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Raw and dark counts of a spectrometer file with the columns Raw and Dark."""
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    start = next(i for i, row in enumerate(rows) if "Raw" in row and "Dark" in row)
    raw, dark = rows[start].index("Raw"), rows[start].index("Dark")
    table = [row for row in rows[start + 1 :] if len(row) > max(raw, dark)]
    return tuple(np.array([float(row[c]) for row in table]).round() for c in (raw, dark))


def message(
    unit: str, seq: int, counts: tuple[np.ndarray, np.ndarray], **changes: Any
) -> dict[str, Any]:
    raw, dark = (np.clip(c, 0, None).astype("<u4") for c in counts)
    return {
        "v": 1,
        "unit": unit,
        "boot": 3,
        "seq": seq,
        "time_ms": NOW_MS + 60_000 * seq,
        "clock": "synced",
        "uptime_ms": 120_000,
        "exposure_us": 287_000,
        "frames": 1,
        "dark_frames": 1,
        "raw": cbor.TypedArray(cbor.TypedArray.U32, raw.tobytes()),
        "dark": cbor.TypedArray(cbor.TypedArray.U32, dark.tobytes()),
        "full_scale_counts": 65_535,
        "saturated_pixels": 0,
        "flags": [],
        "gain_me_per_count": 5_000,
        "read_noise_me": 12_000,
        "excitation_pm": 785_032,
        "laser_set_uw": 50_000,
        "laser_uw": 49_700,
        "laser_mdegc": 25_100,
        "detector_mdegc": -9_900,
        "calibration": {
            "id": "bench-1",
            "date": "2025-02-20",
            "coefficients_nm": list(COEFFICIENTS_NM),
        },
        "selftest": {"ok": True, "checks": {"dark": "pass", "laser": "pass"}},
        "firmware": {"version": "0.1.0", "sha256": bytes(range(32))},
        "answers": {"packaging": "", "sample": ""},
        "series": 0,
        "spot": 0,
        "battery_mv": 3_912,
        **changes,
    }


def wavelengths_nm() -> np.ndarray:
    return np.polynomial.polynomial.polyval(
        np.arange(PIXELS, dtype=float), np.array([float(c) for c in COEFFICIENTS_NM])
    )


class Bench:
    """Everything `create_app` takes, and short ways to make something happen."""

    def __init__(self, folder: Path, library_path: Path) -> None:
        self.registry = UnitRegistry(folder / "units.json")
        self.registry.add("unit-a")
        self.store = Store.open(folder / "evidence.db")
        self.library = Library.open(library_path)
        self.cards = load_cards()
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.refuse: Exception | None = None
        self.units = UnitStates(self.registry)
        self.feed = Feed()
        self.seq = 0
        self.extra: dict[str, Any] = {}  # more of what `create_app` takes

    def app(self, **kwargs: Any) -> Any:
        self.feed = Feed()
        return create_app(
            self.store,
            self.library,
            self.cards,
            self.feed,
            self.units,
            self.send,
            **(self.extra | kwargs),
        )

    def ready(self, home: Path, ports: list[str]) -> None:
        """Give the page a technician's bench: worker, fitness, ports that were given."""
        self.jobs = Jobs(
            lambda n: self.feed.publish({"type": "bench", "number": n}), lambda: NOW_MS
        )
        self.jobs.start()
        self.extra = {
            "duty": Duty(self.store, home / "fitness.toml", lambda: NOW_MS),
            "bench": Workshop(config.Home(home), self.jobs, tuple(ports), lambda: NOW_MS),
        }

    def _job_changed(self, number: int) -> None:
        self.feed.publish({"type": "bench", "number": number})

    def polystyrene(self) -> str:
        """A measurement of polystyrene by a unit in order."""
        known = standard("polystyrene")
        shift = 1e7 / 785.032 - 1e7 / wavelengths_nm()
        light = np.full(PIXELS, 300.0)
        for at, height in zip(known.shift_cm1, known.strength, strict=True):
            light += 1500 * height * np.exp(-2.77 * ((shift - at) / 9.0) ** 2)
        return self._measured(light)

    def neon(self) -> str:
        """A measurement of a neon lamp by the same unit."""
        known, nm = lamp("neon"), wavelengths_nm()
        light = np.full(PIXELS, 20.0)
        for at, height in zip(known.nm, known.strength, strict=True):
            light += 8000 * height / known.strength.max() * np.exp(-2.77 * ((nm - at) / 0.45) ** 2)
        return self._measured(light)

    def _measured(self, light: np.ndarray) -> str:
        frames, rng = 10, np.random.default_rng(3)
        counts = rng.poisson((light + 900) * frames), rng.poisson(np.full(PIXELS, 900 * frames))
        return self.add(None, counts=counts, frames=frames, dark_frames=frames)

    def send(self, unit: str, command: str, args: dict[str, Any]) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.sent.append((unit, command, args))

    def add(
        self,
        kind: str | None = "match",
        unit: str = "unit-a",
        counts: tuple[np.ndarray, np.ndarray] | None = None,
        verdict: dict[str, Any] | None = None,
        **fields: Any,
    ) -> str:
        """Store one measurement, with a verdict unless `kind` is None; tell the feed."""
        self.seq += 1
        content = message(unit, self.seq, counts or made_up_counts(self.seq), **fields)
        sealed = mac0.seal("measurement", bytes(32), unit, content)
        frame = Frame.from_message(sealed, content)
        self.store.add_measurement(sealed, frame, NOW_MS + 60_000 * self.seq + 900)
        self.feed.publish({"type": "measurement", "id": frame.record_id, "unit": unit})
        if kind is not None:
            self.judge(frame.record_id, kind, **(verdict or {}))
        return frame.record_id

    def identify(self, counts: tuple[np.ndarray, np.ndarray], **fields: Any) -> str:
        """Store one measurement with the verdict the host really gives."""
        record_id = self.add(None, counts=counts, **fields)
        stored = self.store.record(record_id)
        content = cbor.decode(cbor.decode(stored.sealed).value[2])
        _, found = identify_frame(Frame.from_message(stored.sealed, content), self.library)
        ids = [s.id for s in found.verdict.substances]
        card = self.cards.for_identification(found.verdict.kind, ids)
        self.store.add_verdict(record_id, json.dumps(answers.body(found, card)), NOW_MS + 1000)
        self.feed.publish({"type": "verdict", "id": record_id})
        return record_id

    @staticmethod
    def noise() -> tuple[np.ndarray, np.ndarray]:
        """Counts without any sample."""
        rng = np.random.default_rng(5)
        return rng.poisson(905, PIXELS), rng.poisson(900, PIXELS)

    def judge(self, record_id: str, kind: str, **changes: Any) -> None:
        self.store.add_verdict(record_id, json.dumps(body(kind, **changes)), NOW_MS + 1000)
        self.feed.publish({"type": "verdict", "id": record_id})

    def quarantine(self, raw: bytes = b"\xff", topic: str = "fieldassay/1/x/up/measurement") -> int:
        error = FrameError("bad_mac", "The seal is not of this unit.", "Check the key.")
        number = self.store.quarantine(raw, topic, error, NOW_MS)
        self.feed.publish({"type": "quarantine", "number": number})
        return number

    def state(self, unit: str = "unit-a", **changes: Any) -> None:
        self.units.update(
            "state",
            {
                "v": 1,
                "unit": unit,
                "boot": 3,
                "n": time.monotonic_ns(),
                "state": "ready",
                "interlock": "safe",
                "fault": "",
                "spool_used": 2,
                "spool_capacity": 100,
                "battery_mv": 3_912,
                "time_ms": NOW_MS,
                "clock": "synced",
                "firmware": {"version": "0.1.0", "sha256": bytes(32)},
                **changes,
            },
        )
        self.feed.publish({"type": "unit", "unit": unit})

    def close(self) -> None:
        self.feed.close()
        self.store.close()


__all__ = ["BODIES", "NOW_MS", "Bench", "body", "message", "read_counts"]
