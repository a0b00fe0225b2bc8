"""What deciding by other prices would have cost: how much readier than its price a replica is.

What is expected reaches a start-up ahead. It does not see that work which is gone comes back, and
that a restart then costs more than the gap, nor that it never does. So the rule is also played, in
thought, by other prices: as if a full replica were worth 2 rents, 4, and so on. The dearer the
price, the sooner that starts and the longer it stays. Demand does not depend on what is decided, so
what each would have cost, at the price that holds, is known; a replica follows the one that cost
least, and its own price until another was clearly cheaper.

A dearer price never asks for fewer replicas, so its rent is never less and its spill never more.
What is cheapest therefore never falls with the price that holds.

Source: Littlestone and Warmuth (1994), "The weighted majority algorithm", for following experts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.scaling.axis import edges, slopes, widths
from overspill.scaling.margin import thresholds
from overspill.scaling.outlook import MOMENT_S, SHORTEST_S

if TYPE_CHECKING:
    from overspill.scaling.axis import FloatArray

PRICES: Final = np.array([2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 131072.0])
"""Worth of a full replica, in rents, that is decided by; by the last hardly anything stops."""
SPAN: Final = 512.0
"""Start-ups over which costs are forgotten: a day, where one takes three minutes."""
_LEAST_LEAD: Final = 2.0
_LEAD_PER_RENT: Final = 0.05
"""Lead that each step away from the own price needs: that much rent and spill of a start-up. Half
and twice of it cost the same within 0.2% on recorded traffic."""
_MOST_RATIO: Final = 1e6
"""Where rent is next to nothing, costs stay finite."""
_PARTS: Final = np.array([thresholds(price) for price in PRICES])
"""Where starting and staying pay by each price; prices × 2."""
_OWN_FIRST: Final = np.vstack([np.zeros(2), _PARTS])
_OCTAVES: Final = np.log2(PRICES)
_STEPS: Final = np.arange(float(len(PRICES)))
_START, _STAY = _PARTS[:, :1], _PARTS[:, 1:]
_OFF: Final = -1e9
"""Start-ups; no wait makes up for it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hindsight:
    """What was asked for by each price, and what it cost; prices × cells."""

    cost: FloatArray
    """Rent and spill, in rents of a start-up; only differences between prices matter."""
    asked: FloatArray
    """Start-ups for which a replica has been asked for, 1 where ready; below 0 where it is not."""

    @property
    def regret(self) -> FloatArray:
        """Cost above that of the cheapest price."""
        above: FloatArray = self.cost - self.cost.min(axis=0)
        return above

    @property
    def on(self) -> list[int]:
        """Cells whose replicas each price holds."""
        cells: list[int] = np.count_nonzero(self.asked >= 0, axis=1).tolist()
        return cells


def blank(reach: int) -> Hindsight:
    """Nothing asked for, nothing paid."""
    shape = (len(PRICES), len(widths(reach)))
    return Hindsight(cost=np.zeros(shape), asked=np.full(shape, _OFF))


def held(cost: FloatArray, on: list[int]) -> Hindsight:
    """Costs where each price holds so many cells' replicas, all of them ready."""
    among = np.arange(cost.shape[1]) < np.array(on)[:, None]
    return Hindsight(cost=cost, asked=np.where(among, 1.0, _OFF))


def paid(
    before: Hindsight,
    reach: int,
    replicas: float,
    ratio: float,
    *,
    elapsed_s: float,
    startup_s: float,
) -> Hindsight:
    """Charge each price for `elapsed_s` of this demand, in replicas, worth `ratio` rents each."""
    startup_s, each_s = max(startup_s, MOMENT_S), max(startup_s, SHORTEST_S)
    worked = slopes(np.minimum(edges(reach), replicas), reach)
    unready_s = np.minimum(np.maximum((1.0 - before.asked) * startup_s, 0.0), elapsed_s)
    rents_s = (before.asked >= 0) * elapsed_s + unready_s * (worked * min(ratio, _MOST_RATIO))
    kept = math.exp(-elapsed_s / (each_s * SPAN))
    waited = np.minimum(before.asked + elapsed_s / startup_s, 1.0)
    return Hindsight(cost=before.cost * kept + rents_s / each_s, asked=waited)


def decided(before: Hindsight, use: FloatArray) -> Hindsight:
    """Let each price decide on this expectation."""
    on = (use > _START) | ((before.asked >= 0) & (use > _STAY))
    return Hindsight(cost=before.cost, asked=np.where(on, np.maximum(before.asked, 0.0), _OFF))


def followed(hindsight: Hindsight, ratio: float) -> FloatArray:
    """Part of its time that a replica must be expected to work to start, and to stay; cells × 2."""
    parts, lead, place = _choice(ratio)
    below, cost = math.floor(place), hindsight.cost
    above = min(below + 1, len(PRICES) - 1)
    own = cost[below] + (place - below) * (cost[above] - cost[below])
    chosen: FloatArray = parts[np.argmin(np.concatenate((own[None], cost)) + lead, axis=0)]
    return chosen


@lru_cache(maxsize=256)
def _choice(ratio: float) -> tuple[FloatArray, FloatArray, float]:
    """Return the parts by the own price and each other, what lead they need, and the own's place.

    The own price stands between two others, and costs what lies between theirs. Were it to take the
    place of one, a tier that follows that one would be readier than a tier whose own price it is,
    and that pays more for what spills.
    """
    place = float(np.interp(math.log2(max(ratio, 1.0)), _OCTAVES, _STEPS))
    parts = _OWN_FIRST.copy()
    parts[0] = thresholds(ratio)
    if ratio <= 1:  # A full one does not earn its rent: nothing pays, whatever it would have cost.
        parts[:] = parts[0]
    lead = _LEAST_LEAD + _LEAD_PER_RENT * min(ratio, _MOST_RATIO)
    away = np.zeros((len(parts), 1))
    away[1:, 0] = np.abs(_STEPS - place)
    return parts, lead * away, place


def restated(before: Hindsight, reach: int, after: int, size: float) -> Hindsight:
    """Restate for replicas `size` times as large, on an axis that reaches `after` of them.

    A replica is asked for or it is not, so what is between two is taken from the cell it lies in:
    in a mean with one that is off it would be off, too, at each capacity that is measured.
    """
    at, known = _middles(after) * size, _middles(reach)
    cost = np.array([np.interp(at, known, row) for row in before.cost])
    cell = np.searchsorted(edges(reach)[1:-1], at)
    return Hindsight(cost=cost, asked=before.asked[:, cell])


def _middles(reach: int) -> FloatArray:
    middles: FloatArray = edges(reach)[1:] - widths(reach) / 2
    return middles
