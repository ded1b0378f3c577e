"""Serial ports of this computer and which boards they may be. Opens none of them.

USB identities and their sources: 2E8A is Raspberry Pi, 2E8A:0005 MicroPython on RP2 boards
(https://github.com/raspberrypi/usb-pid); 303A is Espressif, 303A:1001 the USB serial of the
ESP32-S3 itself (https://github.com/espressif/usb-pids). A pseudo terminal, such as that of
`fieldassay-sim board`, is in no list: give it with --port.
"""

from __future__ import annotations

from dataclasses import dataclass

from serial.tools import list_ports

_BOARDS = {
    (0x2E8A, 0x0005): "Raspberry Pi Pico with MicroPython",
    (0x303A, 0x1001): "ESP32-S3 (its own USB)",
}
_MAKERS = {0x2E8A: "a Raspberry Pi board", 0x303A: "an Espressif board"}


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port: path, what it probably is, and whether a unit may be behind it."""

    path: str
    what: str
    likely: bool
    serial_number: str


def boards_of(vid: int | None, pid: int | None) -> str | None:
    """What a USB identity stands for, None if no unit has it."""
    if vid is None or pid is None:
        return None
    return _BOARDS.get((vid, pid)) or _MAKERS.get(vid)


def ports() -> list[Port]:
    """Every serial port, those that may be units first."""
    found = []
    for info in list_ports.comports():
        board = boards_of(info.vid, info.pid)
        what = board or info.description or "serial port"
        found.append(Port(info.device, what, board is not None, info.serial_number or ""))
    return sorted(found, key=lambda port: (not port.likely, port.path))
