"""The HPA's rates and windows, held against Kubernetes' own tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.simulate.peers.behavior import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    Behavior,
    Change,
    Policy,
    Recommendation,
    Rules,
    Select,
    Unit,
    down_limit,
    limit_by_rules,
    limit_plainly,
    stabilise_by_windows,
    stabilise_plainly,
    up_limit,
)
from tests.simulate.peers.tables import cases, table

if TYPE_CHECKING:
    from tests.simulate.peers.tables import Case

EVERY = settings(max_examples=300, deadline=None, derandomize=True)
NOW_S = 10_000.0


def rules_of(given_rules: Any, default: Rules) -> Rules:  # noqa: ANN401 - any JSON value
    if given_rules == "default":
        return default
    return Rules(
        policies=tuple(
            Policy(unit=Unit(p["type"]), value=p["value"], period_s=p["period_s"])
            for p in given_rules["policies"]
        ),
        select=Select(given_rules["select_policy"]),
        window_s=given_rules["stabilization_window_s"],
    )


def changes_of(events: list[dict[str, int]]) -> list[Change]:
    return [Change(event["change"], NOW_S - event["age_s"]) for event in events]


def log_of(case: Case) -> list[Recommendation]:
    return [Recommendation(r["replicas"], NOW_S - r["age_s"]) for r in case["recommendations"]]


@pytest.mark.parametrize("case", cases("hpa", "scaling_with_rules", 19))
def test_policies_limit_a_change(case: Case) -> None:
    behavior = Behavior(
        up=rules_of(case["scale_up_rules"], DEFAULT_UP),
        down=rules_of(case["scale_down_rules"], DEFAULT_DOWN),
    )
    changes = (changes_of(case["scale_up_events"]), changes_of(case["scale_down_events"]))
    bounds = (case["min"], case["max"])
    found = limit_by_rules(
        behavior, bounds, case["current_replicas"], case["desired"], changes, NOW_S
    )
    assert found == (case["expected"], case["expected_reason"])


@pytest.mark.parametrize("case", cases("hpa", "convert_with_rules", 1))
def test_without_a_behavior_growing_has_one_limit(case: Case) -> None:
    found = limit_plainly((case["min"], case["max"]), case["current_replicas"], case["desired"])
    assert found == (case["expected"], case["expected_reason"])


@pytest.mark.parametrize("case", cases("hpa", "stabilize_legacy", 4))
def test_without_a_behavior_shrinking_has_one_window(case: Case) -> None:
    log = log_of(case)
    assert stabilise_plainly(log, case["window_s"], case["desired"], NOW_S) == case["expected"]
    assert len(log) == case["expected_log_len"]


@pytest.mark.parametrize("case", cases("hpa", "stabilize_with_behavior", 7))
def test_windows_delay_both_directions(case: Case) -> None:
    log, windows_s = log_of(case), (case["up_window_s"], case["down_window_s"])
    found = stabilise_by_windows(log, windows_s, case["current_replicas"], case["desired"], NOW_S)
    assert found == case["expected"]
    stored = case["expected_stored_recommendations"]
    assert stored is None or [entry.replicas for entry in log] == stored


def test_the_table_has_no_raw_limits_so_these_are_ours() -> None:
    assert table("hpa")["scale_limits"] == []


@pytest.mark.parametrize(
    ("select", "up", "down"),
    [
        pytest.param(Select.MAX, 20, 5, id="the largest change"),
        pytest.param(Select.MIN, 13, 7, id="the smallest change"),
        pytest.param(Select.DISABLED, 10, 10, id="none"),
    ],
)
def test_one_of_several_policies_is_selected(select: Select, up: int, down: int) -> None:
    def rules(percent: int) -> Rules:
        pods = Policy(unit=Unit.PODS, value=3, period_s=60)
        share = Policy(unit=Unit.PERCENT, value=percent, period_s=60)
        return Rules(policies=(pods, share), select=select)

    assert up_limit(rules(100), 10, [], [], NOW_S) == up
    assert down_limit(rules(50), 10, [], [], NOW_S) == down


@EVERY
@given(st.integers(1, 500), st.integers(0, 1000), st.integers(1, 5), st.integers(5, 1000))
def test_defaults_at_their_period_double_or_add_four_and_shrink_at_once(
    current: int, wanted: int, low: int, high: int
) -> None:
    current = min(max(current, low), high)
    earlier = [Change(7, NOW_S - 15.0)]  # one sync ago: its period is over
    found = limit_by_rules(
        Behavior(), (low, high), current, wanted, (earlier, earlier), NOW_S
    ).replicas
    assert found == min(max(wanted, low), high, max(2 * current, current + 4))
