"""What the routes work with: store, library, cards, feed, units, and questions that join them.

Nothing here changes a record. The only way out is `send_command`, which the runner gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fieldassay_wire import cbor, topics
from fieldassay_wire.errors import WireError
from fieldassay_wire.messages import ARGS

from fieldassay import fitness, identify
from fieldassay.errors import FieldassayError, FrameError
from fieldassay.frame import Frame
from fieldassay.stored import Record
from fieldassay.web import tree, views
from fieldassay.web.plot import plot_json
from fieldassay.web.shield import WebError

if TYPE_CHECKING:
    from fieldassay.duty import Duty
    from fieldassay.hazards.cards import Card, Cards
    from fieldassay.library import Library
    from fieldassay.live import Feed
    from fieldassay.store import Store
    from fieldassay.unit_states import UnitStates

SendCommand = Callable[[str, str, dict[str, Any]], None]
COSE_MAC0 = 17
RECORD_ID_MAX = 64
SPECTRA_KEPT = 32
# The host alone sets clocks: times in evidence must not come from a browser.
BROWSER_COMMANDS = ("set_answers", "request_measurement", "abort", "get_state")


@dataclass(frozen=True)
class Desk:
    """Everything the routes may touch."""

    store: Store
    library: Library
    cards: Cards
    feed: Feed
    units: UnitStates
    send_command: SendCommand
    duty: Duty | None = None
    _drawn: Callable[[str], dict[str, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_drawn", lru_cache(SPECTRA_KEPT)(self._draw))

    def record(self, record_id: str) -> Record:
        """One record.

        Raises:
            WebError: `record_missing`, status 404.
        """
        if 0 < len(record_id) <= RECORD_ID_MAX and record_id.isascii() and record_id.isprintable():
            try:
                return self.store.record(record_id)
            except FieldassayError as error:
                if error.code != "record_missing":
                    raise
        raise WebError(
            404,
            "record_missing",
            "There is no record with this number.",
            "Go back to the list of measurements and choose one.",
        )

    def parts(self, record: Record) -> tuple[dict[str, Any], tree.Node]:
        """The decoded message of a record, and the whole sealed structure as a tree."""
        try:
            sealed = cbor.decode(record.sealed)
            protected, unprotected, payload, mac = sealed.value
            message = cbor.decode(payload)
            if sealed.number != COSE_MAC0 or not isinstance(message, dict):
                raise ValueError("the payload is no message")
            shown = {
                "protected": cbor.decode(protected),
                "unprotected": unprotected,
                "payload": message,
                "tag": mac,
            }
        except (AttributeError, TypeError, ValueError) as error:  # WireError is a ValueError
            raise FrameError(
                "record_unreadable",
                "The stored bytes of this record cannot be decoded.",
                "Download the raw record and check its SHA-256 against the receipt.",
            ) from error
        return message, tree.node("COSE_Mac0", shown)

    def card(self, body: Mapping[str, Any] | None) -> Card:
        """The hazard card for a verdict, the strictest one while there is none or it is unknown."""
        kind = views.style(body)
        known = kind not in ("pending", "other")
        listed = views.items((body or {}).get("substances"))
        ids = [str(s["id"]) for s in listed if isinstance(s, Mapping) and "id" in s]
        return self.cards.for_identification(
            kind if known else "inconclusive", ids if known else []
        )

    def spectrum(self, record_id: str) -> dict[str, Any]:
        """What the plot of a record shows, computed from the stored bytes; kept for a while."""
        return self._drawn(record_id)

    def _draw(self, record_id: str) -> dict[str, Any]:
        record = self.record(record_id)
        frame = Frame.from_message(record.sealed, self.parts(record)[0])
        spectrum, identification = identify.identify_frame(frame, self.library)
        said = (record.summary.verdict or {}).get("fitness")
        if isinstance(said, Mapping):
            identification = fitness.limited(identification, fitness.from_dict(said))
        if identification.candidates:
            overlay = identify.overlay(spectrum, self.library, identification)
        else:  # like no reference at all, such as a detector at full scale everywhere
            measured = {"axis_cm1": spectrum.axis.values, "measured": spectrum.intensity}
            overlay = {**measured, "fit": [], "references": []}
        return {
            "id": record_id,
            **plot_json(overlay),
            "verdict": identification.verdict.kind,
            "library": identification.library,
            "algorithm": identification.algorithm,
        }

    def check(self, record_id: str) -> dict[str, Any]:
        """Judge a record as its unit's performance check and keep the result.

        Raises:
            WebError: No such record, or this page belongs to no host.
        """
        record = self.record(record_id)
        if self.duty is None:
            raise WebError(
                503,
                "checks_not_kept",
                "This page belongs to no running host, so no check can be kept.",
                "Open the page of the host.",
            )
        result = self.duty.check(Frame.from_message(record.sealed, self.parts(record)[0]))
        self.feed.publish({"type": "unit", "kind": "check", "unit": result["unit"]})
        return result

    def unit_states(self) -> list[dict[str, Any]]:
        """Every unit as `views.unit` shows it, with its fitness for duty."""
        states = [views.unit(state) for state in self.units.all()]
        if self.duty is not None:
            for state in states:
                fit = self.duty.of_unit(str(state["unit"]))
                state["fitness"] = fit.as_dict()
        return states

    def command(self, unit: str, command: str, args: dict[str, Any]) -> None:
        """Send a command to a unit that has reported.

        Raises:
            WebError: Unknown unit, command or arguments.
            UnitError: The unit cannot be reached or asked now.
        """
        if not topics.valid_unit(unit) or all(s.get("unit") != unit for s in self.units.all()):
            raise WebError(
                404,
                "unit_not_seen",
                "No unit of this name has reported since the host started.",
                "Switch the unit on, wait until it appears in the list, then try again.",
            )
        if command not in BROWSER_COMMANDS:
            raise WebError(
                422,
                "command_not_allowed",
                "This command cannot be sent from the browser.",
                f"Use one of: {', '.join(BROWSER_COMMANDS)}.",
            )
        try:
            ARGS[command].check("args", args)
        except WireError as error:
            raise WebError(422, error.code, error.what, error.do_next) from error
        self.send_command(unit, command, args)
