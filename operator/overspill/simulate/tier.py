"""A policy's small tier, as a request meets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overspill.simulate.replica import Speed, speed_of

if TYPE_CHECKING:
    from overspill.api.policy import RoutingPolicySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """How fast its replicas are, and how long a request bears with them."""

    speed: Speed
    first_token_s: float
    """`overflow.firstTokenDeadline`."""
    max_wait_s: float
    """`queue.maxWait`."""


def tier_of(spec: RoutingPolicySpec) -> Tier:
    """Read what matters to a request."""
    return Tier(
        speed=speed_of(spec.small.capacity),
        first_token_s=spec.routing.overflow.first_token_deadline,
        max_wait_s=spec.routing.queue.max_wait,
    )
