"""Spreading a budget: what Prometheus shows becomes the value by which leases are lent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from overspill.api.policy import Budget
from overspill.budget import BudgetState
from overspill.budget.pace import HOURS
from overspill.budget.period import current_period
from overspill.controller.pacing import (
    Pace,
    asked_of,
    held_back,
    paced,
    pacing_status,
    recalled,
    saved_admit_from,
)
from tests.controller.fakes import KEY, START_S, Stage
from tests.controller.test_conditions import snapshot

if TYPE_CHECKING:
    from overspill.controller.snapshot import Snapshot

DAY_S = 86_400
SMOOTH = Budget.model_validate({"limit": "864", "pacing": "Smooth"})
"""0.01 USD a second, all through a day."""
MIDNIGHT_S = START_S - START_S % DAY_S
ASKED = (0.01, 0.01, 0.01, 0.0)
"""Of low, normal and high priority, three times what is affordable; and no overflow."""


def state(spent: str | None = "0") -> BudgetState:
    period = current_period(SMOOTH, MIDNIGHT_S)
    usd = None if spent is None else Decimal(spent)
    return BudgetState(period=period, limit_usd=SMOOTH.limit, spent_usd=usd)


def pace(before: Pace | None = None, **changes: Any) -> Pace | None:  # noqa: ANN401
    facts: dict[str, Any] = {
        "budget": SMOOTH,
        "state": state(),
        "asked_usd_per_s": ASKED,
        "now_s": MIDNIGHT_S,
        "at_most_s": 30.0,
    }
    return paced(before, **(facts | changes))


def value(**changes: Any) -> float:  # noqa: ANN401
    found = pace(**changes)
    assert found
    return found.admit_from


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, 2 / 3, id="a third is affordable: high priority alone"),
        pytest.param({"asked_usd_per_s": (0.001, 0.001, 0.001, 0.0)}, 0.0, id="all is affordable"),
        pytest.param({"asked_usd_per_s": (*ASKED[:3], 0.005)}, 5 / 6, id="overflow comes first"),
        pytest.param({"asked_usd_per_s": (*ASKED[:3], 0.02)}, 1.0, id="overflow takes all"),
        pytest.param({"state": state("864")}, 1.0, id="all is spent"),
        pytest.param({"state": state("900")}, 1.0, id="more is spent than a lowered limit"),
        pytest.param({"now_s": MIDNIGHT_S + DAY_S / 2}, 1 / 3, id="half a day saved up"),
    ],
)
def test_the_value_follows_from_what_is_left(changes: dict[str, Any], expected: float) -> None:
    assert value(**changes) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"budget": None}, id="no budget"),
        pytest.param({"budget": SMOOTH.model_copy(update={"pacing": "Greedy"})}, id="greedy"),
        pytest.param({"state": None}, id="no state of it"),
    ],
)
def test_a_budget_that_is_not_spread_has_no_pace(changes: dict[str, Any]) -> None:
    assert pace(pace(), **changes) is None


@pytest.mark.parametrize(
    "changes", [{"asked_usd_per_s": None}, {"state": state(None)}], ids=["demand", "spend"]
)
def test_what_is_not_known_changes_nothing(changes: dict[str, Any]) -> None:
    before = pace()
    assert pace(before, now_s=MIDNIGHT_S + 15, **changes) is before
    assert pace(None, **changes) is None


def test_the_pattern_learns_no_more_than_was_looked_at() -> None:
    first = pace()
    assert first
    assert sum(first.pattern.seen_s) == 0
    soon = pace(first, now_s=MIDNIGHT_S + 15)
    late = pace(first, now_s=MIDNIGHT_S + 600)
    assert soon
    assert late
    assert (sum(soon.pattern.seen_s), sum(late.pattern.seen_s)) == (15, 30)


def test_a_priority_that_prometheus_does_not_tell_of_is_missing_and_not_zero() -> None:
    name, usd = "legal/contracts", {"low": 0.1, "normal": 0.2}
    whole = {name: {**usd, "high": 0.3}}
    overflow = {name: 0.4}

    def told(asked: dict[str, dict[str, float]], overflow: dict[str, float]) -> Snapshot:
        return snapshot(frontier_asked_usd_per_s=asked, overflow_usd_per_s=overflow)

    assert asked_of(told({name: usd}, overflow), name) is None
    assert asked_of(told(whole, {}), name) is None
    assert asked_of(told(whole, overflow), name) == (0.1, 0.2, 0.3, 0.4)
    assert asked_of(told(whole, overflow), "another/policy") is None


# -- keeping it
def test_a_pace_outlives_the_process() -> None:
    before = pace(pace(), now_s=MIDNIGHT_S + 15)
    assert before
    written = pacing_status(None, before, MIDNIGHT_S + 15)
    found = recalled(written, MIDNIGHT_S + 99)
    assert found
    assert found.pattern == before.pattern
    assert found.admit_from == pytest.approx(before.admit_from, abs=0.001)


@pytest.mark.parametrize(
    "changes",
    [
        {"usdMicrosPerHour": ["1" + " 1" * (HOURS - 1)] * 3},
        {"usdMicrosPerHour": ["1" + " 1" * (HOURS - 2)] * 4},
        {"seenSeconds": "-1" + " 1" * (HOURS - 1)},
        {"version": 2},
        {"admitFrom": 1.5},
        {"admitFrom": "high"},
        {"surprise": 1},
    ],
    ids=[
        "a row short",
        "an hour short",
        "a sign",
        "of another version",
        "above one",
        "a word",
        "more",
    ],
)
def test_what_no_operator_wrote_is_not_read(changes: dict[str, object]) -> None:
    written = pacing_status(None, pace(), MIDNIGHT_S)
    assert written
    assert recalled(written | changes, MIDNIGHT_S) is None


def test_a_status_is_written_when_it_says_something_new() -> None:
    first = pace()
    assert first
    written = pacing_status(None, first, MIDNIGHT_S)

    def rewritten(value: float, after_s: float = 15) -> bool:
        now = pacing_status(written, replace(first, admit_from=value), MIDNIGHT_S + after_s)
        return now is not written

    assert not rewritten(0.67)
    assert rewritten(0.70)
    assert rewritten(0.0)
    assert rewritten(0.67, after_s=600)
    assert pacing_status(written, None, MIDNIGHT_S) is None


def test_a_value_that_is_written_as_nothing_is_not_written_again_at_each_look() -> None:
    first = pace()
    assert first
    next_to_nothing = replace(first, admit_from=0.0004)
    written = pacing_status(None, next_to_nothing, MIDNIGHT_S)
    assert pacing_status(written, next_to_nothing, MIDNIGHT_S + 15) == written


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, 0.0),
        ({"pacing": {"admitFrom": 0.4}}, 0.4),
        ({"pacing": {"admitFrom": 1}}, 1.0),
        ({"pacing": {"admitFrom": 7}}, 0.0),
        ({"pacing": {"admitFrom": "0.4"}}, 0.0),
        ({"pacing": None}, 0.0),
    ],
    ids=repr,
)
def test_leases_are_lent_by_what_the_status_says(status: dict[str, Any], expected: float) -> None:
    assert saved_admit_from(SMOOTH, status) == expected
    greedy = Budget.model_validate({"limit": "864"})
    assert saved_admit_from(greedy, status) == 0.0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, ""),
        (0.001, "1% of low priority"),
        (1 / 3, "all of low priority"),
        (0.5, "all of low priority, 50% of normal priority"),
        (1.0, "all of low priority, all of normal priority, all of high priority"),
    ],
)
def test_a_person_reads_who_is_held_back(value: float, words: str) -> None:
    assert held_back(value) == words


# -- the whole look
@pytest.mark.asyncio
async def test_a_policy_that_spreads_its_budget_says_so() -> None:
    stage = Stage()
    stage.cluster.edit(budget={"limit": "500", "pacing": "Smooth"})
    name = str(KEY)
    asked = {name: {"low": 0.1, "normal": 0.1, "high": 0.1}}
    stage.observe(frontier_asked_usd_per_s=asked, overflow_usd_per_s={name: 0.0})
    await stage.look()
    status = stage.cluster.status()
    assert 0.9 < status["pacing"]["admitFrom"] < 1.0
    told = stage.cluster.condition("BudgetAvailable")["message"]
    assert "to last the period, all of low priority, all of normal priority" in told

    stage.restart()  # another process goes on, and where it sees nothing it changes nothing
    stage.observe()
    written = len(stage.cluster.writes)
    await stage.look(after_s=15)
    assert stage.cluster.status()["pacing"] == status["pacing"]
    assert "scale" not in " ".join(stage.cluster.writes[written:])

    stage.cluster.edit(generation=3, budget={"limit": "500"})
    await stage.look(after_s=15)
    assert "pacing" not in stage.cluster.status()
