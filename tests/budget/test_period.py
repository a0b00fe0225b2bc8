"""Periods tile time, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.api.policy import BudgetPeriod
from overspill.budget import Period, period_at

ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]
HOUR_S = 3600.0

kinds = st.sampled_from(BudgetPeriod)
zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.floats(min_value=0.0, max_value=4e9, allow_nan=False)


@given(kinds, zones, moments)
def test_every_moment_is_in_its_own_period(
    kind: BudgetPeriod, zone: ZoneInfo, now_s: float
) -> None:
    period = period_at(kind, zone, now_s)
    assert period.start_s <= now_s < period.end_s


@given(kinds, zones, moments)
def test_the_next_period_starts_where_this_one_ends(
    kind: BudgetPeriod, zone: ZoneInfo, now_s: float
) -> None:
    period = period_at(kind, zone, now_s)
    assert period_at(kind, zone, period.end_s).start_s == period.end_s
    assert period_at(kind, zone, period.start_s) == period


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


HOURS = [
    pytest.param("Day", "Europe/Berlin", "2026-03-29T12:00+02:00", 23, id="spring forward"),
    pytest.param("Day", "Europe/Berlin", "2026-10-25T12:00+01:00", 25, id="fall back"),
    pytest.param("Day", "Europe/Berlin", "2026-06-01T12:00+02:00", 24, id="an ordinary day"),
    pytest.param("Day", "America/Sao_Paulo", "2018-11-04T12:00-02:00", 23, id="no midnight"),
    pytest.param("Day", "Australia/Lord_Howe", "2026-10-04T12:00+11:00", 23.5, id="half an hour"),
    pytest.param("Week", "Europe/Berlin", "2026-03-29T12:00+02:00", 7 * 24 - 1, id="short week"),
    pytest.param("Month", "UTC", "2028-02-10T00:00+00:00", 29 * 24, id="leap February"),
    pytest.param("Month", "UTC", "2026-12-31T23:59+00:00", 31 * 24, id="over the year's end"),
]


@pytest.mark.parametrize(("kind", "zone", "now", "hours"), HOURS)
def test_a_period_lasts_as_long_as_the_calendar_says(
    kind: str, zone: str, now: str, hours: float
) -> None:
    period = period_at(BudgetPeriod(kind), ZoneInfo(zone), at(now))
    assert (period.end_s - period.start_s) / HOUR_S == hours


def test_a_week_starts_on_monday() -> None:
    period = period_at(BudgetPeriod.WEEK, UTC, at("2026-11-22T23:59:59+00:00"))
    assert period == Period(
        start_s=at("2026-11-16T00:00+00:00"), end_s=at("2026-11-23T00:00+00:00")
    )
