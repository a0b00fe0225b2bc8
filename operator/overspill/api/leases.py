"""How a sidecar asks for money and is answered: the JSON of `POST /v1/leases`.

The fields are those of `overspill.budget.lease`, by the same names; what they mean is said there.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import FailFast, Field, ValidationError

from overspill.api.base import Model
from overspill.api.errors import InvalidConfig, sentences

PATH = "/v1/leases"
AUDIENCE = "overspill"
"""Of the token by which a sidecar says which pod it is."""

LeaseId = Annotated[str, Field(pattern=r"^[a-zA-Z0-9-]{1,80}$")]
MOST_USD_MICROS = 10**15
"""No message tells of more. A client may ask for any number of tokens; no budget pays a billion."""
Micros = Annotated[int, Field(ge=0, le=MOST_USD_MICROS)]
Told = TypeVar("Told", bound=Model)


class LeaseReport(Model):
    """A sidecar's side of one renewal. Whose it is, the token says."""

    lease: LeaseId
    seq: int = Field(ge=1)
    spent_usd_micros: Micros
    keep_usd_micros: Micros
    need_usd_micros: Micros = 0
    want_usd_micros: Micros | None = None
    spare_usd_micros: Micros = 0
    least_usd_micros: Micros = 0
    unmetered_usd_micros: Micros = 0
    purpose: Annotated[str, Field(max_length=32)] = ""
    final: bool = False


class LeaseRequest(Model):
    """All that one sidecar has to say at once."""

    policy: Annotated[str, Field(max_length=320)]
    """namespace/name."""
    reports: Annotated[tuple[LeaseReport, ...], FailFast(), Field(max_length=16)]
    """A million wrong ones would be listed for as long as nobody else is lent anything."""


class LeaseGrant(Model):
    """The operator's side of one renewal."""

    lease: str
    seq: int
    ceiling_usd_micros: int
    life_s: float = Field(default=0.0, alias="lifeSeconds")
    last: bool = False
    over: bool = False
    scarce: bool = False
    exhausted: bool = False
    resets_in_s: float = Field(default=0.0, alias="resetsInSeconds")
    admit_from: float = 0.0


class LeaseAnswer(Model):
    """One grant a report, in their order."""

    grants: tuple[LeaseGrant, ...]


def read(kind: type[Told], text: str | bytes, root: str = "leases") -> Told:
    """Read what came over the counter, named `root` in errors.

    Raises: InvalidConfig, one sentence a fault.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise InvalidConfig("; ".join(sentences(error, root))) from None
