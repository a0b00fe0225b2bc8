"""What Prometheus said at one moment, for all policies, and what it means for one of them.

A policy that is not in an answer is missing, never zero. The one thing known without Prometheus
is that a policy none of whose sidecars run has no demand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from overspill.controller.times import timestamp
from overspill.scaling import Demand, Load, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_SEEN: Final = 0.5
"""Of the sidecars: what fewer of them are asked for says little of all."""
NO_DEMAND = Demand(work_tokens_per_s=0.0, frontier_usd_per_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One poll. Every mapping goes from `namespace/name` to a value."""

    taken_at_s: float
    failure: str = ""
    """Why Prometheus could not be asked; empty where it answered."""
    work_tokens_per_s: Mapping[str, float] = field(default_factory=dict)
    frontier_usd_per_s: Mapping[str, float] = field(default_factory=dict)
    frontier_asked_usd_per_s: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By priority."""
    overflow_usd_per_s: Mapping[str, float] = field(default_factory=dict)
    judges_usd_per_s: Mapping[str, float] = field(default_factory=dict)
    """Absent where no judge was ever asked."""
    small_output_tokens_per_s: Mapping[str, float] = field(default_factory=dict)
    small_input_tokens_per_s: Mapping[str, float] = field(default_factory=dict)
    small_occupancy: Mapping[str, float] = field(default_factory=dict)
    """Mean share of the small tier's slots that were taken."""
    no_room_per_s: Mapping[str, float] = field(default_factory=dict)
    requests_per_s: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By tier."""
    generation: Mapping[str, float] = field(default_factory=dict)
    sidecars: Mapping[str, float] = field(default_factory=dict)
    last_scrape_s: Mapping[str, float] = field(default_factory=dict)
    credential_missing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By provider; 1 where some sidecar lacks the key."""
    spend_usd: Mapping[float, Mapping[str, float]] = field(default_factory=dict)
    """By the start of the budget period, Unix time."""


UNASKED = Snapshot(taken_at_s=0.0, failure="Prometheus has not been asked yet")


def demand_of(
    snapshot: Snapshot,
    policy: str,
    *,
    running_sidecars: int,
    settled_sidecars: int,
    now_s: float,
    stale_after_s: float,
) -> Demand | Unknown:
    """Say what one policy's small tier is asked for, or why that cannot be known.

    `settled_sidecars` have run for so long that Prometheus should know them.
    """
    if running_sidecars == 0:
        return NO_DEMAND
    if snapshot.failure:
        return Unknown(
            reason="PrometheusUnavailable",
            message=f"{snapshot.failure}; check the operator's --prometheus-url",
        )
    work = snapshot.work_tokens_per_s.get(policy)
    scraped_s = snapshot.last_scrape_s.get(policy)
    if scraped_s is not None and _is_stale(snapshot.taken_at_s, scraped_s, now_s, stale_after_s):
        return Unknown(
            reason="StaleSamples",
            message=f"the newest sample of {policy} is from {timestamp(scraped_s)}; "
            "check that Prometheus reaches port 4001 of the app pods",
        )
    usd = snapshot.frontier_usd_per_s.get(policy, 0.0 if work == 0.0 else None)
    if scraped_s is None or work is None or usd is None:
        return Unknown(
            reason="NoSamples",
            message=f"{running_sidecars} sidecars run and Prometheus has no samples of {policy} "
            "yet; if this stays, let it scrape pods labelled overspill.dev/policy on port 4001",
        )
    seen = int(snapshot.sidecars.get(policy, 0))
    if seen < LEAST_SEEN * settled_sidecars:
        return Unknown(
            reason="FewSamples",
            message=f"Prometheus has samples of {seen} sidecars of {policy}, and "
            f"{settled_sidecars} have run for a while; let it reach port 4001 of all app pods",
        )
    return Demand(work_tokens_per_s=work, frontier_usd_per_s=usd)


def _is_stale(taken_at_s: float, scraped_s: float, now_s: float, stale_after_s: float) -> bool:
    """Whether scrapes are missing, or polls: a sample ages between two polls without being lost."""
    return taken_at_s - scraped_s > stale_after_s or now_s - scraped_s > 2 * stale_after_s


def served_of(snapshot: Snapshot, policy: str, input_weight: float) -> float | None:
    """Return the work per second that one policy's small tier did; None where it is not known."""
    output = snapshot.small_output_tokens_per_s.get(policy)
    inputs = snapshot.small_input_tokens_per_s.get(policy)
    return None if output is None or inputs is None else output + input_weight * inputs


def load_of(snapshot: Snapshot, policy: str, input_weight: float) -> Load | None:
    """Say what one policy's small tier did; None where any part of it is missing.

    As occupancy is where there was no slot: while the first replica starts.
    """
    served = served_of(snapshot, policy, input_weight)
    occupancy = snapshot.small_occupancy.get(policy)
    no_room = snapshot.no_room_per_s.get(policy)
    if served is None or occupancy is None or no_room is None:
        return None
    return Load(served_tokens_per_s=served, occupancy=occupancy, no_room_per_s=no_room)


def frontier_share(snapshot: Snapshot, policy: str) -> str | None:
    """Return the frontier's share of answered requests, such as `18%`; None where unknown."""
    by_tier = snapshot.requests_per_s.get(policy, {})
    frontier = by_tier.get("frontier", 0.0)
    answered = sum(by_tier.get(tier, 0.0) for tier in ("small", "hosted", "frontier"))
    return f"{100 * frontier / answered:.0f}%" if answered > 0 else None


def providers_without_key(snapshot: Snapshot, policy: str) -> list[str]:
    """Providers whose key some sidecar does not find."""
    return sorted(name for name, v in snapshot.credential_missing.get(policy, {}).items() if v > 0)
