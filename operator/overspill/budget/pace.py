"""Spreading a budget over its period: not broke at noon, and the most valuable requests first.

What is left is spent in proportion to what is forecast to be asked for from now on, by the hour of
the week. Where more is asked than that affords, a value decides: requests beneath it go to the
small tier first. So a forecast that is wrong shifts money by hours and never past the limit, which
is the ledger's business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from overspill.budget.period import Period

HOURS: Final = 168
DAY: Final = 24
_HOUR_S: Final = 3600.0
REMEMBERED_S: Final = 3 * _HOUR_S
"""Of one hour of the week: it is a mean over about three weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What was asked of the frontier, by hour of the local week, Monday's first hour first."""

    usd_micros_per_h: tuple[int, ...] = (0,) * HOURS
    seen_s: tuple[int, ...] = (0,) * HOURS
    """How much each mean rests on; 0 for an hour that was never seen, which is not zero demand."""

    def forecast_usd_micros_per_h(self, hour: int) -> float:
        """Return an hour's mean, else that of the same hour on other days, else of all hours.

        1 where nothing was ever seen: every hour is like every other.
        """
        for hours in ((hour,), range(hour % DAY, HOURS, DAY), range(HOURS)):
            seen = [one for one in hours if self.seen_s[one]]
            if seen:
                return sum(self.usd_micros_per_h[one] for one in seen) / len(seen)
        return 1.0


def observed(
    before: Pattern, zone: tzinfo, now_s: float, asked_usd_micros_per_s: float, elapsed_s: float
) -> Pattern:
    """Take in what was asked for during the last `elapsed_s`."""
    hour = _hour_of_week(zone, now_s)
    seen_s = min(REMEMBERED_S, before.seen_s[hour] + elapsed_s)
    mean = before.usd_micros_per_h[hour]
    fresh = asked_usd_micros_per_s * _HOUR_S
    mean = round(mean + (fresh - mean) * min(1.0, elapsed_s / seen_s)) if seen_s else mean
    return replace(
        before,
        usd_micros_per_h=_with(before.usd_micros_per_h, hour, mean),
        seen_s=_with(before.seen_s, hour, round(seen_s)),
    )


def affordable_usd_micros_per_s(
    pattern: Pattern, period: Period, zone: tzinfo, now_s: float, left_usd_micros: int
) -> float:
    """Return what may be spent per second now so that what is left lasts as demand is forecast."""
    now = pattern.forecast_usd_micros_per_h(_hour_of_week(zone, now_s))
    to_come = sum(
        seconds / _HOUR_S * pattern.forecast_usd_micros_per_h(hour)
        for hour, seconds in _hours(zone, now_s, period.end_s)
    )
    if left_usd_micros <= 0 or period.end_s <= now_s:
        return 0.0
    if to_come <= 0:  # nothing is forecast: whoever comes may have an even share
        return left_usd_micros / (period.end_s - now_s)
    return left_usd_micros * now / to_come / _HOUR_S


def admit_from(
    asked_usd_micros_per_s: Sequence[float], affordable_usd_micros_per_s: float
) -> float:
    """Return the value, 0..1, from which requests are worth the frontier now.

    `asked` is by class of value, the least first; a class of n takes 1/n of the values, evenly. 0
    where everything can be afforded, 1 where nothing can.
    """
    left, classes = affordable_usd_micros_per_s, len(asked_usd_micros_per_s)
    for index in reversed(range(classes)):
        asked = asked_usd_micros_per_s[index]
        if asked > left:
            return (index + 1 - max(0.0, left) / asked) / classes
        left -= asked
    return 0.0


def _hour_of_week(zone: tzinfo, at_s: float) -> int:
    local = datetime.fromtimestamp(at_s, zone)
    return local.weekday() * DAY + local.hour


def _hours(zone: tzinfo, from_s: float, to_s: float) -> Iterator[tuple[int, float]]:
    """Yield each hour of the week in a stretch of time, and the seconds of it."""
    while from_s < to_s:
        local = datetime.fromtimestamp(from_s, zone)
        rest_s = _HOUR_S - local.minute * 60 - local.second - local.microsecond / 1e6
        end_s = min(to_s, from_s + max(rest_s, 1.0))
        yield local.weekday() * DAY + local.hour, end_s - from_s
        from_s = end_s


def _with(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    return (*values[:index], value, *values[index + 1 :])
