"""What the bench routes take: fields with their limits; anything else is refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=64)]
PortPath = Annotated[str, Field(min_length=1, max_length=256)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AtPort(_Body):
    """A unit at a port."""

    port: PortPath


class LogBody(AtPort):
    """How much of the log."""

    count: int = Field(50, ge=1, le=100)


class VerifyBody(_Body):
    """The measurement of polystyrene."""

    record: Name


class Measured(_Body):
    """A record and the lamp or standard that it shows."""

    name: Name
    record: Name


class CalibrateBody(_Body):
    """What was measured with which unit."""

    unit: Name
    lamps: list[Measured] = Field(min_length=1, max_length=8)
    standards: list[Measured] = Field(min_length=1, max_length=8)
    laser_nm: float = Field(785.0, gt=200, lt=2000)


class AcceptBody(AtPort):
    """Which calibration goes to which port."""

    job: int = Field(ge=1, lt=2**31)


class ProvisionBody(AtPort):
    """A new identity; the password is never told again."""

    name: Name
    broker: str = Field(min_length=1, max_length=255)
    tls: bool = True
    wifi: str = Field("", max_length=32)
    wifi_password: str = Field("", max_length=63, repr=False)
    country: str = Field("", max_length=2)
    firmware_key: str = Field("", max_length=64, pattern="^([0-9a-f]{64})?$")
    replace: bool = False


class RetireBody(_Body):
    """Which unit, typed twice; with its port, or lost."""

    name: Name
    confirm: Name
    port: str = Field("", max_length=256)
    lost: bool = False
    force: bool = False
