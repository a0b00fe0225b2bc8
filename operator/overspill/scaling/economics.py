"""From the words of a policy, and what was learned, to the numbers that scaling is decided by."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Final

from overspill.scaling.physics import Learned, capacity_tokens_per_s, startup_s
from overspill.scaling.values import Economics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from overspill.api.policy import RoutingPolicySpec, SmallTier

_HOUR_S: Final = 3600.0


def economics_of(
    spec: RoutingPolicySpec,
    learned: Learned | None = None,
    nodes: Sequence[str] = (),
    node_labels: Mapping[str, Mapping[str, str]] | None = None,
) -> Economics:
    """Read prices and physics of the small tier; what was learned goes before the policy's guesses.

    `nodes` has the node of each replica, `node_labels` the labels of nodes, as far as known.
    """
    small, learned = spec.small, learned or Learned()
    guess = float(small.capacity.output_tokens_per_second)
    return Economics(
        capacity_tokens_per_s=capacity_tokens_per_s(learned, guess),
        rent_usd_per_s=_usd_per_hour(small, nodes, node_labels or {}) / _HOUR_S,
        startup_s=startup_s(learned, float(small.startup_seconds)),
        min_replicas=small.replicas.min,
        max_replicas=small.replicas.max,
    )


def _usd_per_hour(
    small: SmallTier, nodes: Sequence[str], labels: Mapping[str, Mapping[str, str]]
) -> float:
    usual, by_label = small.replica_hourly_cost, small.replica_cost_by_node_label
    if by_label is None or not nodes:
        return float(usual)
    values = (labels.get(node, {}).get(by_label.label, "") for node in nodes)
    return fmean(float(by_label.costs.get(value, usual)) for value in values)
