"""`RoutingPolicy.status`: what happened and why. Only the operator writes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from overspill.api.base import Model, Quantity


class Condition(Model):
    """A Kubernetes condition; the message is one a person can act on."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    last_transition_time: str
    observed_generation: int | None = None


class ReplicaStatus(Model):
    """Small-tier replicas."""

    desired: int
    ready: int
    pending: int = 0
    display: str = Field(description="ready/desired, for the printer column.")


class DemandStatus(Model):
    """What the small tier was asked for, spilled work included."""

    work_tokens_per_second: float
    replicas_worth: float = Field(description="Demand in replicas, at the policy's capacity.")
    frontier_usd_per_hour: float = Field(description="What this demand costs at the frontier.")


class SpendStatus(Model):
    """Frontier spend in the current budget period."""

    period_start: str
    usd: Quantity
    limit_usd: Quantity | None = None
    display: str = Field(description="spend/limit, for the printer column.")


class DecisionStatus(Model):
    """The last scaling decision."""

    time: str
    desired: int
    reason: str
    message: str


class ScalingState(Model):
    """What break-even must remember over a restart; written and read by the operator only.

    Amounts are micro-dollars a level; level 1 first.
    """

    version: int = 1
    updated_at: str
    replicas_on: int
    accrued_usd_micros: tuple[int, ...] = ()


class RoutingPolicyStatus(Model):
    """Every field the operator writes is declared here, or the API server would prune it."""

    observed_generation: int | None = None
    state: str | None = None
    conditions: tuple[Condition, ...] = Field(
        default=(),
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    replicas: ReplicaStatus | None = None
    demand: DemandStatus | None = None
    spend: SpendStatus | None = None
    frontier_share: str | None = None
    last_decision: DecisionStatus | None = None
    scaling_state: ScalingState | None = None
