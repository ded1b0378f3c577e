"""Every MQTT topic with its QoS and retain flag: built here, parsed here, nowhere else.

`up` is unit to host, `down` is host to unit, so that a broker needs two access patterns only.
Does not open connections and does not look into messages.
"""

from .errors import WireError
from .mac0 import KINDS

ROOT = "fieldassay/1"
UP = ("measurement", "state", "telemetry")
DOWN = ("receipt", "verdict", "command")
UP_FILTER = ROOT + "/+/up/+"
DOWN_FILTER = ROOT + "/+/down/+"

# 1: the sender repeats until the broker has it. Telemetry is overtaken by the next one anyway.
QOS = {"measurement": 1, "state": 1, "telemetry": 0, "receipt": 1, "verdict": 1, "command": 1}
RETAIN = {kind: kind == "state" for kind in KINDS}


def valid_unit(name: object) -> bool:
    if not isinstance(name, str) or not 1 <= len(name) <= 32:
        return False
    return all("a" <= char <= "z" or "0" <= char <= "9" or char == "-" for char in name)


def _unit(name: object) -> str:
    if not isinstance(name, str) or not valid_unit(name):
        raise WireError("bad_topic", "{!r} is no unit name ([a-z0-9-], 1..32).".format(name))
    return name


def topic(unit: str, kind: str) -> str:
    if kind not in KINDS:
        raise WireError("unknown_kind", "There is no message kind {!r}.".format(kind))
    return "{}/{}/{}/{}".format(ROOT, _unit(unit), "up" if kind in UP else "down", kind)


def parse(topic: str) -> "tuple[str, str]":
    parts = topic.split("/")
    if len(parts) != 5 or parts[0] + "/" + parts[1] != ROOT:
        raise WireError("bad_topic", "{!r} is not one of our topics.".format(topic))
    kinds = {"up": UP, "down": DOWN}.get(parts[3], ())
    if parts[4] not in kinds:
        raise WireError("bad_topic", "{!r} names no direction and kind we know.".format(topic))
    return _unit(parts[2]), parts[4]


def down_filter(unit: str) -> str:
    return "{}/{}/down/+".format(ROOT, _unit(unit))
