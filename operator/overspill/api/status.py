"""`RoutingPolicy.status`: what happened and why. Only the operator writes it."""

from __future__ import annotations

from typing import Annotated, Literal

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
    replicas_worth: float = Field(description="Demand in replicas, at the capacity in use.")
    frontier_usd_per_hour: float = Field(description="What this demand costs at the frontier.")


class SpendStatus(Model):
    """What hosted and frontier providers cost in the current budget period."""

    period_start: str
    usd: Quantity
    limit_usd: Quantity | None = None
    leased_usd: Quantity | None = Field(
        default=None, description="What sidecars hold and may still spend."
    )
    display: str = Field(description="spend/limit, for the printer column.")


HoursOfWeek = Annotated[str, Field(pattern=r"^[0-9]+( [0-9]+)*$", max_length=4096)]
"""168 whole numbers in one line: as a list they would fill a screen."""


class PacingState(Model):
    """How the budget is spread; written and read by the operator, which lends by it."""

    version: int = 1
    updated_at: str
    admit_from: float = Field(
        ge=0,
        le=1,
        description="From this value on, 0..1, requests go to the frontier at once: the thirds are "
        "low, normal and high priority.",
    )
    usd_micros_per_hour: tuple[HoursOfWeek, ...] = Field(
        description="Asked of the frontier by hour of the week, from Monday's first: low, normal "
        "and high priority, and the overflow of the small tier."
    )
    seen_seconds: HoursOfWeek = Field(description="What each of these hours rests on.")


class DecisionStatus(Model):
    """The last scaling decision."""

    time: str
    desired: int
    reason: str
    message: str


class ScalingState(Model):
    """What scaling must remember over a restart; written and read by the operator only.

    Version 1 held sums in `accruedUsdMicros`; of it only the replicas are read. Version 2 held
    `earnedMilli`, which is no longer read.
    """

    version: int = 3
    updated_at: str
    replicas_on: int
    usd_micros_per_m_tok: int = Field(
        default=0, description="Frontier price of the last work that was seen."
    )
    milli_tokens_per_replica: int = Field(
        default=0, description="Work per second that a replica is remembered by; 0 for no memory."
    )
    reach: int = Field(default=0, description="Replicas that the memories cover.")
    use_per100k: tuple[tuple[int, ...], ...] = Field(
        default=(),
        description="Part of each memory's time that replicas would have worked, cell by cell.",
    )
    known_micros: tuple[int, ...] = Field(
        default=(), description="How much of each memory's span was seen."
    )
    trust_micros: tuple[int, ...] = Field(default=(), description="Trust in each scenario.")
    regret_tenths: tuple[tuple[int, ...], ...] = Field(
        default=(),
        description="What deciding by each price would have cost above the cheapest, in tenths of "
        "a start-up's rent, cell by cell.",
    )
    held: tuple[int, ...] = Field(
        default=(), description="Cells whose replicas each price would hold."
    )
    earned_milli: tuple[int, ...] = Field(default=(), description="Of version 2.")
    accrued_usd_micros: tuple[int, ...] = Field(default=(), description="Of version 1.")


class Guesses(Model):
    """The policy's own numbers."""

    startup_seconds: int
    output_tokens_per_second: int


class LearnedStatus(Model):
    """What the small tier has shown of itself; read back by the operator after a restart.

    It holds for one model and one way to count work; with another it begins anew.
    """

    version: int = 1
    model: str
    input_token_weight: Quantity
    startup_seconds: int = Field(description="In use: from a place on a node to the first answer.")
    output_tokens_per_second: int = Field(description="In use: work that one replica can do.")
    policy: Guesses
    startup_samples_seconds: tuple[int, ...] = Field(default=(), description="The last starts.")
    full_samples_tokens_per_second: tuple[int, ...] = Field(
        default=(), description="Work of one replica in the last windows in which it was full."
    )
    at_least_tokens_per_second: int = Field(
        default=0, description="Work that a replica can do for all that was seen of it."
    )


class WindowStatus(Model):
    """What a small tier on trial cost and saved in one window."""

    watched_seconds: int
    saved_usd: Quantity = Field(alias="savedUSD")
    cost_usd: Quantity = Field(alias="costUSD")


class ExperimentStatus(Model):
    """How the small tier on trial does; read back by the operator after a restart."""

    updated_at: str
    window: WindowStatus
    last: WindowStatus | None = Field(default=None, description="The window before.")
    ended_at_generation: int | None = Field(
        default=None, description="It saved too little; an edit of spec begins it anew."
    )
    display: str = Field(description="Saved per USD.")


class QualityStatus(Model):
    """What trials tell of quality, as a part of the frontier's, and what is made of it."""

    floor: Quantity | None = Field(default=None, description="That is promised.")
    confidence: Quantity
    estimate: Quantity | None = Field(
        default=None, description="Of all requests so far; none while there are too few trials."
    )
    low: Quantity | None = Field(default=None, description="At least so much, by that confidence.")
    high: Quantity | None = Field(default=None, description="At most so much, by that confidence.")
    trials: int = Field(description="Requests that both tiers answered.")
    paid_trials: int = Field(description="Of them, those that went to the frontier by lot.")
    careful: bool = Field(description="All goes to the frontier until trials show what need not.")
    limit: float | None = Field(
        default=None, description="From this score on a request goes to the frontier."
    )
    trial_rate: Quantity = Field(description="Of the others, by lot.")
    expected_frontier_share: Quantity | None = Field(
        default=None, description="What both take together, of the requests that no rule takes."
    )
    since: str | None = Field(default=None, description="The oldest of these trials.")
    examples: int = Field(default=0, description="Trials that taught the score; 0 for none.")
    unseen_share: Quantity = Field(
        description="Requests for which no trial stands, for want of money or of a way to compare."
    )
    display: str = Field(description="estimate and floor, for the printer column.")


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
    pacing: PacingState | None = None
    frontier_share: str | None = None
    last_decision: DecisionStatus | None = None
    scaling_state: ScalingState | None = None
    learned: LearnedStatus | None = None
    experiment: ExperimentStatus | None = None
    quality: QualityStatus | None = None
