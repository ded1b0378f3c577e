"""`fieldassay-sim demo`: the whole chain once, truth against verdict; fails on any broken promise.

Starts a host with its embedded broker in a temporary home, plays a scenario on one unit and reads
back from the host's HTTP API what it stored. Everything is a separate process; nothing is mocked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fieldassay_sim.commands import or_stop, signals, units_of
from fieldassay_sim.errors import SetupError
from fieldassay_sim.first_check import first_check
from fieldassay_sim.play import Player
from fieldassay_sim.references import default_sources_dir

UNIT = "sim-1"
HANG_S = 60.0  # a hang detector
PACKAGING = {"polyethylene"}  # the one package with bands: it may be named beside the sample
VERDICTS = ("match", "mixture", "class", "out_of_library", "inconclusive")
NO_END = ("timeout", "no_power_cut", "no_restart")
WORDS = {
    "match": "MATCH",
    "mixture": "MIXTURE",
    "class": "CLASS",
    "out_of_library": "NOT IN LIBRARY",
    "inconclusive": "INCONCLUSIVE",
    "refused": "refused to measure",
    "stopped": "stopped",
}


async def demo(args: argparse.Namespace) -> int:
    """Play the scenario through a real host; 1 if anything promised did not hold."""
    stop = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="fieldassay-demo-") as name, signals(stop):
        home = Path(name)
        shared = default_sources_dir().parents[1]
        for part in ("libraries", "sources"):  # built once per machine
            if (shared / part).exists():
                (home / part).symlink_to(shared / part)
        async with _host(home) as (page, broker_port):
            args.broker_host, args.broker_port, args.unit = "127.0.0.1", broker_port, UNIT
            args.keys, args.state_dir = home / "units.json", home / "unit"
            async with units_of(args, only_first=True) as (bench, units):
                player = Player(bench, units[0], HANG_S)
                await or_stop(player.ready(), stop)
                checked = await or_stop(first_check(bench, units[0], player, page), stop)
                if checked is None:
                    return 130
                print(f"Performance check with polystyrene: {_said(checked)}", flush=True)
                print(f"{'':>3} {'sample':<46} {'verdict':<62} {'ms':>5}", flush=True)
                results = []
                for number, step in enumerate(bench.scenario.steps, 1):
                    result = await or_stop(player.step(number, step), stop)
                    if result is None:
                        return 130
                    result["record"] = await _record(page, result)
                    result["problems"] = problems(result)
                    results.append(result)
                    _print(result)
            violations = [v.as_dict() for v in units[0].audit.violations]
            fires = units[0].audit.fired
            stored = (await _get(f"{page}/healthz"))["counts"]
            stored["measurements"] -= checked["tries"]  # of polystyrene, before the first step
            fires -= checked["tries"]
    if args.events:
        args.events.write_text("".join(json.dumps(r) + "\n" for r in results), encoding="utf-8")
    return summary(results, stored, violations, fires)


def _said(checked: dict[str, Any]) -> str:
    failed = [item["name"] for item in checked["items"] if not item["passed"]]
    if checked["passed"]:
        return "passed"
    return f"FAILED: {checked['reason'] or ', '.join(failed)}"


def problems(result: dict[str, Any]) -> list[str]:
    """What is wrong with one step, in words; empty if nothing is."""
    found = []
    outcome, record = result["outcome"], result.get("record")
    if result["acceptable"] is False:
        found.append(f"{outcome} is not one of {', '.join(result['accept'])}")
    elif outcome in NO_END:
        found.append(f"{outcome}: {result['detail']}")
    if result["violations"]:
        found.append(f"{result['violations']} laser rule(s) broken")
    if record is None and (result.get("seq") is not None or outcome in VERDICTS):
        found.append("the record is missing in the evidence store")
    if record is not None:
        verdict = (record["verdicts"] or [{}])[-1]
        if verdict.get("verdict") != outcome:
            found.append(f"the store says {verdict.get('verdict')}, the unit {outcome}")
        if outcome in ("match", "mixture", "class"):
            found += _naming(verdict, set(result["truth"]))
        if not record.get("hazard"):
            found.append("no hazard card")
    return found


def _naming(verdict: dict[str, Any], truth: set[str]) -> list[str]:
    """A verdict that names must name what is there, and nothing else but the package."""
    named = {s["id"] for s in verdict.get("substances", [])}
    strangers = named - truth - PACKAGING
    if strangers:
        return [f"names {', '.join(sorted(strangers))}"]
    if not named and verdict.get("family"):
        return []  # the truth is in substances; which families they have, only the host knows
    return [] if named & truth else ["names nothing that is there"]


def _print(result: dict[str, Any]) -> None:
    record = result["record"]
    names = []
    if record is not None and result["outcome"] != "out_of_library":
        for s in (record["verdicts"] or [{}])[-1].get("substances", []):
            share = s.get("share")
            part = f" {share:.0%}" if share is not None and result["outcome"] == "mixture" else ""
            names.append(f"{s['name']}{part}")
    said = WORDS.get(result["outcome"], result["outcome"])
    said += f": {', '.join(names)}" if names else ""
    if not names and result["detail"]:
        said += f": {result['detail']}"
    elapsed = result.get("last_frame_to_verdict_ms")
    shown = "" if elapsed is None else f"{elapsed:.0f}"
    mark = "ok" if not result["problems"] else "WRONG: " + "; ".join(result["problems"])
    print(f"{result['step']:>2}. {result['title'][:45]:<46} {said[:61]:<62} {shown:>5} {mark}")
    print(f"    truth: {result['truth_text']}", flush=True)


def summary(
    results: list[dict[str, Any]],
    stored: dict[str, Any],
    violations: list[dict[str, Any]],
    fires: int,
) -> int:
    """Print what came of all steps; 1 if anything is wrong, also if there was nothing to judge."""
    times = [r["last_frame_to_verdict_ms"] for r in results if "last_frame_to_verdict_ms" in r]
    wrong = sum(bool(r["problems"]) for r in results)
    expected = sum(r["record"] is not None for r in results)
    broken = []
    if not results:
        broken.append("the scenario has no steps: nothing was shown")
    if stored["measurements"] != expected:
        broken.append(f"{stored['measurements']} records in the store, {expected} were shown")
    if stored["quarantined"]:
        broken.append(f"{stored['quarantined']} messages in quarantine")
    broken += [f"laser: {violation}" for violation in violations]
    print(
        f"\n{len(results)} scans, {expected} records stored, {wrong} wrong; "
        f"{fires} laser shots, {len(violations)} laser rules broken."
    )
    if times:
        print(
            f"Last frame to verdict on the display: median {statistics.median(times):.0f} ms, "
            f"worst {max(times):.0f} ms (n = {len(times)}, {os.cpu_count()} cores, simulated unit)."
        )
    for what in broken:
        print(f"WRONG: {what}")
    return int(wrong > 0 or bool(broken))


@contextlib.asynccontextmanager
async def _host(home: Path) -> AsyncIterator[tuple[str, int]]:
    """A host with its broker in `home`, ended afterwards: its page's address, the broker's port."""
    program = str(Path(sys.executable).with_name("fieldassay"))
    environment = {**os.environ, "FIELDASSAY_HOME": str(home)}
    page_port, broker_port = _free_port(), _free_port()
    with (home / "host.log").open("wb") as log:
        adding = await asyncio.create_subprocess_exec(
            program, "unit", "add", UNIT, env=environment, stdout=log, stderr=log
        )
        if await adding.wait() != 0:
            raise _host_failed(home)
        ports = ("--port", str(page_port), "--broker-port", str(broker_port))
        process = await asyncio.create_subprocess_exec(
            program, "run", "--no-unit", *ports, env=environment, stdout=log, stderr=log
        )
        page = f"http://127.0.0.1:{page_port}"
        try:
            async with asyncio.timeout(HANG_S):
                while await _try_get(f"{page}/healthz") is None:
                    if process.returncode is not None:
                        raise _host_failed(home)
                    await asyncio.sleep(0.05)
            yield page, broker_port
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _host_failed(home: Path) -> SetupError:
    lines = (home / "host.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return SetupError(
        "host_failed",
        f"The host did not start: {' '.join(lines[-3:])}",
        "Run `fieldassay run --no-unit` alone and read what it says.",
    )


async def _record(page: str, result: dict[str, Any]) -> dict[str, Any] | None:
    if result.get("seq") is None:
        return None
    record_id = f"{result['unit']}-{result['boot']}-{result['seq']}"
    return await _try_get(f"{page}/api/measurements/{record_id}")


async def _try_get(url: str) -> dict[str, Any] | None:
    try:
        return await _get(url)
    except OSError:
        return None


async def _get(url: str) -> dict[str, Any]:
    def fetch() -> dict[str, Any]:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own address
            document: dict[str, Any] = json.load(response)
            return document

    return await asyncio.to_thread(fetch)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
