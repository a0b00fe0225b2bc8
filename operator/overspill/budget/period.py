"""Calendar periods of a budget: a day, a week or a month as people in one time zone see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from overspill.api.policy import BudgetPeriod

if TYPE_CHECKING:
    from datetime import tzinfo

    from overspill.api.policy import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A half-open stretch of Unix time: `start_s` is in it, `end_s` is in the next one."""

    start_s: float
    end_s: float


def period_at(kind: BudgetPeriod, zone: tzinfo, now_s: float) -> Period:
    """Return the calendar period that holds `now_s`. A day with a clock change has 23 or 25 hours.

    A week starts on Monday, as in ISO 8601.
    """
    today = datetime.fromtimestamp(now_s, zone).date()
    first = _first_day(kind, today)
    return Period(start_s=_midnight(first, zone), end_s=_midnight(_next_first(kind, first), zone))


def current_period(budget: Budget, now_s: float) -> Period:
    """Return the budget's period that holds now."""
    return period_at(budget.period, ZoneInfo(budget.time_zone), now_s)


def _first_day(kind: BudgetPeriod, day: date) -> date:
    if kind is BudgetPeriod.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if kind is BudgetPeriod.MONTH else day


def _next_first(kind: BudgetPeriod, first: date) -> date:
    if kind is BudgetPeriod.MONTH:
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if kind is BudgetPeriod.WEEK else 1)


def _midnight(day: date, zone: tzinfo) -> float:
    """Return the first instant of a local day.

    Where a clock change skips midnight, `fold=0` reads it with the offset from before the change,
    which is the instant of the change itself. Where midnight comes twice, the first one counts.
    """
    return datetime(day.year, day.month, day.day, tzinfo=zone, fold=0).timestamp()
