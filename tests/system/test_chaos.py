"""Random harm to every part of a running system; afterwards nothing may be missing or double.

The promises: (1) at any moment, what a unit showed as delivered is in the evidence store; (2) after
healing, everything saved on a unit is in the store, exactly once, with the same bytes; (3) every
stored measurement gets a verdict; (4) the laser never broke a rule. Seeds come from CHAOS_SEEDS;
FIELDASSAY_LONG=1 makes each run longer.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fieldassay_sim.play import answer

LONG = os.environ.get("FIELDASSAY_LONG") == "1"
SEEDS = [int(word) for word in os.environ.get("CHAOS_SEEDS", "1 2 3 4 5" if LONG else "1").split()]
ROUNDS = 60 if LONG else 12
HARM = (
    "broker killed",
    "host killed",
    "host frozen",
    "host disk full",
    "unit power cut",
    "unit power cut in a flash write",
)
LINE_FAULTS = ("cut-up", "cut-down", "swallow", "stall", "delay", "dribble", "refuse", "none")


async def _keep_measuring(unit: Any, seed: int) -> None:
    chance = random.Random(seed)
    while True:
        await answer(unit, "no", new_sample=chance.random() < 0.5)
        unit.hardware.press("trigger")
        await asyncio.sleep(chance.uniform(0.4, 1.6))


async def _harm(world: Any, chance: random.Random, kind: str) -> None:
    unit = chance.choice(world.units)
    if kind == "broker killed":
        await world.kill_broker(chance.uniform(0.05, 1.0))
    elif kind == "host killed":
        await world.kill_host(chance.uniform(0.05, 1.0))
    elif kind == "host frozen":
        await world.freeze_host(chance.uniform(0.2, 2.0))
    elif kind == "host disk full":
        await world.fill_disk(chance.uniform(0.5, 2.0))
    elif kind == "unit power cut in a flash write":
        unit.cut_power_at_flash_op(chance.randint(1, 60))
        unit.cut_power()  # the count runs from the next boot
    else:
        unit.cut_power()


def _kinds(chance: random.Random) -> Iterator[str]:
    """All kinds of harm in random order, again and again: a short run has every kind too."""
    while True:
        yield from chance.sample(HARM, len(HARM))


async def _run(
    module: Any, folder: Path, library: Path, mosquitto: str, seed: int
) -> dict[str, Any]:
    world = await module.World(folder, library, mosquitto, seed).start()
    harm: collections.Counter[str] = collections.Counter()
    chance = random.Random(seed)
    checked = 0
    try:
        await module.until("all units have booted", lambda: len(world.said("boot")) >= 3)
        officers = [
            asyncio.create_task(_keep_measuring(unit, seed * 10 + n))
            for n, unit in enumerate(world.units)
        ]
        for line in world.lines:
            line.faults = LINE_FAULTS
        for kind in itertools.islice(_kinds(chance), ROUNDS):
            await _harm(world, chance, kind)
            harm[kind] += 1
            await asyncio.sleep(chance.uniform(0.5, 2.0))
            delivered = world.keys_of("delivered")  # read before the store: the store may only grow
            assert delivered.items() <= world.stored().items()
            checked += len(delivered)
        for officer in officers:
            officer.cancel()
        await asyncio.gather(*officers, return_exceptions=True)
        world.heal()
        await module.until(
            "nothing waits on a unit and all is in the store",
            lambda: world.waiting() == 0 and world.keys_of("saved").keys() <= world.stored().keys(),
        )
        await module.until("everything has a verdict", lambda: world.without_verdict() == 0)
        if world.host_ended:
            harm["host ended on a full disk and was started again"] = len(world.host_ended)
        for event in world.struck:
            harm[f"connection: {event['fault']}"] += 1
        saved, stored = world.keys_of("saved"), world.stored()
        return {
            "harm": harm,
            "saved": saved,
            "stored": stored,
            "delivered": world.keys_of("delivered"),
            "quarantined": world.quarantined(),
            "violations": [v.as_dict() for unit in world.units for v in unit.audit.violations],
            "host_ended": world.host_ended,
            "host_said": (folder / "host.log").read_text(encoding="utf-8", errors="replace"),
            "crashes": sum(unit.crashes for unit in world.units),
            "checked": checked,
            "power_cuts": sum(unit.power_cuts for unit in world.units),
        }
    finally:
        await world.stop()


@pytest.mark.needs("mosquitto", "micropython")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_or_doubled(
    seed: int, world_module: Any, tmp_path: Path, library_path: Path, sources_dir: Path, tool: Any
) -> None:
    assert sources_dir.is_dir()
    result = asyncio.run(_run(world_module, tmp_path, library_path, tool("mosquitto"), seed))
    saved, stored = result["saved"], result["stored"]
    print(
        f"\nchaos seed {seed}: {sum(result['harm'].values())} faults survived "
        f"({', '.join(f'{n} {kind}' for kind, n in sorted(result['harm'].items()))}); "
        f"{len(saved)} measurements saved, {len(stored)} stored, {len(result['delivered'])} "
        f"shown as delivered, {result['quarantined']} quarantined"
    )
    assert len(saved) >= 3, "the units hardly measured: the run proves nothing"
    assert result["checked"] >= 3, "nothing was shown as delivered while harm was done"
    assert saved.items() <= stored.items()
    # A cut between freeing the slot and the log line takes the word "delivered" along.
    assert len(saved.keys() - result["delivered"].keys()) <= result["power_cuts"]
    # A cut between the rename and the log line leaves a saved measurement without the line.
    assert len(stored) - len(saved) <= result["power_cuts"]
    assert result["delivered"].items() <= stored.items()
    assert result["quarantined"] == 0
    assert result["violations"] == []
    assert result["crashes"] == 0, "a firmware ended by itself"
    assert set(result["host_ended"]) <= {"full disk"}, "the host ended without having a reason"
    assert "Traceback" not in result["host_said"]
