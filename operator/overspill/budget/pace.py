"""Spreading a budget over its period: not broke at noon, and the most valuable requests first.

What will be asked of the frontier until the period ends is forecast by the hour of the week. From
it follows a price of admission, as airlines set it for seats: the value from which on requests are
worth the frontier, such that all those still to come can be paid. So a burst of what is worth much
goes through at once, and what is worth less waits for no better hour but tries the small tier. A
forecast that is wrong shifts money by hours and never past the limit, which is the ledger's
business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from math import exp
from operator import mul
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from overspill.budget.period import Period

HOURS: Final = 168
DAY: Final = 24
_HOUR_S: Final = 3600.0
REMEMBERED_S: Final = 3 * _HOUR_S
"""Of one hour of the week: it is a mean over about three weeks."""
RECENT_S: Final = _HOUR_S
"""By how much the forecast is off is told from about so long."""
TELLING_PART: Final = 0.5
"""Of what an average hour asks for: less is forecast of quiet hours."""

Rates = tuple[float, ...]
"""Micro-dollars per second, or per hour: of requests by class of value, the least first, and at
last of what has to be paid whatever its value, the overflow of the small tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What was asked of the frontier, by hour of the local week, Monday's first hour first."""

    usd_micros_per_h: tuple[tuple[int, ...], ...]
    """A row for each class, as in `Rates`."""
    seen_s: tuple[int, ...]
    """How much each mean rests on; 0 for an hour that was never seen, which is not zero demand."""
    recent_asked: float = 0.0
    recent_forecast: float = 0.0
    """What was asked for of late, and what had been forecast: today may be busier than others."""

    @property
    def level(self) -> float:
        """How many times the forecast is asked for of late; 1 where nobody knows.

        A quiet hour foretells no busy one: many times next to nothing says little of the day, so
        that more than the forecast counts only where it is much beside an average hour.
        """
        asked, forecast = self.recent_asked, self.recent_forecast
        if forecast <= 0 or asked <= forecast:
            return asked / forecast if forecast > 0 else 1.0
        hours = (self.forecast(row) for row in range(len(self.usd_micros_per_h)))
        average = sum(sum(hour) for hour in hours) / HOURS
        return max(1.0, asked / max(forecast, TELLING_PART * average))

    @classmethod
    def unknown(cls, classes: int) -> Pattern:
        """Know nothing."""
        return cls(usd_micros_per_h=((0,) * HOURS,) * classes, seen_s=(0,) * HOURS)

    def forecast(self, row: int) -> list[float]:
        """Return micro-dollars per hour for each hour of the week.

        An hour that was never seen is like the same hour of other days, else like all hours.
        """
        told, seen = self.usd_micros_per_h[row], self.seen_s
        always = _mean([one for one, s in zip(told, seen, strict=True) if s], 0.0)
        daily = [
            _mean([told[hour] for hour in range(of, HOURS, DAY) if seen[hour]], always)
            for of in range(DAY)
        ]
        return [told[hour] if seen[hour] else daily[hour % DAY] for hour in range(HOURS)]

    def knows(self, hours: Sequence[float]) -> bool:
        """Whether these hours were seen on some day; `hours` has a weight for each of the week."""
        known = {hour % DAY for hour in range(HOURS) if self.seen_s[hour]}
        return all(hour % DAY in known for hour in range(HOURS) if hours[hour])


def observed(
    before: Pattern, zone: tzinfo, now_s: float, asked: Rates, elapsed_s: float
) -> Pattern:
    """Take in what was asked for per second during the last `elapsed_s`."""
    hour = _hour_of_week(zone, now_s)
    seen_s = min(REMEMBERED_S, before.seen_s[hour] + elapsed_s)
    if not seen_s:
        return before
    part = min(1.0, elapsed_s / seen_s)
    forecast = sum(before.forecast(row)[hour] for row in range(len(asked)))
    kept = exp(-elapsed_s / RECENT_S)
    rows = (
        _with(row, hour, round(row[hour] + (rate * _HOUR_S - row[hour]) * part))
        for row, rate in zip(before.usd_micros_per_h, asked, strict=True)
    )
    return replace(
        before,
        usd_micros_per_h=tuple(rows),
        seen_s=_with(before.seen_s, hour, round(seen_s)),
        recent_asked=before.recent_asked * kept + (sum(asked) * elapsed_s if forecast else 0.0),
        recent_forecast=before.recent_forecast * kept + forecast / _HOUR_S * elapsed_s,
    )


def admit_from(
    pattern: Pattern, asked: Rates, period: Period, zone: tzinfo, now_s: float, left: int
) -> float:
    """Return the value, 0..1, from which requests are worth the frontier now.

    `left` are micro-dollars. While hours are to come that no day has shown yet, no more is spent
    than an even share of them.
    """
    ends_in_s = period.end_s - now_s
    if left <= 0 or ends_in_s <= 0:
        return 1.0
    hours, level = _hours_to_come(zone, now_s, ends_in_s), pattern.level
    *to_come, overflow = (
        level * sum(map(mul, hours, pattern.forecast(row))) for row in range(len(asked))
    )
    value = value_of_the_last(to_come, left - overflow)
    if pattern.knows(hours):
        return value
    *now, overflow_now = asked
    return max(value, value_of_the_last(now, left / ends_in_s - overflow_now))


def value_of_the_last(asked: Sequence[float], affordable: float) -> float:
    """Return the value, 0..1, from which on all that is asked can be afforded.

    `asked` is by class, the least first; a class of n takes 1/n of the values, evenly. 0 where
    everything can be afforded, 1 where nothing can.
    """
    left, classes = affordable, len(asked)
    for index in reversed(range(classes)):
        if asked[index] > left:
            part = max(0.0, left) / asked[index] if asked[index] else 0.0
            return (index + 1 - part) / classes
        left -= asked[index]
    return 0.0


def _hour_of_week(zone: tzinfo, at_s: float) -> int:
    local = datetime.fromtimestamp(at_s, zone)
    return local.weekday() * DAY + local.hour


def _hours_to_come(zone: tzinfo, from_s: float, length_s: float) -> list[float]:
    """Return how often each hour of the week is to come, in hours.

    A change of the clocks on the way is not minded: a forecast is off by an hour then.
    """
    hour = _hour_of_week(zone, from_s)
    weeks, left = divmod(length_s / _HOUR_S, HOURS)
    hours = [float(weeks)] * HOURS
    local = datetime.fromtimestamp(from_s, zone)
    rest = 1 - (local.minute * 60 + local.second + local.microsecond / 1e6) / _HOUR_S
    while left > 0:
        hours[hour] += min(rest, left)
        left, rest, hour = left - rest, 1.0, (hour + 1) % HOURS
    return hours


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _with(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    return (*values[:index], value, *values[index + 1 :])
