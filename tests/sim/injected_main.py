"""Runs on MicroPython in place of a unit's main.py: the real firmware, with one planned fault.

The plan comes from the simulator when the unit arms: what goes wrong, at which call of the hardware
after the press, for how many calls. Requests to the simulator stand for pins and registers, which
take no memory on a board; so they get theirs whatever the plan does to the heap.
"""
# mypy: ignore-errors

import asyncio  # noqa: F401 - before the clock is replaced: its own stays right
import gc
import json
import os
import sys
import time as real_time

import micropython

RESERVE_BYTES = 16 * 1024


class Clock:
    def __init__(self):
        self.offset_ms = 0

    def ticks_ms(self):
        return real_time.ticks_add(real_time.ticks_ms(), self.offset_ms)

    def __getattr__(self, name):
        return getattr(real_time, name)


class Fault:
    def __init__(self, board):
        self.plan = {}
        self.calls = 0  # since the arming
        self.left = 0  # calls for which the fault goes on
        self.clock = Clock()
        self.kept = []  # what fills the heap
        self.reserve = None
        self._board = board
        self._call = board._bus.call
        board._bus.call = board._call = board.laser._call = self.call
        board.detector._call = self.call

    def call(self, *request):
        if request[0] == "buzz" and request[1] == "warning":
            self.plan = json.loads(self._call("provision").get("plan.json", "{}"))
            self.calls = 0
        if self.left == 0 and self.plan:
            self.calls += 1
            if self.calls >= self.plan["at"] and request[0] in self.plan["ops"]:
                self.begin()
        if self.left == 0:
            return self._call(*request)
        self.left -= 1
        return self.during(request)

    def begin(self):
        plan = self.plan
        self.plan = {}
        self.what, self.left = plan["what"], plan["span"]
        self._call("log", "injected", {"what": plan["what"], "at": self.calls})
        if self.what == "clock":
            self.clock.offset_ms += plan["by"]
            self.left = 0
        elif self.what == "flash":
            fill_flash(0)
        elif self.what == "heap":
            self.fill(plan["by"])
        elif self.what == "lock":
            micropython.heap_lock()

    def during(self, request):
        what = self.what
        if what == "memory":
            raise MemoryError
        if what == "input":
            raise OSError(5)
        if what == "lock":
            micropython.heap_unlock()
            answer = self._call(*request)
            if self.left:
                micropython.heap_lock()
            return answer
        if what == "heap":
            self.reserve = None
            answer = self._call(*request)
            try:
                self.reserve = bytearray(RESERVE_BYTES)
            except MemoryError:
                self.reserve = None
            if not self.left:
                self.reserve = None
                self.kept.clear()
                gc.collect()
            return answer
        return self._call(*request)

    # Leaves about `rest` bytes besides the reserve.
    def fill(self, rest):
        gc.collect()
        self.reserve = bytearray(RESERVE_BYTES)
        spare = bytearray(rest)
        size = 65536
        while size >= 32:
            try:
                self.kept.append(bytearray(size))
            except MemoryError:
                size //= 2
        del spare


# Leaves this many blocks of 4096 bytes.
def fill_flash(blocks):
    facts = os.statvfs("/flash")
    wanted = facts[3] - blocks
    block = bytes(facts[0])
    try:
        with open("/flash/filler", "ab") as file:  # noqa: PTH123 - MicroPython
            for _ in range(wanted):
                file.write(block)
    except OSError:
        pass  # full


def main(board, slots=None):
    fault = Fault(board)
    sys.modules["time"] = fault.clock
    if board.call("provision").get("fill_flash"):
        fill_flash(int(board.call("provision")["fill_flash"]))
    import real_main

    real_main.main(board, slots)
