"""How a sidecar tells the operator of its trials: the JSON of `POST /v1/trials`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Base64Bytes, Field

from overspill.api.base import Model

PATH = "/v1/trials"


class TrialReport(Model):
    """What a sidecar has seen since it last told."""

    policy: Annotated[str, Field(max_length=320)]
    """namespace/name."""
    subject: Annotated[str, Field(max_length=64)]
    """Whom these trials are of, as `overspill.trials.subject` names it."""
    batches: Annotated[Base64Bytes, Field(max_length=2 * 2**20)]
    """As `overspill.trials.record.pack` writes them."""


class TrialReceipt(Model):
    """They are written down."""

    kept: int
    """Batches that were new."""
