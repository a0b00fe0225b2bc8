"""Spreading a budget over its period: from what Prometheus saw to what leases are lent by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from overspill.api.policy import Pacing
from overspill.api.status import PacingState
from overspill.budget.money import MICROS, usd_micros
from overspill.budget.pace import HOURS, Pattern, admit_from, observed
from overspill.controller.times import timestamp
from overspill.routing.decide import PRIORITY_NAMES

if TYPE_CHECKING:
    from overspill.api.policy import Budget
    from overspill.budget import BudgetState
    from overspill.budget.pace import Rates
    from overspill.controller.keys import Manifest
    from overspill.controller.snapshot import Snapshot

WORTH_WRITING: Final = 0.02
"""A value that moved by less is not written down: what it shifts, later looks put right."""
PATTERN_EVERY_S: Final = 600.0
DIGITS: Final = 3
"""Of a value that is written down."""
_NAMES: Final = tuple(PRIORITY_NAMES[priority] for priority in sorted(PRIORITY_NAMES))
"""The least valuable first."""
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What is known of the demand for the frontier, and what follows from it."""

    pattern: Pattern
    admit_from: float
    seen_at_s: float
    """When Prometheus was last believed, Unix time."""


def paced(
    before: Pace | None,
    budget: Budget | None,
    state: BudgetState | None,
    asked_usd_per_s: Rates | None,
    *,
    now_s: float,
    at_most_s: float,
) -> Pace | None:
    """Take in one look, of `at_most_s` seconds; None where the policy does not spread its budget.

    Where nothing is known, the value stays as it was.
    """
    if budget is None or state is None or budget.pacing is not Pacing.SMOOTH:
        return None
    if asked_usd_per_s is None or state.spent_usd is None:
        return before
    zone = ZoneInfo(budget.time_zone)
    asked = tuple(usd * MICROS for usd in asked_usd_per_s)
    elapsed_s = min(at_most_s, max(0.0, now_s - before.seen_at_s)) if before else 0.0
    pattern = before.pattern if before else Pattern.unknown(len(asked))
    pattern = observed(pattern, zone, now_s, asked, elapsed_s)
    left = max(0, usd_micros(state.limit_usd - state.spent_usd))
    value = admit_from(pattern, asked, state.period, zone, now_s, left)
    return Pace(pattern=pattern, admit_from=value, seen_at_s=now_s)


def asked_of(snapshot: Snapshot, policy: str) -> Rates | None:
    """Return the dollars per second that a policy's requests ask of the frontier.

    None where Prometheus has not told of all.
    """
    seen = snapshot.frontier_asked_usd_per_s.get(policy, {})
    rates = [seen.get(name) for name in _NAMES] + [snapshot.overflow_usd_per_s.get(policy)]
    told = tuple(rate for rate in rates if rate is not None)
    return told if len(told) == len(rates) else None


def recalled(saved: object, now_s: float) -> Pace | None:
    """Read back what an earlier process wrote; None where there is nothing that can be used."""
    if saved is None:
        return None
    try:
        found = PacingState.model_validate(saved)
    except ValidationError:
        return None
    rows = tuple(_numbers(row) for row in found.usd_micros_per_hour)
    seen_s = _numbers(found.seen_seconds)
    whole = all(len(row) == HOURS for row in (*rows, seen_s))
    if found.version != VERSION or not whole or len(rows) != len(_NAMES) + 1:
        return None
    pattern = Pattern(usd_micros_per_h=rows, seen_s=seen_s)
    return Pace(pattern=pattern, admit_from=found.admit_from, seen_at_s=now_s)


def pacing_status(before: Manifest | None, pace: Pace | None, now_s: float) -> Manifest | None:
    """Write it down where that says something new."""
    if pace is None:
        return None
    if before is not None and not _worth_writing(before, round(pace.admit_from, DIGITS), now_s):
        return before
    return PacingState(
        updated_at=timestamp(now_s),
        admit_from=round(pace.admit_from, DIGITS),
        usd_micros_per_hour=tuple(_line(row) for row in pace.pattern.usd_micros_per_h),
        seen_seconds=_line(pace.pattern.seen_s),
    ).to_json()


def _line(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))


def _numbers(line: str) -> tuple[int, ...]:
    return tuple(map(int, line.split()))


def _worth_writing(before: Manifest, value: float, now_s: float) -> bool:
    written = float(before.get("admitFrom", 0.0))
    if before.get("updatedAt", "") <= timestamp(now_s - PATTERN_EVERY_S):
        return True
    return abs(written - value) >= WORTH_WRITING or (value == 0.0) != (written == 0.0)


def saved_admit_from(budget: Budget, status: Manifest) -> float:
    """Return the value that leases are lent by, as a policy's status has it."""
    saved = status.get("pacing") or {}
    value = saved.get("admitFrom", 0.0) if budget.pacing is Pacing.SMOOTH else 0.0
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else 0.0


def held_back(value: float) -> str:
    """Say in words whom a value keeps from the frontier; empty where nobody is."""
    words = []
    for index, name in enumerate(_NAMES):
        share = min(1.0, max(0.0, value * len(_NAMES) - index))
        if share > 0:
            part = "all" if share == 1 else f"{max(1, round(100 * share))}%"
            words.append(f"{part} of {name} priority")
    return ", ".join(words)
