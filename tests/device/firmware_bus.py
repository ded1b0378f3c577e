"""A small simulator bus for firmware tests: hardware as plain attributes, answers in a thread.

Not the product's simulator: no optics, only what a test needs to see the firmware's decisions.
Boots the unit's real files on real MicroPython in the simulator's heap and reads the flash image
afterwards.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fieldassay_wire import cbor
from littlefs import LittleFS

ROOT = Path(__file__).resolve().parents[2]
DEVICE = ROOT / "device"
PIXELS = 2048
FULL = 65535
KEY = "5d0e9b61f3a27c4885d2e61f90b37a24cc186e5fd3a90b7e4162fa8d37c95b02"
SETTINGS: dict[str, Any] = {
    "unit": "bench-1",
    "key": KEY,
    "broker": {"host": "127.0.0.1", "port": 9},
    "laser": {"power_uw": 100000, "max_on_ms": 3000, "warning_ms": 150},
    "acquire": {
        "exposure_min_us": 1000,
        "exposure_max_us": 60000,
        "total_ms": 200,
        "frames_max": 8,
        "dark_frames_max": 4,
        "target_permille": 700,
    },
}
CALIBRATION: dict[str, Any] = {
    "id": "c1",
    "date": "2026-01-02",
    "excitation_pm": 785000,
    "coefficients_nm": ["780.5", "0.1"],
}


class Bench:
    """One unit on the bench.

    Attributes a test sets: lid, key (closed), unreadable, detector_fails, battery_mv, rate (counts
    per ms of the band at full power), hook(op, args) called before an operation is answered.
    Attributes a test reads: log, screens, fires, lit (laser on right now), on_spans_ms.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any] | str | None = None,
        calibration: dict[str, Any] | str | None = None,
    ) -> None:
        self.folder = folder
        self.image = folder / "unit.flash"
        files = {
            "settings.json": SETTINGS if settings is None else settings,
            "calibration.json": CALIBRATION if calibration is None else calibration,
        }
        self.provision = {
            name: given if isinstance(given, str) else json.dumps(given)
            for name, given in files.items()
        }
        self.lid = self.key = True
        self.unreadable = self.detector_fails = False
        self.battery_mv = 3900
        self.rate = 2000.0
        self.dark_counts = 1000
        self.clock: list[Any] = [1_790_000_000_000, "rtc"]
        self.hook: Callable[[str, list[Any]], None] = lambda op, args: None
        self.buttons = 0
        self.log: list[tuple[str, Any]] = []
        self.screens: list[list[str]] = []
        self.fires: list[float] = []
        self.on_spans_ms: list[float] = []
        self.exposures: list[tuple[int, bool]] = []
        self.ops: dict[str, int] = {}
        self.lit = False
        self.lamp = False
        self.lamp_broken = False
        self._power = 0
        self._exposure_us = 0
        self._exposure_end = 0.0
        self._one_shot: float = 0.0
        self._noise = array("H", [(i * 7919) % 9 for i in range(PIXELS + 97)])
        self._turn = 0
        self._changed = threading.Condition()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def boot(self, program: str) -> Bench:
        command = [program, "-X", "heapsize=320K"]
        command += [str(ROOT / "sim" / "fieldassay_sim" / "firmware_boot.py")]
        command += [str(self._server.getsockname()[1]), "token", str(self.image)]
        command += [str(DEVICE)]
        self._out = (self.folder / "out.txt").open("wb")
        env = {k: v for k, v in os.environ.items() if k != "MICROPYPATH"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._out, env=env
        )
        self._thread.start()
        return self

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._out.close()
        self._server.close()
        if self._thread.is_alive():
            self._thread.join(10)

    def output(self) -> str:
        return (self.folder / "out.txt").read_text(errors="replace")

    # --- what a test does ---

    def press(self, bits: int = 1, hold_s: float = 0.12) -> None:
        """Press as a person does: what is asked before the trigger helps is answered."""
        if bits == 1 and "DARK OR COLOURED" in self.screen:
            self.touch(4)
            self.wait_screen("READY")
        self.touch(bits, hold_s)
        if bits == 1 and "SAME SAMPLE?" in self.screen:
            self.touch(2)
            self.wait_screen("READY")
            self.touch(1, hold_s)

    def touch(self, bits: int, hold_s: float = 0.12) -> None:
        """Press a button, whatever is shown."""
        seen = self.ops.get("buttons", 0)
        self.buttons = bits
        time.sleep(hold_s)
        self.wait(lambda: self.ops.get("buttons", 0) >= seen + 3)
        self.buttons = 0
        seen = self.ops.get("buttons", 0)
        self.wait(lambda: self.ops.get("buttons", 0) >= seen + 3)

    def wait(self, true: Callable[[], Any], timeout_s: float = 30) -> Any:
        """Until `true()`; the timeout is a hang detector."""
        with self._changed:
            if not self._changed.wait_for(true, timeout_s):
                raise AssertionError(
                    f"nothing happened\nscreen {self.screen}\nlog {self.log}\n{self.output()}"
                )
        return true()

    def wait_log(self, kind: str, count: int = 1) -> Any:
        self.wait(lambda: len(self.logs(kind)) >= count)
        return self.logs(kind)[count - 1]

    def wait_screen(self, text: str) -> str:
        self.wait(lambda: text in self.screen)
        return self.screen

    def logs(self, kind: str) -> list[Any]:
        return [details for name, details in list(self.log) if name == kind]

    @property
    def screen(self) -> str:
        return "\n".join(self.screens[-1]) if self.screens else ""

    def ready(self) -> Bench:
        self.wait_log("selftest")
        self.wait(lambda: "DARK OR COLOURED" in self.screen and self.ops.get("buttons", 0) > 3)
        self.touch(4)
        self.wait_screen("READY")
        return self

    def files(self) -> dict[str, bytes]:
        """Everything on the unit's flash; end the unit first."""
        data = self.image.read_bytes()
        flash = LittleFS(block_size=4096, block_count=1024, mount=False)
        flash.context.buffer = bytearray(data)
        flash.mount()
        found = {}
        for folder, _, names in flash.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                with flash.open(path, "rb") as file:
                    found[path] = file.read()
        return found

    def put(self, files: dict[str, bytes]) -> None:
        """Write a new flash image with these files; before the first boot."""
        flash = LittleFS(block_size=4096, block_count=1024)
        for path, data in files.items():
            flash.makedirs(path.rpartition("/")[0], exist_ok=True)
            with flash.open(path, "wb") as file:
                file.write(data)
        self.image.write_bytes(flash.context.buffer)

    def end(self) -> dict[str, bytes]:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        return self.files()

    # --- the bus ---

    def _serve(self) -> None:
        try:
            connection, _ = self._server.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as file:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while head := file.read(4):
                    request = cbor.decode(file.read(int.from_bytes(head, "big")))
                    answer = cbor.encode(self._respond(request[0], request[1:]))
                    connection.sendall(len(answer).to_bytes(4, "big") + answer)
                    with self._changed:
                        self.ops[request[0]] = self.ops.get(request[0], 0) + 1
                        self._changed.notify_all()
            except ConnectionError:
                return  # the unit was ended

    def _respond(self, op: str, args: list[Any]) -> list[Any]:
        try:
            self.hook(op, args)
            return [0, self._answer(op, args)]
        except OSError as error:
            return [error.errno or 5, str(error)]

    def _answer(self, op: str, args: list[Any]) -> Any:
        now = time.monotonic()
        if self.lit and now > self._one_shot:
            self._off(self._one_shot)
        return getattr(self, f"_{op}")(now, *args)

    def _hello(self, _now: float, token: str) -> Any:
        assert token == "token"
        return {
            "pixels": PIXELS,
            "full_scale_counts": FULL,
            "gain_me_per_count": 4000,
            "read_noise_me": 10000,
            "excitation_pm": 785000,
            "cut_after_flash_ops": None,
        }

    def _provision(self, _now: float) -> dict[str, str]:
        return self.provision

    def _laser_power(self, _now: float, uw: int) -> None:
        self._power = uw

    def _laser_fire(self, now: float, max_ms: int) -> None:
        self.lit = True
        self.fires.append(now)
        self._one_shot = now + max_ms / 1000

    def _off(self, now: float) -> None:
        if self.lit:
            self.lit = False
            self.on_spans_ms.append((now - self.fires[-1]) * 1000)

    def _laser_off(self, now: float) -> None:
        self._off(now)

    def _laser_read(self, _now: float) -> Any:
        return [self.lit, self.lid and self.key, self._power if self.lit else 0, 26000]

    def _interlock(self, _now: float) -> Any:
        if self.unreadable:
            raise OSError(5, "interlock")
        return {"lid": self.lid, "key": self.key}

    def _indicate(self, _now: float, lit: bool) -> None:
        self.lamp = lit

    def _indicator(self, _now: float) -> bool:
        return self.lamp and not self.lamp_broken

    def _expose_start(self, now: float, us: int) -> None:
        if self.detector_fails:
            raise OSError(5, "detector")
        self._exposure_us = us
        self._exposure_end = now + us / 1e6
        self.exposures.append((us, self.lit))

    def _expose_ready(self, now: float) -> bool:
        return now >= self._exposure_end

    def _expose_read(self, _now: float) -> Any:
        if self.detector_fails:
            raise OSError(5, "detector")
        self._turn = (self._turn + 13) % 97
        light = self.rate * self._exposure_us / 1000 * self._power / 100000 if self.lit else 0
        counts = array("H")
        for i in range(PIXELS):
            band = max(0.0, 1 - abs(i - 700) / 8)
            noise = self._noise[i + self._turn]
            counts.append(min(FULL, int(self.dark_counts + noise + light * band)))
        return cbor.TypedArray(cbor.TypedArray.U16, counts)

    def _detector_mdegc(self, _now: float) -> int:
        return 25000

    def _buttons(self, _now: float) -> int:
        return self.buttons

    def _battery_mv(self, _now: float) -> int:
        return self.battery_mv

    def _clock(self, _now: float) -> Any:
        return self.clock

    def _clock_set(self, _now: float, unix_ms: int) -> None:
        self.clock = [unix_ms, "synced"]

    def _display(self, _now: float, rows: Any) -> None:
        assert len(rows) == 8
        assert all(len(text) <= 26 for text, _ in rows)
        self.screens.append([text for text, _ in rows])

    def _buzz(self, _now: float, pattern: str) -> None:
        pass

    def _watchdog(self, _now: float) -> None:
        pass

    def _log(self, _now: float, kind: str, details: Any) -> None:
        self.log.append((kind, details))


def program() -> str:
    return os.environ.get(
        "FIELDASSAY_MICROPYTHON", str(Path(sys.executable).parent / "micropython")
    )
