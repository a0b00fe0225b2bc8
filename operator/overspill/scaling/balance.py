"""What each replica would have earned beyond its rent: the long memory of break-even.

What is expected of a replica may be wrong by a little for a long time. So for each, whether it is
on or not, one sum is kept: worth minus rent, never below nothing and never above the cost of a
start. Where it is full, a start has been forgone; where it is empty, one was lost.

Source: Karlin, Manasse, Rudolph, Sleator (1988), "Competitive snoopy caching".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.scaling.axis import edges, slopes, widths

if TYPE_CHECKING:
    from overspill.scaling.axis import FloatArray

_MOST_RATIO: Final = 1e6
"""Where rent is next to nothing, sums stay finite."""


def start_cost(ratio: float) -> float:
    """Cost of a start in rents of a start-up: the rent, and what a full replica's work costs."""
    return 1.0 + min(ratio, _MOST_RATIO)


def empty(reach: int) -> FloatArray:
    """Return sums of replicas that nothing is known of, cell by cell."""
    return np.zeros(len(widths(reach)))


def advanced(
    balance: FloatArray, reach: int, replicas: float, ratio: float, start_ups: float
) -> FloatArray:
    """Add what this demand, in replicas, was worth for as long as so many start-ups take."""
    worked = slopes(np.minimum(edges(reach), replicas), reach)
    earned = (worked * min(ratio, _MOST_RATIO) - 1.0) * start_ups
    kept: FloatArray = np.clip(balance + earned, 0.0, start_cost(ratio))
    return kept


def restated(balance: FloatArray, before: int, reach: int, size: float) -> FloatArray:
    """Sums for replicas `size` times as large, on an axis of another reach."""
    return np.interp(_middles(reach) * size, _middles(before), balance)


def _middles(reach: int) -> FloatArray:
    middles: FloatArray = edges(reach)[1:] - widths(reach) / 2
    return middles
