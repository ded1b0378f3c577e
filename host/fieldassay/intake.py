"""From bytes on a topic to a message one may believe, or the reason why not. Pure but for the keys.

Owns the order of the checks: size, topic, envelope, key, MAC, same unit in topic, key id and
payload, fields.
What then happens to the message is `ingest`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fieldassay_wire import cbor, mac0, messages, topics
from fieldassay_wire.errors import WireError

from fieldassay.errors import FieldassayError, FrameError, UnitError
from fieldassay.units import Unit

MAX_BYTES = 262_144  # a measurement of 8192 pixels has 66 kB


@dataclass(frozen=True, slots=True)
class Message:
    """An authentic, well-formed message and the key of the unit that sealed it."""

    unit: Unit
    kind: str
    fields: dict[str, Any]
    key: bytes


class Refused(Exception):  # noqa: N818 - it carries the error, it is none itself
    """The message cannot be used.

    Attributes:
        error: Why.
        unit: Whose key fits, None if nobody's: then anyone may have sent it.
        place: (boot, seq) of an authentic measurement, where they can be read.
    """

    def __init__(
        self, error: FieldassayError, unit: Unit | None = None, place: tuple[int, int] | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.unit = unit
        self.place = place
        self.key: bytes | None = None  # that opened it, where one did


def open_message(
    topic: str, payload: bytes, unit_of: Callable[[str], Unit], now_ms: int
) -> Message:
    """Check a message as it came from the broker.

    Args:
        topic: Where it arrived.
        payload: The bytes.
        unit_of: Finds a unit by name or raises UnitError.
        now_ms: UTC; some keys of a unit are good for a time only.

    Raises:
        Refused: With the reason, whether it is authentic, and its place if it can be read.
    """
    if len(payload) > MAX_BYTES:
        raise Refused(
            FrameError(
                "message_too_big",
                f"A message has {len(payload)} bytes, the limit is {MAX_BYTES}.",
                "Set the size limit of the broker to that, and look for what sends such messages.",
            )
        )
    try:
        name, kind = topics.parse(topic)
        claimed, kid = mac0.peek(payload)
    except WireError as error:
        raise Refused(_typed(error)) from error
    if kid != name.encode() or claimed != kind:
        raise Refused(
            FrameError(
                "sender_mismatch",
                f"A {claimed} with key id {kid!r} arrived on the topic {topic}.",
                "Check the unit's settings, and who else may publish at the broker.",
            )
        )
    try:
        unit = unit_of(name)
    except UnitError as error:
        raise Refused(error) from error
    try:
        key, opened = open_with(payload, unit.accepted(now_ms))
    except WireError as error:
        raise Refused(_typed(error)) from error
    try:
        return Message(unit, kind, _fields(unit, kind, opened), key)
    except Refused as refused:
        refused.key = key
        raise


def open_with(payload: bytes, keys: Sequence[bytes]) -> tuple[bytes, memoryview]:
    """The first of some keys that opens a sealed message, and what is in it.

    Raises:
        WireError: None does (`bad_mac`), or the bytes are no sealed message.
    """
    for key in keys[:-1]:
        try:
            return key, mac0.open_sealed(payload, key)[2]
        except WireError as error:
            if error.code != "bad_mac":
                raise
    return keys[-1], mac0.open_sealed(payload, keys[-1])[2]


def _fields(unit: Unit, kind: str, opened: memoryview) -> dict[str, Any]:
    # From here on the message is authentic.
    if unit.revoked_ms is not None:
        raise Refused(
            UnitError(
                "unit_revoked",
                f"The unit {unit.name!r} was removed.",
                "Add it again under another name if it is to be used.",
            ),
            unit,
        )
    fields: Any = None
    try:
        fields = cbor.decode(opened)
        messages.check(kind, fields)
    except WireError as error:
        place = _place(unit, fields) if kind == "measurement" else None
        raise Refused(_typed(error), unit, place) from error
    if fields["unit"] != unit.name:
        raise Refused(
            FrameError(
                "sender_mismatch",
                f"A {kind} sealed by {unit.name!r} says it is from {fields['unit']!r}.",
                "Check the unit's settings; someone may be using its key.",
            ),
            unit,
        )
    return dict(fields)


def _place(unit: Unit, fields: Any) -> tuple[int, int] | None:
    if not isinstance(fields, dict) or fields.get("unit") != unit.name:
        return None
    boot, seq = fields.get("boot"), fields.get("seq")
    if type(boot) is int and type(seq) is int and 0 <= boot < 2**32 and 0 <= seq < 2**32:
        return boot, seq
    return None


def _typed(error: WireError) -> FrameError:
    return FrameError(error.code, error.what, error.do_next)
