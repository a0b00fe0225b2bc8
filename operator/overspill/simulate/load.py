"""A trace in a policy's terms: work and dollars, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from overspill.scaling.economics import economics_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.api.policy import Price, RoutingPolicySpec
    from overspill.scaling.values import Economics
    from overspill.simulate.trace import Trace

FloatArray = NDArray[np.float64]
Series = NDArray[np.int64]
"""Replicas, one count a step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Load:
    """Demand of one policy in equal steps; arrays have one element a step."""

    step_s: float
    work_tokens: FloatArray
    """Output + weight × input tokens that were asked for in the step."""
    frontier_usd: FloatArray
    """What all of it costs at the first rung it would spill to."""
    economics: Economics
    rungs: Mapping[str, FloatArray] = field(default_factory=dict)
    """What all of it costs at each external rung whose price is known: frontier, hosted."""

    def __post_init__(self) -> None:
        if not self.steps or self.work_tokens.shape != self.frontier_usd.shape:
            raise ValueError(
                "work_tokens and frontier_usd need one element a step, "
                f"not shapes {self.work_tokens.shape} and {self.frontier_usd.shape}"
            )

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.work_tokens)

    @property
    def startup_steps(self) -> int:
        """Steps of being asked for, before a replica is ready."""
        return math.ceil(self.economics.startup_s / self.step_s)

    @property
    def replica_tokens(self) -> float:
        """Work that one ready replica can do in a step."""
        return self.economics.capacity_tokens_per_s * self.step_s

    @property
    def rent_usd(self) -> float:
        """What one replica costs for a step."""
        return self.economics.rent_usd_per_s * self.step_s

    @property
    def mean_replicas(self) -> float:
        """How many replicas the mean demand would fill."""
        return float(self.work_tokens.mean()) / self.replica_tokens

    @property
    def most_useful(self) -> int:
        """Replicas beyond this count have no work in any step; within the policy's bounds."""
        filled = math.ceil(float(self.work_tokens.max()) / self.replica_tokens)
        return min(max(filled, self.economics.min_replicas), self.economics.max_replicas)

    @property
    def usd_per_token(self) -> FloatArray:
        """Price of each step's work; 0 where there is none."""
        none = np.zeros_like(self.work_tokens)
        return np.divide(self.frontier_usd, self.work_tokens, out=none, where=self.work_tokens > 0)


def load_of(trace: Trace, spec: RoutingPolicySpec) -> Load:
    """Weigh and price a trace as the policy does.

    Spill goes to the cheaper of the first host and the first frontier provider.
    """
    rungs = rungs_usd(trace, spec)
    return Load(
        step_s=trace.step_s,
        work_tokens=work_tokens(trace, spec),
        frontier_usd=rungs[cheapest(rungs)],
        economics=economics_of(spec),
        rungs=rungs,
    )


class Tokens(Protocol):
    """Arrays of tokens, one element a step or a request."""

    @property
    def input_tokens(self) -> FloatArray:
        """Asked with."""

    @property
    def output_tokens(self) -> FloatArray:
        """Answered with."""


def work_tokens(tokens: Tokens, spec: RoutingPolicySpec) -> FloatArray:
    """Weigh as the policy does."""
    return (
        tokens.output_tokens + float(spec.small.capacity.input_token_weight) * tokens.input_tokens
    )


def rungs_usd(tokens: Tokens, spec: RoutingPolicySpec) -> dict[str, FloatArray]:
    """Price everything at the first provider of each rung that the policy has."""
    rungs = {"frontier": _paid_usd(tokens, spec.frontier[0].price)}
    if spec.hosted:
        rungs["hosted"] = _paid_usd(tokens, spec.hosted[0].price)
    return rungs


def cheapest(rungs: Mapping[str, FloatArray]) -> str:
    """Name the rung that spill goes to."""
    return min(rungs, key=lambda rung: float(rungs[rung].sum()))


def _paid_usd(tokens: Tokens, price: Price) -> FloatArray:
    """List price without cached input: a trace does not say what a cache would have held."""
    per_input, per_output = float(price.input_per_m_tok), float(price.output_per_m_tok)
    return (tokens.input_tokens * per_input + tokens.output_tokens * per_output) / 1e6
