"""From the words of a policy to the numbers that scaling is decided by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from overspill.scaling.values import Economics

if TYPE_CHECKING:
    from overspill.api.policy import RoutingPolicySpec

_HOUR_S: Final = 3600.0


def economics_of(spec: RoutingPolicySpec) -> Economics:
    """Read prices and physics of the small tier."""
    small = spec.small
    return Economics(
        capacity_tokens_per_s=float(small.capacity.output_tokens_per_second),
        rent_usd_per_s=float(small.replica_hourly_cost) / _HOUR_S,
        startup_s=float(small.startup_seconds),
        min_replicas=small.replicas.min,
        max_replicas=small.replicas.max,
    )
