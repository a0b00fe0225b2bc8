"""A budget lasts as long as its period, and goes to what is worth most."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.api.policy import BudgetPeriod
from overspill.budget.pace import (
    HOURS,
    Pattern,
    admit_from,
    affordable_usd_micros_per_s,
    observed,
)
from overspill.budget.period import period_at

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY_S = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
HOUR_S = 3600.0


def _office_hours() -> Pattern:
    busy = tuple(1_000_000 if 8 <= hour % 24 < 18 else 0 for hour in range(HOURS))
    return Pattern(usd_micros_per_h=busy, seen_s=(3600,) * HOURS)


def _at(hour: float) -> float:
    return MONDAY_S + hour * HOUR_S


def _affordable(pattern: Pattern, hour: float, left: int = 10_000_000) -> float:
    period = period_at(BudgetPeriod.DAY, UTC, _at(hour))
    return affordable_usd_micros_per_s(pattern, period, UTC, _at(hour), left) * HOUR_S


def test_without_experience_money_is_spread_evenly() -> None:
    assert _affordable(Pattern(), 0) == pytest.approx(10_000_000 / 24)
    assert _affordable(Pattern(), 12) == pytest.approx(10_000_000 / 12)


def test_money_is_kept_for_the_hours_in_which_it_is_asked_for() -> None:
    pattern = _office_hours()
    assert _affordable(pattern, 3) == 0
    assert _affordable(pattern, 8) == pytest.approx(1_000_000)
    assert _affordable(pattern, 13) == pytest.approx(2_000_000)


def test_after_the_busy_hours_what_is_left_is_spread_over_the_rest() -> None:
    assert _affordable(_office_hours(), 18) == pytest.approx(10_000_000 / 6)


@pytest.mark.parametrize("left", [0, -5])
def test_nothing_is_affordable_with_nothing_left(left: int) -> None:
    assert _affordable(_office_hours(), 9, left) == 0


def test_a_day_followed_by_the_forecast_is_spent_by_its_end() -> None:
    pattern, left = _office_hours(), 7_000_000.0
    for minute in range(24 * 60):
        left -= _affordable(pattern, minute / 60, int(left)) / 60
    assert left == pytest.approx(0, abs=0.02 * 7_000_000)


def test_an_hour_never_seen_is_taken_for_the_same_hour_of_other_days() -> None:
    pattern = observed(Pattern(), UTC, _at(9.5), 50.0, 900)
    assert pattern.forecast_usd_micros_per_h(9) == 50 * HOUR_S
    assert pattern.forecast_usd_micros_per_h(24 + 9) == 50 * HOUR_S
    assert pattern.forecast_usd_micros_per_h(3) == 50 * HOUR_S


def test_an_hour_is_a_mean_over_weeks_and_follows_a_change() -> None:
    pattern = Pattern()
    for week, rate in enumerate((100.0, 100.0, 100.0, 40.0, 40.0, 40.0, 40.0, 40.0, 40.0)):
        for minute in range(60):
            at_s = _at(9 + minute / 60) + week * 7 * 86_400
            pattern = observed(pattern, UTC, at_s, rate, 60.0)
        if week == 2:
            assert pattern.forecast_usd_micros_per_h(9) == pytest.approx(100 * HOUR_S)
    assert pattern.forecast_usd_micros_per_h(9) == pytest.approx(40 * HOUR_S, rel=0.3)


@pytest.mark.parametrize(
    ("asked", "affordable", "expected"),
    [
        pytest.param((1, 1, 1), 3, 0.0, id="all can be had"),
        pytest.param((1, 1, 1), 2, 1 / 3, id="all but the least"),
        pytest.param((1, 1, 1), 1.5, 1 / 2, id="half of the middle"),
        pytest.param((1, 1, 1), 1, 2 / 3, id="only the best"),
        pytest.param((1, 1, 1), 0, 1.0, id="nothing"),
        pytest.param((0, 8, 0), 2, 7 / 12, id="a quarter of the only class"),
        pytest.param((0, 0, 0), 0, 0.0, id="nothing is asked"),
    ],
)
def test_the_value_asked_for_is_what_makes_ends_meet(
    asked: tuple[float, ...], affordable: float, expected: float
) -> None:
    assert admit_from(asked, affordable) == pytest.approx(expected)


@given(
    at_s=st.floats(min_value=0, max_value=4e9),
    left=st.integers(min_value=0, max_value=10**12),
    kind=st.sampled_from(BudgetPeriod),
)
def test_what_is_affordable_is_never_negative_and_any_hour_has_an_end(
    at_s: float, left: int, kind: BudgetPeriod
) -> None:
    period = period_at(kind, BERLIN, at_s)
    assert affordable_usd_micros_per_s(Pattern(), period, BERLIN, at_s, left) >= 0
