"""What a field can be asked to be: a number in a range, a text of a form, a list, a map.

Each rule has check(at, value): it returns nothing or raises a WireError that names the field (`at`,
a dotted path) and what is allowed. The tables that use the rules stand in messages.py.
"""

from .cbor import TypedArray
from .errors import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _fail(code: str, at: str, problem: str) -> None:
    raise WireError(code, "{} {}.".format(at, problem))


def _size(at: str, size: int, unit: str, low: int, high: int) -> None:
    _fail("bad_length", at, "has {} {}, allowed is {}..{}".format(size, unit, low, high))


class Int:
    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high

    def check(self, at: str, value: "Any") -> None:
        if type(value) is not int:
            _fail("wrong_type", at, "must be an integer")
        if not self.low <= value <= self.high:
            _fail("out_of_range", at, "is {}, allowed is {}..{}".format(value, self.low, self.high))


class Bool:
    def check(self, at: str, value: "Any") -> None:
        if value is not True and value is not False:
            _fail("wrong_type", at, "must be true or false")


class Text:
    # low and high count UTF-8 bytes; form is a function that says whether the text is well formed.
    def __init__(self, low: int, high: int, form: "Any" = None, named: str = "") -> None:
        self.low = low
        self.high = high
        self.form = form
        self.named = named

    def check(self, at: str, value: "Any") -> None:
        if not isinstance(value, str):
            _fail("wrong_type", at, "must be a text")
        size = len(value) if len(value) > self.high else len(value.encode("utf-8", "replace"))
        if not self.low <= size <= self.high:
            _fail(
                "bad_length",
                at,
                "has {} bytes, allowed is {}..{}".format(size, self.low, self.high),
            )
        if self.form is not None and not self.form(value):
            _fail("bad_value", at, "is {!r}, must be {}".format(value, self.named))


class OneOf:
    def __init__(self, *words: str) -> None:
        self.words = words

    def check(self, at: str, value: "Any") -> None:
        if not isinstance(value, str):
            _fail("wrong_type", at, "must be a text")
        if value not in self.words:
            allowed = "|".join(self.words)
            _fail("bad_value", at, "is {!r}, allowed is {}".format(value[:32], allowed))


class Bytes:
    def __init__(self, size: int) -> None:
        self.size = size

    def check(self, at: str, value: "Any") -> None:
        if not isinstance(value, (bytes, bytearray)):
            _fail("wrong_type", at, "must be a byte string")
        if len(value) != self.size:
            _fail("bad_length", at, "has {} bytes, must have {}".format(len(value), self.size))


class Array:
    # A typed array of `low` to `high` items.
    def __init__(self, tag: int, low: int, high: int) -> None:
        self.tag = tag
        self.low = low
        self.high = high

    def check(self, at: str, value: "Any") -> None:
        if not isinstance(value, TypedArray) or value.tag != self.tag:
            _fail("wrong_type", at, "must be a typed array with tag {}".format(self.tag))
        if not self.low <= len(value) <= self.high:
            _size(at, len(value), "items", self.low, self.high)


class List:
    def __init__(self, low: int, high: int, item: "Any") -> None:
        self.low = low
        self.high = high
        self.item = item

    def check(self, at: str, value: "Any") -> None:
        if not isinstance(value, (list, tuple)):
            _fail("wrong_type", at, "must be an array")
        if not self.low <= len(value) <= self.high:
            _size(at, len(value), "items", self.low, self.high)
        for i in range(len(value)):
            self.item.check("{}[{}]".format(at, i), value[i])


class MapOf:
    # Names chosen by the sender, each with a value of one rule.
    def __init__(self, high: int, item: "Any") -> None:
        self.high = high
        self.item = item

    def check(self, at: str, value: "Any") -> None:
        if not isinstance(value, dict):
            _fail("wrong_type", at, "must be a map")
        if len(value) > self.high:
            _size(at, len(value), "entries", 0, self.high)
        for name in value:
            NAME.check(at + " (name)", name)
            self.item.check("{}.{}".format(at, name), value[name])


class Fields:
    # A map with known fields; a leading "?" marks an optional one. Other text keys are allowed.
    def __init__(self, table: "dict[str, Any]") -> None:
        self.table = table

    def check(self, at: str, value: "Any") -> None:
        if not isinstance(value, dict):
            _fail("wrong_type", at, "must be a map")
        for name in value:
            if not isinstance(name, str):
                _fail("wrong_type", at, "has a key that is no text")
        for name in self.table:
            rule = self.table[name]
            optional = name[0] == "?"
            name = name[1:] if optional else name
            if name in value:
                rule.check("{}.{}".format(at, name), value[name])
            elif not optional:
                _fail("missing_field", "{}.{}".format(at, name), "is missing")


class OrNull:
    def __init__(self, rule: "Any") -> None:
        self.rule = rule

    def check(self, at: str, value: "Any") -> None:
        if value is not None:
            self.rule.check(at, value)


def valid_date(text: str) -> bool:
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        return False
    for i in (0, 1, 2, 3, 5, 6, 8, 9):
        if not "0" <= text[i] <= "9":
            return False
    return 1 <= int(text[5:7]) <= 12 and 1 <= int(text[8:10]) <= 31


def valid_decimal(text: str) -> bool:
    # -?digits[.digits][e[+-]digits], exponent of one or two digits: float() reads it, and finite.
    mantissa, mark, exponent = text.partition("e")
    if mark:
        exponent = exponent[1:] if exponent[:1] in ("+", "-") else exponent
        if not (_digits(exponent) and len(exponent) <= 2):
            return False
    mantissa = mantissa[1:] if mantissa[:1] == "-" else mantissa
    whole, point, fraction = mantissa.partition(".")
    return _digits(whole) and (not point or _digits(fraction))


def valid_name(text: str) -> bool:
    return all("a" <= char <= "z" or "0" <= char <= "9" or char in "_-." for char in text)


def _digits(text: str) -> bool:
    return len(text) > 0 and all("0" <= char <= "9" for char in text)


NAME = Text(1, 32, valid_name, "lower-case letters, digits, _ - .")
