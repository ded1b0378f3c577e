# Messages from the host between the socket and the app: opened, checked, shortened, kept until
# there is time. Bounded: when full() the client stops reading, and the broker keeps the rest.
# Decides nothing about what a message means.

from fieldassay_wire import WireError, mac0, messages, topics
from micropython import const

_BYTES = const(8192)
_SHORT = const(5000)  # a shortened verdict takes less
# Reasons kept of a verdict. A message may bring 32 of 300 bytes, more than the heap has room for
# beside a measurement; the host's page has them all.
REASONS_MAX = 6
_MORE = "More reasons stand on the host's page."


class Inbox:
    # drop(reason) counts what is not taken.
    def __init__(self, unit, key, kinds, drop):
        self._unit = unit
        self._key = key
        self._kinds = kinds
        self._drop = drop
        self._kept = []  # (kind, message, bytes)

    def full(self):
        return sum([size for _, _, size in self._kept]) >= _BYTES

    # Called from inside reads, perhaps in the middle of sending a spool file: only check and keep.
    # `payload` is a view that lives for the call only; decoding copies what it keeps.
    def message(self, topic, payload, retain):
        try:
            unit, kind = topics.parse(topic)
            sealed_kind, _, body = mac0.open_sealed(payload, self._key)
            if sealed_kind != kind:
                self._drop("wrong_kind")
                return
            message = messages.parse(kind, body)
        except WireError as e:
            self._drop(e.code)
            return
        if unit != self._unit or message["unit"] != unit or kind not in self._kinds:
            self._drop("not_ours")
            return
        if kind == "verdict":
            _shorten(message)
        self._kept.append((kind, message, min(len(payload), _SHORT)))

    # The oldest (kind, message), of commands only if asked so; None if there is none.
    def take(self, commands_only):
        for at in range(len(self._kept)):
            if self._kept[at][0] == "command" or not commands_only:
                return self._kept.pop(at)[:2]
        return None


# Takes out what the display does not show.
def _shorten(verdict):
    if len(verdict["reasons"]) > REASONS_MAX:
        verdict["reasons"] = verdict["reasons"][:REASONS_MAX] + [_MORE]
    verdict["substances"] = []  # the title names them
