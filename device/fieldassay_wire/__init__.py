"""The wire between unit and host: one source, run unchanged by MicroPython and CPython.

cbor (deterministic encoding), mac0 (seal), messages and rules (fields and their ranges), topics
(MQTT), bundle (of firmware), errors. Imports nothing of ours, and of others struct and hashlib;
bundle imports json too. The contract is docs/reference/wire.cddl, explained in
docs/reference/wire.md.
"""

from .errors import WireError

__all__ = ["WireError"]
