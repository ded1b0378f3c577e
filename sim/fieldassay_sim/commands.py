"""What the commands of `fieldassay-sim` do. Argument parsing is `cli`.

Owns signals and the order of starting and stopping; everything started here is stopped here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

from fieldassay_sim.bench import Bench
from fieldassay_sim.errors import SetupError
from fieldassay_sim.first_check import first_check, is_fit
from fieldassay_sim.play import Player
from fieldassay_sim.references import References
from fieldassay_sim.scenario import load, shipped
from fieldassay_sim.unit import Unit, UnitConfig, read_keys


def list_scenarios(args: argparse.Namespace) -> int:
    """Print scenarios, the content of one, or the names of reference spectra."""
    if args.references:
        print("\n".join(References().names()))
        return 0
    if args.scenario is None:
        for path in shipped():
            scenario = load(path.stem)
            print(f"{path.stem:<10} {scenario.title}")
        return 0
    scenario = load(args.scenario)
    print(scenario.title)
    for sample_id, sample in scenario.samples.items():
        print(f"  {sample_id:<24} {sample.get('title', sample_id)}")
    for number, step in enumerate(scenario.steps, 1):
        print(f"  {number:>2}. {step['title']}")
    return 0


def trigger(args: argparse.Namespace) -> int:
    """Press a button through the panel's API."""
    base = args.panel.rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise SetupError("panel_address", f"{base} is no web address.", "Use http://HOST:PORT.")
    unit = args.unit or _fetch(f"{base}/api/units")["units"][0]["unit"]
    _fetch(f"{base}/api/units/{unit}/press", {"button": args.button})
    print(f"{unit}: {args.button} pressed")
    return 0


async def run(args: argparse.Namespace) -> int:
    """Run the scenario's units with their panel until SIGINT or SIGTERM."""
    from fieldassay_sim.panel_app import serve_panel

    stop = asyncio.Event()
    with signals(stop):
        async with (
            units_of(args) as (bench, units),
            serve_panel(bench, units, args.panel_port) as address,
        ):
            for unit in units:
                print(f"{unit.config.name}: panel {address}/?unit={unit.config.name}", flush=True)
            if args.check_at:
                await or_stop(_check_all(bench, units, args.check_at), stop)
            await stop.wait()
    return 0 if not any(unit.audit.violations for unit in units) else 1


async def _check_all(bench: Bench, units: list[Unit], page: str) -> None:
    """The performance check of every unit; what came of it is printed."""
    for unit in units:
        player = Player(bench, unit)
        await player.ready()
        try:
            if await is_fit(unit.config.name, page):
                continue
            passed = (await first_check(bench, unit, player, page))["passed"]
        except SetupError as error:
            print(f"{error.code}: {error.what} {error.do_next}", flush=True)
            continue
        word = "passed" if passed else "FAILED"
        print(f"{unit.config.name}: performance check {word}", flush=True)


async def play(args: argparse.Namespace) -> int:
    """Do the steps and write one JSON line for each; 1 if an outcome was not acceptable."""
    bad = 0
    stop = asyncio.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals(stop))
        out = stack.enter_context(args.events.open("w", encoding="utf-8")) if args.events else None
        async with units_of(args, only_first=True) as (bench, units):
            player = Player(bench, units[0], args.timeout_s, verdicts=not args.no_verdicts)
            await or_stop(player.ready(), stop)
            for number, step in enumerate(bench.scenario.steps, 1):
                result = await or_stop(player.step(number, step), stop)
                if result is None:
                    break
                bad += result["acceptable"] is False or result["violations"] > 0
                line = json.dumps(result, ensure_ascii=False)
                print(line if out is None else _summary(result), flush=True)
                if out is not None:
                    out.write(line + "\n")
                    out.flush()
    bad += len(units[0].audit.violations)  # also one between two steps or after the last
    return 130 if stop.is_set() else int(bad > 0)


def _summary(result: dict[str, Any]) -> str:
    mark = {True: "ok", False: "NOT ACCEPTABLE", None: ""}[result["acceptable"]]
    return f"{result['step']:>2}. {result['title']}: {result['outcome']} {mark}"


@contextlib.asynccontextmanager
async def units_of(
    args: argparse.Namespace, *, only_first: bool = False
) -> AsyncIterator[tuple[Bench, list[Unit]]]:
    """The scenario's units, running while the context lasts, and their bench.

    Raises:
        SimError: Scenario, references, keys or interpreter are not usable.
    """
    scenario = load(args.scenario)
    bench = Bench(scenario, References(args.sources))
    keys = read_keys(args.keys)
    names = bench.names()
    if args.unit:
        names[0] = args.unit
    if only_first:
        names = names[:1]
    for name in names:
        if name not in keys:
            raise SetupError(
                "unit_without_key",
                f"{args.keys} has no key for {name}; the host would refuse its messages.",
                f"Type: fieldassay unit add {name}",
            )
    units = [_unit(args, bench, index, name, keys[name]) for index, name in enumerate(names)]
    try:
        for unit in units:
            await unit.start()
        yield bench, units
    finally:
        await asyncio.gather(*(unit.stop() for unit in units))


def _unit(args: argparse.Namespace, bench: Bench, index: int, name: str, key_hex: str) -> Unit:
    config = UnitConfig(
        name=name,
        key_hex=key_hex,
        broker_host=args.broker_host,
        broker_port=args.broker_port,
        instrument=bench.instrument(index, args.seed),
        settings=bench.scenario.settings,
    )
    return Unit(config, bench.condition(index, args.seed), args.state_dir)


@contextlib.contextmanager
def signals(stop: asyncio.Event) -> Any:
    """SIGINT and SIGTERM set `stop` while the context lasts."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def or_stop(work: Any, stop: asyncio.Event) -> Any:
    """What `work` returns, or None if `stop` was set before it was done."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task in done:
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return None


def _fetch(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url, data=data, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            said = json.load(error).get("error", {})
        raise SetupError(
            said.get("code", "panel_refused"),
            said.get("what", f"The panel refused: {error.code}."),
            said.get("do_next", "Check the unit's name with `fieldassay-sim list`."),
        ) from error
    except OSError as error:
        raise SetupError(
            "panel_unreachable",
            f"No simulator answers at {url}: {error}.",
            "Start one with `fieldassay-sim run`, or give its address with --panel.",
        ) from error
