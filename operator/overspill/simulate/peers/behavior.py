"""How fast and how late an HPA follows its metrics.

With `spec.behavior`, policies limit the rate and windows delay in both directions. Without it,
which is the default, there is one window for shrinking and one fixed limit for growing.

Source: kubernetes v1.34, pkg/controller/podautoscaler/horizontal.go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Reason(StrEnum):
    """What decided a count, in the words of the HPA's conditions."""

    WITHIN_RANGE = "DesiredWithinRange"
    TOO_FEW = "TooFewReplicas"
    TOO_MANY = "TooManyReplicas"
    UP_LIMIT = "ScaleUpLimit"
    DOWN_LIMIT = "ScaleDownLimit"
    DISABLED = "ScalingDisabled"
    NO_METRIC = "FailedGetMetrics"


class Select(StrEnum):
    """Which of several policies holds: that with the largest change, the smallest, or none."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class Unit(StrEnum):
    """What a policy counts in."""

    PODS = "Pods"
    PERCENT = "Percent"


class Limited(NamedTuple):
    """A count and what limited it."""

    replicas: int
    reason: Reason


class Change(NamedTuple):
    """So many replicas more or fewer, at a time."""

    replicas: int
    at_s: float


class Recommendation(NamedTuple):
    """What the metrics asked for, at a time."""

    replicas: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """At most so much change within a period."""

    unit: Unit
    value: int
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One direction of a behavior."""

    policies: Sequence[Policy]
    select: Select = Select.MAX
    window_s: float = 0.0

    @property
    def longest_period_s(self) -> float:
        """For how long a change may matter."""
        return max(policy.period_s for policy in self.policies)


DEFAULT_UP: Final = Rules(
    policies=(
        Policy(unit=Unit.PODS, value=4, period_s=15.0),
        Policy(unit=Unit.PERCENT, value=100, period_s=15.0),
    )
)
DEFAULT_WINDOW_S: Final = 300.0
DEFAULT_DOWN: Final = Rules(
    policies=(Policy(unit=Unit.PERCENT, value=100, period_s=15.0),), window_s=DEFAULT_WINDOW_S
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """`spec.behavior`, with what Kubernetes fills in."""

    up: Rules = DEFAULT_UP
    down: Rules = DEFAULT_DOWN


def up_limit(
    rules: Rules, current: int, ups: Sequence[Change], downs: Sequence[Change], now_s: float
) -> int:
    """Return the most replicas that growing may reach now; never below `current`."""
    if rules.select is Select.DISABLED:
        return current
    largest = max if rules.select is Select.MAX else min
    return max(current, largest(map(math.ceil, _allowed(rules, current, ups, downs, now_s, 1))))


def down_limit(
    rules: Rules, current: int, ups: Sequence[Change], downs: Sequence[Change], now_s: float
) -> int:
    """Return the fewest replicas that shrinking may reach now; never above `current`."""
    if rules.select is Select.DISABLED:
        return current
    largest = min if rules.select is Select.MAX else max
    return min(current, largest(map(int, _allowed(rules, current, ups, downs, now_s, -1))))


def _allowed(
    rules: Rules,
    current: int,
    ups: Sequence[Change],
    downs: Sequence[Change],
    now_s: float,
    sign: int,
) -> Iterator[float]:
    """Where each policy ends: 1 for growing, -1 for shrinking."""
    for policy in rules.policies:
        before = _at_period_start(policy, current, ups, downs, now_s)
        if policy.unit is Unit.PODS:
            yield before + sign * policy.value
        else:
            yield before * (1 + sign * policy.value / 100)


def _at_period_start(
    policy: Policy, current: int, ups: Sequence[Change], downs: Sequence[Change], now_s: float
) -> int:
    since_s = now_s - policy.period_s
    return current - _changed(ups, since_s) + _changed(downs, since_s)


def _changed(changes: Iterable[Change], since_s: float) -> int:
    return sum(change.replicas for change in changes if change.at_s > since_s)


def limit_by_rules(
    behavior: Behavior,
    bounds: tuple[int, int],
    current: int,
    wanted: int,
    changes: tuple[Sequence[Change], Sequence[Change]],
    now_s: float,
) -> Limited:
    """Keep a change within the policies and the bounds (min, max); `changes` are ups and downs."""
    low, high = bounds
    if wanted > current:
        limit = up_limit(behavior.up, current, *changes, now_s)
        most, reason = (limit, Reason.UP_LIMIT) if high > limit else (high, Reason.TOO_MANY)
        if wanted > most:
            return Limited(most, reason)
    elif wanted < current:
        limit = down_limit(behavior.down, current, *changes, now_s)
        least, reason = (limit, Reason.DOWN_LIMIT) if low < limit else (low, Reason.TOO_FEW)
        if wanted < least:
            return Limited(least, reason)
    return Limited(wanted, Reason.WITHIN_RANGE)


def limit_plainly(bounds: tuple[int, int], current: int, wanted: int) -> Limited:
    """Without a behavior: at most double, and four are always allowed."""
    low, high = bounds
    limit = max(2 * current, 4)
    most, reason = (limit, Reason.UP_LIMIT) if high > limit else (high, Reason.TOO_MANY)
    if wanted < low:
        return Limited(low, Reason.TOO_FEW)
    return Limited(most, reason) if wanted > most else Limited(wanted, Reason.WITHIN_RANGE)


def stabilise_by_windows(
    log: list[Recommendation],
    windows_s: tuple[float, float],
    current: int,
    wanted: int,
    now_s: float,
) -> int:
    """Move no further than every recommendation within the window of that direction allows.

    `windows_s` are up and down. Records what was wanted, in place of the last that is older than
    both windows.
    """
    up_since_s, down_since_s = now_s - windows_s[0], now_s - windows_s[1]
    oldest_s = min(up_since_s, down_since_s)
    least, most, obsolete = wanted, wanted, None
    for i, (replicas, at_s) in enumerate(log):
        if at_s > up_since_s and replicas < least:
            least = replicas
        if at_s > down_since_s and replicas > most:
            most = replicas
        if at_s < oldest_s:
            obsolete = i
    _record(log, Recommendation(wanted, now_s), obsolete)
    return min(max(current, least), most)


def stabilise_plainly(log: list[Recommendation], window_s: float, wanted: int, now_s: float) -> int:
    """Without a behavior: shrink no further than the largest recommendation of the window."""
    since_s = now_s - window_s
    most, obsolete = wanted, None
    for i, (replicas, at_s) in enumerate(log):
        if at_s < since_s:
            obsolete = i
        elif replicas > most:
            most = replicas
    _record(log, Recommendation(wanted, now_s), obsolete)
    return most


def _record(log: list[Recommendation], new: Recommendation, obsolete: int | None) -> None:
    """The controller reuses the last obsolete place, and so never cleans its log."""
    if obsolete is None:
        log.append(new)
    else:
        log[obsolete] = new
