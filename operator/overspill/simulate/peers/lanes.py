"""KEDA with the best settings in hindsight: many ScaledObjects side by side on one load.

Demand does not depend on what is decided, so all lanes see the same and are computed at once, sync
by sync; each is exactly what `Keda` would have done alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.simulate.engine import account
from overspill.simulate.peers.calculator import DEFAULT_TOLERANCE
from overspill.simulate.peers.horizontal import SYNC_S
from overspill.simulate.peers.keda import POLLING_S, Tuning, mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from overspill.scaling import Economics
    from overspill.simulate.load import FloatArray, Load, Series

TARGETS: Final = (
    *(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0),
    *(1.1, 1.2, 1.35, 1.5, 1.75, 2.0),
)
"""Parts of what a replica can do. Above 1, where spill is cheap, part of each is left to it."""
METRICS_S: Final = (10.0, 60.0)
"""What the metric is the mean of: the last step, and Prometheus' usual minute."""
WINDOWS_S: Final = (0.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
"""Each both as the stabilisation window and as the cooldown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lane:
    """One setting and what it asked for in each step."""

    tuning: Tuning
    requested: Series


def tuned(load: Load) -> Lane:
    """Return the lane of the grid whose total cost is lowest."""
    return min(lanes(load), key=lambda lane: account(load, lane.requested).total_cost_usd)


def lanes(
    load: Load,
    metrics_s: Sequence[float] = METRICS_S,
    windows_s: Sequence[float] = WINDOWS_S,
    targets: Sequence[float] = TARGETS,
) -> Iterator[Lane]:
    """Play every setting, from a cold start.

    Raises: ValueError if a step is longer than a sync, which would leave syncs out.
    """
    if load.step_s > SYNC_S:
        raise ValueError(f"steps of {load.step_s} s are longer than a sync of {SYNC_S} s")
    syncs, of_step = _syncs(load)
    for metric_s in metrics_s:
        tunings = [
            Tuning(target=target, metric_s=metric_s, window_s=window_s, cooldown_s=window_s)
            for window_s, target in product(windows_s, targets)
        ]
        rates = _rates(load, syncs, tunings[0].metric_steps)
        series = _played(load, rates, windows_s, targets)
        np.minimum(series, load.economics.max_replicas, out=series)  # of months it is large
        columns = np.ascontiguousarray(series.reshape(len(syncs), -1).T)
        for tuning, column in zip(tunings, columns, strict=True):
            yield Lane(tuning=tuning, requested=column[of_step].astype(np.int64))


def _syncs(load: Load) -> tuple[Series, Series]:
    """Return the steps that the syncs fall in, and for each step the last sync before its end."""
    number = (np.arange(load.steps) * load.step_s // SYNC_S).astype(np.int64)
    return np.flatnonzero(np.diff(number, prepend=-1)), number


def _rates(load: Load, syncs: Series, metric_steps: int) -> list[float]:
    """Return the metric at each sync."""
    rates = [0.0] * metric_steps + (load.work_tokens / load.step_s).tolist()
    return [mean(rates[i : i + metric_steps]) for i in syncs.tolist()]


def _played(
    load: Load, rates: Sequence[float], windows_s: Sequence[float], targets: Sequence[float]
) -> NDArray[np.int32]:
    """Replicas by sync, window and target."""
    each = np.array(targets) * load.economics.capacity_tokens_per_s
    asked = np.ceil(np.array(rates)[:, np.newaxis] / each).astype(np.int64)
    grid = _Grid(load.economics, each, windows_s)
    polling = round(POLLING_S / SYNC_S)
    series = np.empty((len(rates), len(windows_s), len(targets)), dtype=np.int32)
    with np.errstate(divide="ignore", invalid="ignore"):  # no replicas: any ratio is infinite
        for i, rate in enumerate(rates):
            if not i % polling:
                grid.poll(i * SYNC_S, active=rate > 0)
            series[i] = grid.sync(rate, asked[i])
    return series


class _Grid:
    """All lanes' replicas, by window and target."""

    def __init__(self, economics: Economics, each: FloatArray, windows_s: Sequence[float]) -> None:
        self._low, self._least = economics.min_replicas, max(1, economics.min_replicas)
        self._each_tokens_per_s = each
        self._cooldowns_s = np.array(windows_s)
        self._last_active_s = -math.inf
        self._current: Series = np.zeros((len(windows_s), len(each)), dtype=np.int64)
        self._past = _Past(windows_s, len(each))
        counts = np.arange(max(self._least, economics.max_replicas) + 1)
        self._limits = np.minimum(np.maximum(2 * counts, counts + 4), counts[-1])
        self._limits[0] = 0  # the HPA leaves a target of no replicas alone

    def poll(self, now_s: float, *, active: bool) -> None:
        """Wake lanes up, or put those to sleep that have cooled down."""
        if active:
            self._last_active_s = now_s
            self._current[self._current == 0] = self._least
        elif self._low:
            np.maximum(self._current, self._low, out=self._current)
        else:
            self._current[now_s - self._last_active_s >= self._cooldowns_s] = 0

    def sync(self, rate: float, asked: Series) -> Series:
        """Reconcile every lane's HPA.

        A sync is no shorter than the period of the default policies, so none has a past change to
        count: growing is limited by a function of the count alone, and shrinking not at all.
        A lane without replicas has its recommendations recorded too, though `Keda` has not: what a
        lane has got since was recommended later, so they hold nothing up that is not held up.
        """
        current = self._current
        ratio = rate / (self._each_tokens_per_s * current)
        near = (ratio >= 1.0 - DEFAULT_TOLERANCE.down) & (ratio <= 1.0 + DEFAULT_TOLERANCE.up)
        wanted = np.where(near, current, asked)
        calm = np.maximum(wanted, np.minimum(current, self._past.most()))
        self._past.record(wanted)
        self._current = np.minimum(np.maximum(calm, self._least), self._limits[current])
        return self._current


class _Past:
    """For each window, the largest recommendation in it: whole blocks of a window's length.

    What a window spans is the end of one block and the beginning of the next; the maximum of the
    one was computed from its end backwards when it was full, that of the other is kept going (van
    Herk 1992, doi:10.1016/0167-8655(92)90069-C).
    """

    def __init__(self, windows_s: Sequence[float], targets: int) -> None:
        # A recommendation that is exactly a window old no longer counts.
        lengths = [max(0, math.ceil(window_s / SYNC_S) - 1) for window_s in windows_s]
        self._blocks = [np.zeros((length, targets), dtype=np.int64) for length in lengths]
        self._begun = np.zeros((len(lengths), targets), dtype=np.int64)
        rows = [max(1, length) for length in lengths]
        self._ends = np.zeros((sum(rows), targets), dtype=np.int64)
        self._starts = [sum(rows[:k]) for k in range(len(rows))]
        self._at = np.array(self._starts)
        self._count = 0

    def most(self) -> Series:
        """Return the maxima, by window and target; 0 where there was nothing."""
        found: Series = np.maximum(self._begun, self._ends[self._at])
        return found

    def record(self, wanted: Series) -> None:
        """Add the recommendations of one sync."""
        np.maximum(self._begun, wanted, out=self._begun)
        self._at += 1
        for k, block in enumerate(self._blocks):
            place = self._count % len(block) if len(block) else -1
            if place >= 0:
                block[place] = wanted[k]
            if place == len(block) - 1:
                self._turn(k, block)
        self._count += 1

    def _turn(self, k: int, block: Series) -> None:
        """Begin a new block; the full one is needed from its end backwards."""
        start = self._starts[k]
        self._ends[start : start + len(block)] = np.maximum.accumulate(block[::-1])[::-1]
        self._begun[k] = 0
        self._at[k] = start
