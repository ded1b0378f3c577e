"""A whole fieldassay on this machine for system tests: broker, host, simulated units, bad lines.

Owns processes and ports, and can hurt them: kill, stop, fill the disk, cut the power, cut and delay
connections. Judges nothing; the tests do. Loaded by path from the test files.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fieldassay_sim.bench import Bench
from fieldassay_sim.references import References
from fieldassay_sim.scenario import load
from fieldassay_sim.unit import Unit, UnitConfig, read_keys

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
HANG_S = 120.0  # nothing here waits longer; only a hang detector


def chaos_proxy_module() -> Any:
    """tests/device/chaos_proxy.py as a module."""
    path = HERE.parent / "device" / "chaos_proxy.py"
    spec = importlib.util.spec_from_file_location("chaos_proxy", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(what: str, wanted: Any, timeout_s: float = HANG_S) -> None:
    """Wait until `wanted()` is true; fail with `what` if it never is."""
    end = time.monotonic() + timeout_s
    while not wanted():
        assert time.monotonic() < end, f"never happened in {timeout_s:.0f} s: {what}"
        await asyncio.sleep(0.05)


def port_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class World:
    """Broker, host and units; every part can be killed and started again."""

    def __init__(self, folder: Path, library: Path, mosquitto: str, seed: int) -> None:
        self.folder = folder
        self.library = library
        self.mosquitto = mosquitto
        self.seed = seed
        self.home = folder / "home"
        self.broker_port, self.page_port = free_port(), free_port()
        self.broker: subprocess.Popen[bytes] | None = None
        self.host: subprocess.Popen[bytes] | None = None
        self.units: list[Unit] = []
        self.struck: list[dict[str, object]] = []
        self.host_ended: list[str] = []  # why, each time it ended by itself
        self._disk_full_until = 0.0
        self._manager: asyncio.Task[None] | None = None
        self._servers: list[asyncio.Server] = []
        self._logs: list[Any] = []
        chaos = chaos_proxy_module()
        self.lines = [
            chaos.ChaosProxy(
                self.broker_port, ("none",), seed + n, (2_000, 60_000), 5, 1, self._note
            )
            for n in range(2)
        ]

    def _note(self, event: dict[str, object]) -> None:
        self.struck.append(event)

    # -- start and stop ------------------------------------------------------------------------

    def prepare_home(self) -> None:
        """A home folder with the reference library."""
        (self.home / "libraries").mkdir(parents=True)
        shutil.copy(self.library, self.home / "libraries" / self.library.name)

    async def start(self) -> World:
        self.prepare_home()
        config = self.folder / "mosquitto.conf"
        # The defaults that lose messages, on purpose: nothing on disk, and a short queue.
        config.write_text(
            f"listener {self.broker_port} 127.0.0.1\nallow_anonymous true\n"
            "persistence false\nmax_queued_messages 5\nmax_inflight_messages 3\n"
        )
        self.start_broker()
        await until("the broker listens", lambda: port_open(self.broker_port))
        self._servers = [await line.start() for line in self.lines]
        ports = [server.sockets[0].getsockname()[1] for server in self._servers]
        self.unit_port, self.host_port = ports
        bench = Bench(load(str(HERE / "chaos.toml")), References())
        for name in bench.names():
            self.run_cli("unit", "add", name)
        self.start_host()
        await until("the host's page answers", lambda: port_open(self.page_port))
        self._manager = asyncio.create_task(self._manage())
        keys = read_keys(self.home / "units.json")
        for index, name in enumerate(bench.names()):
            config_of = UnitConfig(
                name=name,
                key_hex=keys[name],
                broker_host="127.0.0.1",
                broker_port=self.unit_port,
                instrument=bench.instrument(index, self.seed),
                settings=bench.scenario.settings,
            )
            unit = Unit(config_of, bench.condition(index, self.seed), self.folder / "units")
            self.units.append(unit)
            await unit.start()
        return self

    async def _manage(self) -> None:
        """Start a host again that ended by itself, as a service manager does.

        It ends with a typed error where it cannot even open its store: started on a full disk.
        """
        while True:
            await asyncio.sleep(0.3)
            host = self.host
            if host is not None and host.poll() is not None:
                full = time.monotonic() < self._disk_full_until
                self.host_ended.append("full disk" if full else f"status {host.returncode}")
                self.start_host()

    async def stop(self) -> None:
        if self._manager is not None:
            self._manager.cancel()
        await asyncio.gather(*(unit.stop() for unit in self.units))
        for process in (self.host, self.broker):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                if process.poll() is None:
                    process.kill()
                process.wait()
        for server in self._servers:
            server.close()
        for line in self.lines:
            line.hang_up()
        await asyncio.sleep(0.1)
        for log in self._logs:
            log.close()

    def _spawn(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{name}.log").open("ab")
        self._logs.append(log)
        environment = {**os.environ, "FIELDASSAY_HOME": str(self.home)}
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def run_cli(self, *arguments: str) -> str:
        environment = {**os.environ, "FIELDASSAY_HOME": str(self.home)}
        done = subprocess.run(
            [str(BIN / "fieldassay"), *arguments], env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def start_broker(self) -> None:
        self.broker = self._spawn(
            "broker", self.mosquitto, "-c", str(self.folder / "mosquitto.conf")
        )

    def start_host(self, *options: str) -> None:
        self.host = self._spawn(
            "host",
            str(BIN / "fieldassay"),
            "host",
            "--broker",
            f"127.0.0.1:{self.host_port}",
            "--port",
            str(self.page_port),
            *options,
        )

    # -- harm ----------------------------------------------------------------------------------

    async def kill_broker(self, down_s: float) -> None:
        assert self.broker is not None
        self.broker.kill()
        self.broker.wait()
        await asyncio.sleep(down_s)
        self.start_broker()

    async def kill_host(self, down_s: float) -> None:
        host, self.host = self._host(), None
        host.kill()
        host.wait()
        await asyncio.sleep(down_s)
        self.start_host()

    async def freeze_host(self, for_s: float) -> None:
        host = self._host()
        host.send_signal(signal.SIGSTOP)
        await asyncio.sleep(for_s)
        host.send_signal(signal.SIGCONT)

    async def fill_disk(self, for_s: float) -> None:
        """The host's files cannot grow any more, as on a full disk; then there is room again."""
        host = self._host()
        wal = Path(f"{self.home / 'evidence.db'}-wal")
        sizes = [p.stat().st_size for p in (self.home / "evidence.db", wal) if p.exists()]
        with contextlib.suppress(ProcessLookupError):  # it had ended by itself
            _, hard = resource.prlimit(host.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(host.pid, resource.RLIMIT_FSIZE, (max(min(sizes), 1), hard))
            self._disk_full_until = time.monotonic() + for_s + 2.0  # it notices a little later
            await asyncio.sleep(for_s)
            resource.prlimit(host.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def _host(self) -> subprocess.Popen[bytes]:
        assert self.host is not None
        return self.host

    def heal(self) -> None:
        for line in self.lines:
            line.faults = ("none",)

    # -- what happened -------------------------------------------------------------------------

    def said(self, what: str) -> list[dict[str, Any]]:
        """Every log event `what` of all units, from their files."""
        found = []
        for path in sorted((self.folder / "units").glob("*.events.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                event = json.loads(line)
                if event["event"] == "log" and event.get("kind") == what:
                    found.append(event)
        return found

    def keys_of(self, what: str) -> dict[str, str]:
        """Record id -> sha256 of the measurements that the units said `what` of."""
        result = {}
        for event in self.said(what):
            details = event.get("details", event)
            record = f"{event['unit']}-{details['boot']}-{details['seq']}"
            result[record] = details.get("sha256", "")
        return result

    def waiting(self) -> int:
        """Measurements that the units' displays say are waiting; one that says nothing counts 1."""
        counts = []
        for unit in self.units:
            rows = unit.hardware.outputs.rows
            said = re.search(r"online (\d+)/\d+", rows[0][0]) if rows else None
            counts.append(int(said[1]) if said else 1)
        return sum(counts)

    def _ask(self, question: str) -> list[tuple[Any, ...]]:
        path = f"file:{self.home / 'evidence.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
            return database.execute(question).fetchall()

    def stored(self) -> dict[str, str]:
        """Record id -> sha256 of the evidence store; fails if a measurement is there twice."""
        rows = self._ask("SELECT unit, boot, seq, hex(sha256) FROM measurement")
        result = {f"{unit}-{boot}-{seq}": digest.lower() for unit, boot, seq, digest in rows}
        assert len(result) == len(rows), "a measurement is in the store twice"
        return result

    def quarantined(self) -> int:
        return int(self._ask("SELECT count(*) FROM quarantine")[0][0])

    def without_verdict(self) -> int:
        question = (
            "SELECT count(*) FROM measurement m WHERE NOT EXISTS "
            "(SELECT 1 FROM verdict v WHERE v.record_id = m.record_id)"
        )
        return int(self._ask(question)[0][0])
