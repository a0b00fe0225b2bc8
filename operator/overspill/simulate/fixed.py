"""Ways to run without an autoscaler: no replicas at all, or always the same number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from overspill.simulate.load import FloatArray, Load, Series
    from overspill.simulate.rule import Seen


class Given:
    """Asks for a series that is known beforehand, step by step."""

    name = "given"

    def __init__(self, requested: Series) -> None:
        self._counts = iter(requested.tolist())

    def desired(self, seen: Seen) -> int:
        """Return the next count; the series has one a step."""
        count: int = next(self._counts)
        return count


def nothing(load: Load) -> Series:
    """Own no replica: everything is paid per token."""
    return np.zeros(load.steps, dtype=np.int64)


def best_constant(load: Load) -> Series:
    """Ask at step 0 for the count that in hindsight is cheapest, and keep it; exact.

    Sorted by work, the steps that a count cannot carry are a suffix: with sums over the suffixes
    each count costs one search.
    """
    low, high = load.economics.min_replicas, load.most_useful
    counts = np.arange(low, high + 1)
    warm = slice(load.startup_steps, None)  # until then nothing is ready, whatever the count
    order = np.argsort(load.work_tokens[warm])
    work = load.work_tokens[warm][order]
    usd_over = _suffix_sums(load.frontier_usd[warm][order])
    price_over = _suffix_sums(load.usd_per_token[warm][order])
    first_over = np.searchsorted(work, counts * load.replica_tokens, side="right")
    spilled = usd_over[first_over] - counts * load.replica_tokens * price_over[first_over]
    best = counts[np.argmin(counts * load.rent_usd * load.steps + spilled)]
    return np.full(load.steps, best, dtype=np.int64)


def _suffix_sums(values: FloatArray) -> FloatArray:
    """Return sum(values[i:]) for each i from 0 to len(values)."""
    return np.append(np.cumsum(values[::-1])[::-1], 0.0)
