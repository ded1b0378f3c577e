"""The whole chain over TLS: firmware in its heap, mosquitto with a private CA, the host."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fieldassay.authority import Authority
from fieldassay_sim.bench import Bench
from fieldassay_sim.first_check import first_check
from fieldassay_sim.play import Player
from fieldassay_sim.references import References
from fieldassay_sim.scenario import load
from fieldassay_sim.unit import Unit, UnitConfig, read_keys

pytestmark = pytest.mark.needs("mosquitto", "micropython")
SHOTS = 6
MUTUAL_SHOTS = 3


@pytest.fixture
def tls_broker(world_module: Any, certificates: Path, tool: Any) -> Iterator[int]:
    port = world_module.free_port()
    config = certificates / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nset_tcp_nodelay true\n"
        f"certfile {certificates}/server.pem\nkeyfile {certificates}/server.key\n"
    )
    with (certificates / "broker.log").open("wb") as log:
        process = subprocess.Popen([tool("mosquitto"), "-c", str(config)], stdout=log, stderr=log)
        try:
            yield port
        finally:
            process.terminate()
            process.wait(20)


async def _scans(
    folder: Path, world: Any, port: int, broker: dict[str, Any], shots: int
) -> list[dict[str, Any]]:
    """Several scans of one unit through this broker, with these certificates in its settings."""
    bench = Bench(load(str(Path(__file__).parent / "chaos.toml")), References())
    config = UnitConfig(
        name="sim-1",
        key_hex=read_keys(world.home / "units.json")["sim-1"],
        broker_host="127.0.0.1",
        broker_port=port,
        instrument=bench.instrument(0, 5),
        settings={**bench.scenario.settings, "broker": {"tls": True, **broker}},
    )
    unit = Unit(config, bench.condition(0, 5), folder / "units")
    await unit.start()
    try:
        player = Player(bench, unit, 60.0)
        await player.ready()
        page = f"http://127.0.0.1:{world.page_port}"
        checked = await first_check(bench, unit, player, page)
        assert checked["passed"], checked
        results = [await player.step(n, {"title": f"scan {n}"}) for n in range(1, shots + 1)]
        assert unit.crashes == 0 and unit.audit.violations == []
        return results
    finally:
        await unit.stop()


def test_verdicts_arrive_over_tls(
    world_module: Any,
    tmp_path: Path,
    certificates: Path,
    tls_broker: int,
    library_path: Path,
    sources_dir: Path,
) -> None:
    assert sources_dir.is_dir()
    world = world_module.World(tmp_path, library_path, "", 5)
    world.prepare_home()
    world.run_cli("unit", "add", "sim-1")
    world.host_port = tls_broker
    world.start_host("--tls-ca", str(certificates / "ca.pem"))

    async def work() -> list[dict[str, Any]]:
        try:
            await world_module.until(
                "the page answers", lambda: world_module.port_open(world.page_port)
            )
            ca_der = (certificates / "ca.der").read_bytes()
            return await _scans(tmp_path, world, tls_broker, {"ca_der_hex": ca_der.hex()}, SHOTS)
        finally:
            await world.stop()

    results = asyncio.run(work())
    assert [r["outcome"] for r in results] == ["match"] * SHOTS
    assert len(world.stored()) == SHOTS + 1


def test_verdicts_arrive_with_certificates_on_both_sides(
    world_module: Any, tmp_path: Path, library_path: Path, sources_dir: Path, tool: Any
) -> None:
    """The whole chain as in service: authority, generated broker, host and unit by certificate."""
    assert sources_dir.is_dir()
    world = world_module.World(tmp_path, library_path, "", 5)
    world.prepare_home()
    world.run_cli("unit", "add", "sim-1")
    world.run_cli("authority", "init", "--broker", "127.0.0.1")
    world.host_port = world_module.free_port()
    folder = tmp_path / "mosquitto"
    port = str(world.host_port)
    world.run_cli("broker", "config", str(folder), "--port", port, "--listen", "127.0.0.1")
    config = folder / "mosquitto.conf"
    config.write_text(config.read_text() + "user root\n")
    authority = Authority.open(world.home / "authority")
    issued = authority.issue_unit("sim-1", datetime.now(UTC))
    broker = {
        "ca_der_hex": authority.ca_der.hex(),
        "cert_der_hex": issued.cert_der.hex(),
        "key_der_hex": issued.key_der.hex(),
    }

    async def work() -> list[dict[str, Any]]:
        try:
            await world_module.until(
                "the page answers", lambda: world_module.port_open(world.page_port)
            )
            return await _scans(tmp_path, world, world.host_port, broker, MUTUAL_SHOTS)
        finally:
            await world.stop()

    with (tmp_path / "broker.log").open("wb") as log:
        process = subprocess.Popen([tool("mosquitto"), "-c", str(config)], stdout=log, stderr=log)
        try:
            world.start_host("--tls")
            results = asyncio.run(work())
        finally:
            process.terminate()
            process.wait(20)
    assert [r["outcome"] for r in results] == ["match"] * MUTUAL_SHOTS
    assert len(world.stored()) == MUTUAL_SHOTS + 1
    said = (tmp_path / "broker.log").read_text()
    assert "as sim-1 (" in said
    assert "as fieldassay.host (" in said
