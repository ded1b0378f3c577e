"""The simulator bus: framing, token, errors as the firmware sees them, and who may replace whom."""

from __future__ import annotations

import asyncio
import errno

import pytest
from fieldassay_sim.bus import MAX_REQUEST_BYTES, Bus, PowerCut, Refused, answer
from fieldassay_sim.errors import BusError
from fieldassay_wire.cbor import decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st


def frame(request) -> bytes:
    payload = encode(request)
    return len(payload).to_bytes(4, "big") + payload


async def receive(reader: asyncio.StreamReader):
    size = int.from_bytes(await reader.readexactly(4), "big")
    return decode(await reader.readexactly(size))


class Served:
    """A bus with a client; records what the bus reported."""

    def __init__(self, handler):
        self.cuts: list[int] = []
        self.broken: list[str] = []
        self.bus = Bus(
            "secret",
            handler,
            lambda: self.cuts.append(1),
            lambda error: self.broken.append(error.code),
        )
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self):
        self.port = await self.bus.start()
        return self

    async def connect(self, token: str = "secret"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(frame(["hello", token]))
        return reader, writer

    async def __aexit__(self, *_):
        for writer in self.writers:
            writer.close()
            try:
                await writer.wait_closed()
            except ConnectionError:
                continue
        await self.bus.stop()


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def echo(op, args):
    if op == "fail":
        raise Refused(errno.EIO, "broken wire")
    if op == "cut":
        raise PowerCut
    return [op, *args]


def test_a_request_is_answered_with_zero_and_the_value():
    async def talk():
        async with Served(echo) as served:
            reader, writer = await served.connect()
            assert await receive(reader) == [0, ["hello", "secret"]]
            writer.write(frame(["buttons"]) + frame(["laser_power", 100_000]))
            assert await receive(reader) == [0, ["buttons"]]
            assert await receive(reader) == [0, ["laser_power", 100_000]]
            assert served.bus.connected

    run(talk())


def test_a_refusal_carries_the_error_number_and_the_bus_goes_on():
    async def talk():
        async with Served(echo) as served:
            reader, writer = await served.connect()
            await receive(reader)
            writer.write(frame(["fail"]) + frame(["ok"]))
            assert await receive(reader) == [errno.EIO, "broken wire"]
            assert await receive(reader) == [0, ["ok"]]

    run(talk())


@pytest.mark.parametrize("first", [["hello", "wrong"], ["buttons"], ["hello"], "hello", 7])
def test_nothing_works_before_hello_with_the_right_token(first):
    async def talk():
        async with Served(echo) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            served.writers.append(writer)
            writer.write(frame(first) + frame(["laser_fire", 1000]))
            code, _ = await receive(reader)
            assert code == errno.EACCES
            assert await reader.read() == b""
            assert not served.bus.connected

    run(talk())


def test_a_power_cut_gets_no_answer():
    async def talk():
        async with Served(echo) as served:
            reader, writer = await served.connect()
            await receive(reader)
            writer.write(frame(["cut"]))
            assert await reader.read() == b""
            assert served.cuts == [1]

    run(talk())


def test_a_new_firmware_replaces_the_old_connection():
    async def talk():
        async with Served(echo) as served:
            old, _ = await served.connect()
            await receive(old)
            new, writer = await served.connect()
            await receive(new)
            assert await old.read() == b""
            writer.write(frame(["still", 1]))
            assert await receive(new) == [0, ["still", 1]]

    run(talk())


@pytest.mark.parametrize(
    "junk",
    [
        (MAX_REQUEST_BYTES + 1).to_bytes(4, "big"),
        b"\0\0\0\1\xff",
        b"\0\0\0\2\x18\x01",
        frame([1, 2]),
    ],
)
def test_bytes_that_no_firmware_sends_close_the_connection_and_are_reported(junk):
    async def talk():
        async with Served(echo) as served:
            reader, writer = await served.connect()
            await receive(reader)
            writer.write(junk)
            assert await reader.read() == b""
            assert len(served.broken) == 1

    run(talk())


@given(
    request=st.recursive(
        st.none() | st.booleans() | st.integers(-100, 100) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=8,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_request_is_answered_or_a_typed_error(request, hardware_handler):
    try:
        code, _ = decode(answer(hardware_handler, request))
    except (BusError, PowerCut):
        return
    assert isinstance(code, int)


@pytest.fixture(scope="session")
def hardware_handler(one_band, no_package):
    from fieldassay_sim.audit import Audit
    from fieldassay_sim.optics import Instrument
    from fieldassay_sim.parts import Condition, Hardware

    state = Condition(sample=one_band, package=no_package)
    return Hardware(Instrument(), state, Audit(), lambda *_: None).handle


@given(
    op=st.sampled_from(
        ["laser_fire", "laser_power", "expose_start", "display", "log", "clock_set"]
    ),
    args=st.lists(st.integers() | st.text(max_size=3) | st.none() | st.booleans(), max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_real_operations_with_wrong_arguments_are_refused_not_crashes(op, args, hardware_handler):
    code, value = decode(answer(hardware_handler, [op, *args]))
    assert code == 0 or isinstance(value, str)
