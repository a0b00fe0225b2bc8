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
    Rates,
    admit_from,
    observed,
    value_of_the_last,
)
from overspill.budget.period import period_at

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY_S = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
HOUR_S = 3600.0
NOBODY: Rates = (0.0, 0.0, 0.0, 0.0)


def office_hours(*usd_micros_per_h: int) -> Pattern:
    """Ten busy hours each day, and nothing in the others."""
    rows = tuple(
        tuple(rate if 8 <= hour % 24 < 18 else 0 for hour in range(HOURS))
        for rate in usd_micros_per_h
    )
    return Pattern(usd_micros_per_h=rows, seen_s=(3600,) * HOURS)


def at(hour: float) -> float:
    return MONDAY_S + hour * HOUR_S


def value(pattern: Pattern, hour: float, left: int, asked: Rates = NOBODY) -> float:
    period = period_at(BudgetPeriod.DAY, UTC, at(hour))
    return admit_from(pattern, asked, period, UTC, at(hour), left)


BUSY = office_hours(1_000, 1_000, 1_000, 0)
"""10,000 micro-dollars a day of each class."""


@pytest.mark.parametrize(
    ("hour", "left", "expected"),
    [
        pytest.param(0, 30_000, 0.0, id="all of the day can be paid"),
        pytest.param(0, 20_000, 1 / 3, id="all but the least"),
        pytest.param(0, 10_000, 2 / 3, id="the best alone"),
        pytest.param(0, 5_000, 5 / 6, id="half of the best"),
        pytest.param(13, 20_000, 0.0, id="money was saved until noon"),
        pytest.param(13, 5_000, 2 / 3, id="just enough for the best of the afternoon"),
        pytest.param(17.5, 1_000, 1 / 3, id="half an hour before the end"),
        pytest.param(20, 1, 0.0, id="nothing more is to come"),
        pytest.param(9, 0, 1.0, id="nothing is left"),
        pytest.param(9, -5, 1.0, id="less than nothing is left"),
        pytest.param(20, 0, 1.0, id="nothing is left, and nothing more was to come"),
    ],
)
def test_whoever_is_still_to_come_can_be_paid(hour: float, left: int, expected: float) -> None:
    assert value(BUSY, hour, left) == pytest.approx(expected)


@pytest.mark.parametrize("late_s", [0.0, 90.0])
def test_nothing_more_is_paid_from_a_period_that_is_over(late_s: float) -> None:
    period = period_at(BudgetPeriod.DAY, UTC, at(9))
    assert admit_from(BUSY, NOBODY, period, UTC, period.end_s + late_s, 30_000) == 1.0


def test_overflow_is_paid_first() -> None:
    assert value(office_hours(1_000, 1_000, 1_000, 1_000), 0, 20_000) == pytest.approx(2 / 3)


def test_a_burst_of_what_is_worth_most_goes_through_at_once() -> None:
    burst = (0.0, 0.0, 1e9, 0.0)
    assert value(BUSY, 9, 20_000, burst) == value(BUSY, 9, 20_000)


def test_a_busier_day_than_others_is_foreseen_to_stay_so() -> None:
    twice = (2_000 / 3600,) * 3
    pattern = BUSY
    for minute in range(60):
        pattern = observed(pattern, UTC, at(8 + minute / 60), (*twice, 0.0), 60)
    assert pattern.level == pytest.approx(2, rel=0.3)
    assert value(pattern, 9, 18_000) > value(BUSY, 9, 18_000)


def test_a_quieter_day_than_others_is_foreseen_to_stay_so() -> None:
    half = (500 / 3600,) * 3
    pattern = BUSY
    for minute in range(60):
        pattern = observed(pattern, UTC, at(8 + minute / 60), (*half, 0.0), 60)
    assert pattern.level == pytest.approx(1 / 2, rel=0.3)
    assert value(pattern, 9, 18_000) < value(BUSY, 9, 18_000)


def test_no_time_tells_nothing() -> None:
    pattern = Pattern.unknown(1)
    assert observed(pattern, UTC, at(9), (50.0,), 0.0) == pattern


@pytest.mark.parametrize("night", [0, 1, 100])
def test_a_burst_in_a_quiet_night_does_not_foretell_a_day_of_bursts(night: int) -> None:
    """It asks for thousands of times the forecast, and for a tenth of what an hour of day does."""
    hours = tuple(1_000_000 if 8 <= hour % 24 < 18 else night for hour in range(HOURS))
    rows = (hours, hours, hours, (0,) * HOURS)
    pattern = Pattern(usd_micros_per_h=rows, seen_s=(3 * 3600,) * HOURS)
    burst = (0.0, 0.0, 1_000.0, 0.0)
    for quarter in range(4 * 5):
        pattern = observed(pattern, UTC, at(3 + quarter / 240), burst, 15)
        assert value(pattern, 3 + quarter / 240, 31_000_000, burst) == 0.0


# -- without experience
def test_without_experience_no_more_is_spent_than_an_even_share() -> None:
    pattern = Pattern.unknown(4)
    even = 24_000 / (24 * HOUR_S)
    assert value(pattern, 0, 24_000, (even, even, even, 0.0)) == pytest.approx(2 / 3)
    assert value(pattern, 12, 24_000, (even, even, even, 0.0)) == pytest.approx(1 / 3)
    assert value(pattern, 0, 24_000, (0.0, 0.0, even, even)) == pytest.approx(1.0)


def test_one_day_is_experience_for_every_other() -> None:
    pattern = Pattern.unknown(4)
    for quarter in range(24 * 4):
        pattern = observed(pattern, UTC, at(quarter / 4), (1.0, 1.0, 1.0, 0.0), 900)
        assert pattern.knows((1.0,) * HOURS) is (quarter >= 23 * 4)
    assert pattern.forecast(0) == [HOUR_S] * HOURS


def test_an_hour_never_seen_is_taken_for_the_same_hour_of_other_days() -> None:
    pattern = observed(Pattern.unknown(1), UTC, at(9.5), (50.0,), 900)
    pattern = observed(pattern, UTC, at(10.5), (10.0,), 900)
    forecast = pattern.forecast(0)
    assert forecast[9] == forecast[24 + 9] == 50 * HOUR_S
    assert forecast[24 + 10] == 10 * HOUR_S
    assert forecast[3] == 30 * HOUR_S


def test_an_hour_is_a_mean_over_weeks_and_follows_a_change() -> None:
    pattern = Pattern.unknown(1)
    for week, rate in enumerate((100.0, 100.0, 100.0, 40.0, 40.0, 40.0, 40.0, 40.0, 40.0)):
        for minute in range(60):
            at_s = at(9 + minute / 60) + week * 7 * 86_400
            pattern = observed(pattern, UTC, at_s, (rate,), 60.0)
        if week == 2:
            assert pattern.forecast(0)[9] == pytest.approx(100 * HOUR_S)
    assert pattern.forecast(0)[9] == pytest.approx(40 * HOUR_S, rel=0.3)


@pytest.mark.parametrize(
    ("asked", "affordable", "expected"),
    [
        pytest.param((1, 1, 1), 3, 0.0, id="all can be had"),
        pytest.param((1, 1, 1), 2, 1 / 3, id="all but the least"),
        pytest.param((1, 1, 1), 1.5, 1 / 2, id="half of the middle"),
        pytest.param((1, 1, 1), 1, 2 / 3, id="only the best"),
        pytest.param((1, 1, 1), 0, 1.0, id="nothing"),
        pytest.param((1, 1, 1), -1, 1.0, id="less than nothing"),
        pytest.param((0, 8, 0), 2, 7 / 12, id="a quarter of the only class"),
        pytest.param((0, 0, 0), 0, 0.0, id="nothing is asked"),
    ],
)
def test_the_value_asked_for_is_what_makes_ends_meet(
    asked: tuple[float, ...], affordable: float, expected: float
) -> None:
    assert value_of_the_last(asked, affordable) == pytest.approx(expected)


@given(
    at_s=st.floats(min_value=0, max_value=4e9),
    left=st.integers(min_value=-(10**12), max_value=10**12),
    kind=st.sampled_from(BudgetPeriod),
    asked=st.tuples(*[st.floats(min_value=0, max_value=1e9)] * 4),
    known=st.booleans(),
)
def test_a_value_is_always_within_its_bounds(
    at_s: float, left: int, kind: BudgetPeriod, asked: Rates, known: bool
) -> None:
    period = period_at(kind, BERLIN, at_s)
    pattern = observed(BUSY if known else Pattern.unknown(4), BERLIN, at_s, asked, 30.0)
    assert 0 <= admit_from(pattern, asked, period, BERLIN, at_s, left) <= 1
