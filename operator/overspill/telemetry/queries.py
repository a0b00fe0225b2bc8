"""One PromQL query a signal, for all policies at once.

Each answers one sample a policy (and a second label where said). A policy that is not in the
answer is *missing*, never zero. Those that end in `_of` are for one policy: a range of time has
too many samples to ask for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from overspill.telemetry import names
from overspill.telemetry.promql import POLICY_ONLY, Match, View, among, equal

NO_ROOM: Final = ("SlotsFull", "FirstTokenDeadline")
"""Reasons of routing decisions that say: the small tier has no room."""
_SMALL: Final = equal("tier", "small")
_ELIGIBLE: Final = equal("eligible", "true")
_NOW: Final = View(window="")
"""Gauges need none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A PromQL expression and the label that tells its samples apart below a policy."""

    expr: str
    by: str | None = None


def _over(window_s: int, policy: str | None = None) -> View:
    return View(
        window=f"{window_s}s", policies=None if policy is None else equal(names.POLICY, policy)
    )


def _rate(metric: str, window_s: int, *matches: Match, by: str | None = None) -> Query:
    labels = POLICY_ONLY if by is None else (names.POLICY, by)
    return Query(expr=_over(window_s).rate(metric, *matches, by=labels), by=by)


def work_tokens_per_s(window_s: int) -> Query:
    """Work offered to the small tier, spilled and shed work included."""
    return _rate(names.WORK_TOKENS, window_s)


def frontier_equivalent_usd_per_s(window_s: int) -> Query:
    """What that same work costs per second at the first rung it would spill to."""
    return _rate(names.FRONTIER_EQUIVALENT_USD, window_s, _ELIGIBLE)


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
    return _over(window_s, policy).rate(names.WORK_TOKENS)


def frontier_equivalent_usd_per_s_of(policy: str, window_s: int) -> str:
    """Return one policy's `frontier_equivalent_usd_per_s`, over a range of time."""
    return _over(window_s, policy).rate(names.FRONTIER_EQUIVALENT_USD, _ELIGIBLE)


def small_output_tokens_per_s(window_s: int) -> Query:
    """Output of the small tier, counted when a request ends."""
    return _rate(names.OUTPUT_TOKENS, window_s, _SMALL)


def small_input_tokens_per_s(window_s: int) -> Query:
    """Input of the small tier, counted when a request ends."""
    return _rate(names.INPUT_TOKENS, window_s, _SMALL)


def small_occupancy(window_s: int) -> Query:
    """Mean share of the small tier's slots that were taken; absent where it has none."""
    taken = _NOW.now(names.IN_FLIGHT, _SMALL, how="sum")
    slots = _NOW.now(names.SMALL_SLOTS, how="sum")
    step_s = max(1, window_s // 4)
    return Query(expr=f"avg_over_time(({taken} / {slots})[{window_s}s:{step_s}s])")


def no_room_per_s(window_s: int) -> Query:
    """Requests that left the small tier, or waited there, for want of room."""
    turned_away = _rate(names.DECISIONS, window_s, among("reason", *NO_ROOM))
    waited = _over(window_s).rate_of_count(names.QUEUE_WAIT_SECONDS, by=POLICY_ONLY)
    return Query(expr=f"{turned_away.expr} + {waited}")


def requests_per_s(window_s: int) -> Query:
    """Finished requests by tier."""
    return _rate(names.REQUESTS, window_s, by="tier")


def spend_usd(period_s: int) -> Query:
    """Dollars paid since `period_s` seconds ago."""
    return Query(expr=_over(period_s).increase(names.SPEND_USD, by=POLICY_ONLY))


def config_generation() -> Query:
    """The oldest generation that any sidecar runs."""
    return Query(expr=_NOW.now(names.CONFIG_GENERATION, how="min"))


def sidecars_scraped() -> Query:
    """How many sidecars Prometheus sees."""
    return Query(expr=_NOW.now(names.CONFIG_GENERATION, how="count"))


def last_scrape_s() -> Query:
    """Unix time of the newest scrape of any sidecar."""
    return Query(expr=f"max by ({names.POLICY}) (timestamp({names.CONFIG_GENERATION}))")


def credential_missing() -> Query:
    """1 for each provider whose key some sidecar lacks."""
    by = "provider"
    return Query(expr=_NOW.now(names.CREDENTIAL_MISSING, by=(names.POLICY, by)), by=by)
