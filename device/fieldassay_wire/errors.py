"""WireError: the one typed error that bytes, topics and messages can raise, with what to do next.

Owns the list of error codes (docs/reference/wire.md explains each). `what` names the place and the
limit; `do_next` is the same sentence for every error of one code.
"""

_REPORT = "Keep the bytes and report them with the firmware and host versions."
_FIX_SENDER = "Correct the sender: docs/reference/wire.md lists every field with its range."
_NOT_OURS = "Check what else publishes under this topic; fieldassay sends only sealed messages."

DO_NEXT = {
    # the bytes are no CBOR of our profile
    "truncated": "Send the message again; if it stays short, look for a size limit at the broker.",
    "trailing_bytes": _REPORT,
    "not_shortest": _REPORT,
    "indefinite_length": _REPORT,
    "unsorted_keys": _REPORT,
    "duplicate_key": _REPORT,
    "bad_key": _REPORT,
    "bad_utf8": _REPORT,
    "bad_head": _REPORT,
    "float": _REPORT,
    "bad_typed_array": _REPORT,
    "too_deep": _REPORT,
    "too_many_items": _REPORT,
    # the value cannot be encoded
    "not_encodable": "Pass only int, str, bytes, list, dict, bool, None, Tag and TypedArray.",
    # the envelope
    "not_sealed": _NOT_OURS,
    "bad_algorithm": _NOT_OURS,
    "unknown_kind": "Update the side that does not know this kind of message.",
    "bad_mac": "Check that unit and host hold the same key; provision the unit again if in doubt.",
    # the message
    "unsupported_version": "Update the older of the two sides, unit or host.",
    "missing_field": _FIX_SENDER,
    "wrong_type": _FIX_SENDER,
    "out_of_range": _FIX_SENDER,
    "bad_length": _FIX_SENDER,
    "bad_value": _FIX_SENDER,
    "size_mismatch": _FIX_SENDER,
    # a firmware bundle
    "bad_bundle": "Get the bundle again from who released it; send nothing of it to a unit.",
    # the topic
    "bad_topic": "Use the topics of docs/reference/topics.md.",
}


class WireError(ValueError):
    # code: stable identifier; what: what happened, where, which limit; do_next: what to do now.
    def __init__(self, code: str, what: str) -> None:
        self.code = code
        self.what = what
        self.do_next = DO_NEXT[code]
        super().__init__(what + " " + self.do_next)
