"""One PromQL query a signal, for all policies at once.

Each answers one sample a policy (and a second label where said). A policy that is not in the
answer is *missing*, never zero. Those that end in `_of` are for one policy: a range of time has
too many samples to ask for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from overspill.telemetry import names

NO_ROOM: Final = ("SlotsFull", "FirstTokenDeadline")
"""Reasons of routing decisions that say: the small tier has no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A PromQL expression and the label that tells its samples apart below a policy."""

    expr: str
    by: str | None = None


def _rate(metric: str, window_s: int, by: str | None = None, match: str = "") -> Query:
    labels = names.POLICY if by is None else f"{names.POLICY}, {by}"
    return Query(expr=f"sum by ({labels}) (rate({metric}{match}[{window_s}s]))", by=by)


def work_tokens_per_s(window_s: int) -> Query:
    """Work offered to the small tier, spilled and shed work included."""
    return _rate(names.WORK_TOKENS, window_s)


def frontier_equivalent_usd_per_s(window_s: int) -> Query:
    """What that same work costs per second at the first rung it would spill to."""
    return _rate(names.FRONTIER_EQUIVALENT_USD, window_s, match='{eligible="true"}')


def frontier_asked_usd_per_s(window_s: int) -> Query:
    """What the policy would have the frontier answer, in dollars per second, by priority."""
    return _rate(names.FRONTIER_ASKED_USD, window_s, by="priority")


def overflow_usd_per_s(window_s: int) -> Query:
    """Dollars per second that are paid for work of the small tier."""
    return _rate(names.OVERFLOW_USD, window_s)


def judges_usd_per_s(window_s: int) -> Query:
    """Dollars per second that judges of trials are paid; absent where nobody asks one."""
    return _rate(names.JUDGES_USD, window_s)


def work_tokens_per_s_of(policy: str, window_s: int) -> str:
    """Return one policy's `work_tokens_per_s`, to be asked for over a range of time."""
    return _rate_of(policy, names.WORK_TOKENS, window_s)


def frontier_equivalent_usd_per_s_of(policy: str, window_s: int) -> str:
    """Return one policy's `frontier_equivalent_usd_per_s`, over a range of time."""
    return _rate_of(policy, names.FRONTIER_EQUIVALENT_USD, window_s, match=',eligible="true"')


def _rate_of(policy: str, metric: str, window_s: int, match: str = "") -> str:
    return f'sum(rate({metric}{{{names.POLICY}="{policy}"{match}}}[{window_s}s]))'


def small_output_tokens_per_s(window_s: int) -> Query:
    """Output of the small tier, counted when a request ends."""
    return _rate(names.OUTPUT_TOKENS, window_s, match='{tier="small"}')


def small_input_tokens_per_s(window_s: int) -> Query:
    """Input of the small tier, counted when a request ends."""
    return _rate(names.INPUT_TOKENS, window_s, match='{tier="small"}')


def small_occupancy(window_s: int) -> Query:
    """Mean share of the small tier's slots that were taken; absent where it has none."""
    taken = f'sum by ({names.POLICY}) ({names.IN_FLIGHT}{{tier="small"}})'
    slots = f"sum by ({names.POLICY}) ({names.SMALL_SLOTS})"
    step_s = max(1, window_s // 4)
    return Query(expr=f"avg_over_time(({taken} / {slots})[{window_s}s:{step_s}s])")


def no_room_per_s(window_s: int) -> Query:
    """Requests that left the small tier, or waited there, for want of room."""
    turned_away = _rate(names.DECISIONS, window_s, match=f'{{reason=~"{"|".join(NO_ROOM)}"}}')
    waited = _rate(f"{names.QUEUE_WAIT_SECONDS}_count", window_s)
    return Query(expr=f"{turned_away.expr} + {waited.expr}")


def requests_per_s(window_s: int) -> Query:
    """Finished requests by tier."""
    return _rate(names.REQUESTS, window_s, by="tier")


def spend_usd(period_s: int) -> Query:
    """Dollars paid since `period_s` seconds ago."""
    return Query(expr=f"sum by ({names.POLICY}) (increase({names.SPEND_USD}[{period_s}s]))")


def config_generation() -> Query:
    """The oldest generation that any sidecar runs."""
    return Query(expr=f"min by ({names.POLICY}) ({names.CONFIG_GENERATION})")


def sidecars_scraped() -> Query:
    """How many sidecars Prometheus sees."""
    return Query(expr=f"count by ({names.POLICY}) ({names.CONFIG_GENERATION})")


def last_scrape_s() -> Query:
    """Unix time of the newest scrape of any sidecar."""
    return Query(expr=f"max by ({names.POLICY}) (timestamp({names.CONFIG_GENERATION}))")


def credential_missing() -> Query:
    """1 for each provider whose key some sidecar lacks."""
    return Query(
        expr=f"max by ({names.POLICY}, provider) ({names.CREDENTIAL_MISSING})", by="provider"
    )
