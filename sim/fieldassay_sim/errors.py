"""Every error the simulator raises on purpose: what happened and what to do, in one shape.

The same three fields as the host's errors, defined again because the simulator imports no host
code.
"""

from __future__ import annotations


class SimError(Exception):
    """Something a person can act on.

    Attributes:
        code: Stable identifier, lower-case words joined by underscores.
        what: What happened and, where it is not obvious, why it matters.
        do_next: What to do or type now.
    """

    def __init__(self, code: str, what: str, do_next: str) -> None:
        super().__init__(f"{what} {do_next}")
        self.code = code
        self.what = what
        self.do_next = do_next

    def as_dict(self) -> dict[str, str]:
        """The error as JSON shows it."""
        return {"code": self.code, "what": self.what, "do_next": self.do_next}


class ScenarioError(SimError):
    """A scenario file says something the simulator does not understand."""


class SpectrumError(SimError):
    """A reference spectrum is missing or cannot be read."""


class SetupError(SimError):
    """This machine lacks something: the interpreter, a port, a file."""


class BusError(SimError):
    """Bytes on the simulator bus that no firmware sends."""
