"""The sliding windows that Knative aggregates metrics in.

Source: knative/serving, pkg/autoscaler/aggregation, at 98e5ef90aa.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

_DIGITS: Final = 6
"""Averages are rounded to so many, which hides the sum's drift."""


class AverageWindow:
    """Mean of what was recorded within a window, in buckets.

    A bucket that got nothing counts as zero, once there was a first.
    """

    __slots__ = ("_buckets", "_first", "_granularity_s", "_last", "_total")

    def __init__(self, window_s: float, granularity_s: float) -> None:
        self._granularity_s = granularity_s
        self._buckets = [0.0] * math.ceil(window_s / granularity_s)
        self._total = 0.0
        self._first = self._last = -len(self._buckets)

    def record(self, at_s: float, value: float) -> None:
        """Add to the bucket of this time, which never goes back by a window or more."""
        i, size = int(at_s // self._granularity_s), len(self._buckets)
        if i - self._last >= size:
            self._buckets = [0.0] * size
            self._total, self._first, self._last = 0.0, i, i
        while self._last < i:
            self._last += 1
            self._total -= self._buckets[self._last % size]
            self._buckets[self._last % size] = 0.0
        self._buckets[i % size] += value
        self._total += value

    def average(self, now_s: float) -> float:
        """Return the mean of the buckets that are within the window at `now_s`."""
        size = len(self._buckets)
        passed = int(now_s // self._granularity_s) - self._last
        if passed >= size:
            return 0.0
        total, filled = self._total, min(self._last - self._first + 1, size)
        if passed > 0:
            total -= sum(self._buckets[(self._last + k) % size] for k in range(1, passed + 1))
            filled = min(filled, size - passed)
        return round(total / filled, _DIGITS)


class MaxWindow:
    """Largest value of the last `window_s`, in buckets. Only what may still win is kept."""

    __slots__ = ("_granularity_s", "_kept", "_size")

    def __init__(self, window_s: float, granularity_s: float) -> None:
        self._granularity_s = granularity_s
        self._size = math.ceil(window_s / granularity_s)
        self._kept: deque[tuple[int, int]] = deque()

    def record(self, at_s: float, value: int) -> None:
        """Add a value; time never goes back."""
        i, kept = int(at_s // self._granularity_s), self._kept
        while kept and kept[-1][1] <= value:
            kept.pop()
        kept.append((i, value))
        while kept[0][0] <= i - self._size:
            kept.popleft()

    @property
    def current(self) -> int:
        """The largest, as of the last record."""
        return self._kept[0][1]
