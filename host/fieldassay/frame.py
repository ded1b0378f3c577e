"""Frame: one checked measurement message as the host works with it.

Owns turning a decoded message into typed, frozen data with numpy views on the received bytes. Does
not own the wire format (`fieldassay_wire`), keys or MACs (`ingest`), nor what the counts mean
(`calibration`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import FrameError

Counts = NDArray[np.uint32]
U32 = 70  # RFC 8746: uint32, little-endian


@dataclass(frozen=True, slots=True)
class Exposure:
    """How the counts were taken.

    Attributes:
        exposure_us: One frame.
        frames: Frames summed into `raw`.
        dark_frames: Frames summed into `dark`, same exposure.
        full_scale_counts: Full scale of one frame.
        saturated_pixels: Pixels that reached full scale in any frame.
        gain_me_per_count: Milli-electrons per count.
        read_noise_me: Milli-electrons rms of one frame.
    """

    exposure_us: int
    frames: int
    dark_frames: int
    full_scale_counts: int
    saturated_pixels: int
    gain_me_per_count: int
    read_noise_me: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The unit's calibration as it travelled with the measurement.

    Attributes:
        id, date: Which one.
        coefficients_nm: Pixel to wavelength: nm = sum of coefficients_nm[i] * pixel**i.
        linearity: Factor on the counts above the offset, ascending powers of these; () for none.
        hot_pixels: Pixels that are not to be believed.
        offset_counts: What a pixel reads without light, None if not known.
        doubling_degc: The dark current doubles every so many degrees, None if not known.
    """

    id: str
    date: str
    coefficients_nm: tuple[float, ...]
    linearity: tuple[float, ...] = ()
    hot_pixels: tuple[int, ...] = ()
    offset_counts: float | None = None
    doubling_degc: float | None = None

    @classmethod
    def from_message(cls, carried: Mapping[str, Any]) -> Calibration:
        """Type the field `calibration` of a measurement."""
        dark = carried.get("dark") or {}
        return cls(
            id=carried["id"],
            date=carried["date"],
            coefficients_nm=_decimals(carried["coefficients_nm"]),
            linearity=_decimals(carried.get("linearity", ())),
            hot_pixels=tuple(carried.get("hot_pixels", ())),
            offset_counts=float(dark["offset_counts"]) if dark else None,
            doubling_degc=float(dark["doubling_degc"]) if dark else None,
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """One measurement of one unit; arrays are read-only views on the bytes the unit sent.

    Attributes:
        unit, boot, seq: What makes it unique.
        time_ms: Unix time of the trigger in UTC, 0 if the unit did not know.
        clock: "unset", "rtc" or "synced".
        exposure: How the counts were taken.
        raw: Sum over frames, shape (pixels,).
        dark: Sum over dark frames, shape (pixels,).
        flags: What the unit noticed.
        excitation_pm: Laser wavelength in picometres.
        calibration: Of this unit, as it travelled with the measurement.
        answers: What the officer told: "packaging", "sample"; "" = not asked.
        sha256: Of the exact sealed bytes, 32 bytes.
        message: The whole message, unknown fields included.
        detector_mdegc: Detector after the light frames, thousandths of a degree Celsius.
        dark_mdegc: The same after the dark frames; None from units that do not say.
    """

    unit: str
    boot: int
    seq: int
    time_ms: int
    clock: str
    exposure: Exposure
    raw: Counts
    dark: Counts
    flags: tuple[str, ...]
    excitation_pm: int
    calibration: Calibration
    answers: Mapping[str, str]
    sha256: bytes
    message: Mapping[str, Any]
    detector_mdegc: int | None = None
    dark_mdegc: int | None = None

    @property
    def record_id(self) -> str:
        """The name of the record in store, page and command line."""
        return f"{self.unit}-{self.boot}-{self.seq}"

    @classmethod
    def from_message(cls, sealed: bytes, message: dict[str, Any]) -> Frame:
        """Type a message that passed `fieldassay_wire.messages.check("measurement", …)`.

        Args:
            sealed: The exact bytes received, for the digest.
            message: The decoded payload.

        Raises:
            FrameError: `frame_inconsistent`: fields contradict each other.
        """
        try:
            exposure = Exposure(
                **{name: int(message[name]) for name in Exposure.__dataclass_fields__}
            )
            frame = cls(
                unit=message["unit"],
                boot=message["boot"],
                seq=message["seq"],
                time_ms=message["time_ms"],
                clock=message["clock"],
                exposure=exposure,
                raw=_counts(message["raw"]),
                dark=_counts(message["dark"]),
                flags=tuple(message["flags"]),
                excitation_pm=message["excitation_pm"],
                calibration=Calibration.from_message(message["calibration"]),
                detector_mdegc=message.get("detector_mdegc"),
                dark_mdegc=message.get("dark_mdegc"),
                answers=MappingProxyType(dict(message["answers"])),
                sha256=hashlib.sha256(sealed).digest(),
                message=MappingProxyType(message),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _inconsistent(f"a field is missing or of another type ({error})") from error
        if frame.raw.size != frame.dark.size or frame.raw.size < 16:
            raise _inconsistent(f"{frame.raw.size} raw and {frame.dark.size} dark pixels")
        if exposure.frames < 1 or exposure.dark_frames < 1 or exposure.full_scale_counts < 1:
            raise _inconsistent("no frame, no dark frame or no full scale")
        if exposure.gain_me_per_count < 1 or exposure.read_noise_me < 0:
            raise _inconsistent("gain or read noise is out of range")
        if not frame.calibration.coefficients_nm or frame.excitation_pm < 1:
            raise _inconsistent("no wavelength calibration or no excitation wavelength")
        return frame


def _decimals(texts: Sequence[str]) -> tuple[float, ...]:
    return tuple(float(text) for text in texts)


def _counts(value: Any) -> Counts:
    """A read-only view of a typed array (RFC 8746, tag 70) without copying."""
    if value.tag != U32:
        raise TypeError(f"counts have typed-array tag {value.tag}, not {U32}")
    counts = np.frombuffer(value.data, dtype="<u4")
    counts.setflags(write=False)
    return counts


def _inconsistent(why: str) -> FrameError:
    return FrameError(
        "frame_inconsistent",
        f"A measurement contradicts itself: {why}.",
        "Keep the record for review and check the unit's firmware and calibration.",
    )
