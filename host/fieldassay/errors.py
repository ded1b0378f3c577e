"""Every error fieldassay raises on purpose: UI, command line, API and log show the same fields.

One shallow tree; `code` is stable and documented in docs/reference/errors.md (a test keeps the two
in step).
"""

from __future__ import annotations


class FieldassayError(Exception):
    """Something went wrong that a person can act on.

    Attributes:
        code: Stable identifier, lower-case words joined by underscores.
        what: What happened, one sentence.
        do_next: What the reader should do now, one sentence.
    """

    def __init__(self, code: str, what: str, do_next: str) -> None:
        what, do_next = printable(what), printable(do_next)
        super().__init__(f"{what} {do_next}")
        self.code = code
        self.what = what
        self.do_next = do_next

    def as_dict(self) -> dict[str, str]:
        """The error as every interface shows it: `{"code", "what", "do_next"}`."""
        return {"code": self.code, "what": self.what, "do_next": self.do_next}


def printable(text: str) -> str:
    """Text in which nothing that a unit or a file put there moves a cursor or colours a line."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


class SetupError(FieldassayError):
    """This machine lacks something: a program, a port, a file, a permission."""


class FormatError(FieldassayError):
    """A spectrum file cannot be read."""


class FrameError(FieldassayError):
    """A message from a unit cannot be trusted or understood."""


class LibraryError(FieldassayError):
    """A reference library is missing, damaged or of another version."""


class RecordError(FieldassayError):
    """The evidence store refuses: conflict, damage, no space."""


class UnitError(FieldassayError):
    """A unit is not known, has no key, or was asked for something it may not do."""


class ReleaseError(FieldassayError):
    """A firmware bundle cannot be made, or must not be trusted."""


class CalibrationError(FieldassayError):
    """A calibration or a performance check cannot be made from these measurements."""


class BenchError(FieldassayError):
    """A board on the technician's bench: its port, its file system or its firmware refuses.

    Attributes:
        trace: What the board printed about it, "" if nothing.
    """

    def __init__(self, code: str, what: str, do_next: str, trace: str = "") -> None:
        super().__init__(code, what, do_next)
        self.trace = trace
