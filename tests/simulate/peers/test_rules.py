"""The peers as the simulator drives them: stories, and what holds on any load."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from overspill.simulate.engine import run
from overspill.simulate.peers.decider import TICK_S, Decider, Spec
from overspill.simulate.peers.hpa import Hpa
from overspill.simulate.peers.keda import Keda, Tuning
from overspill.simulate.peers.kpa import Kpa
from overspill.simulate.peers.scaler import Bounds, Scaler
from overspill.simulate.peers.windows import AverageWindow
from overspill.simulate.trace import STEP_S
from tests.simulate.loads import load, loads

if TYPE_CHECKING:
    from overspill.scaling import Economics
    from overspill.simulate.load import Load
    from overspill.simulate.rule import Rule, Seen

EVERY = settings(max_examples=300, deadline=None, derandomize=True)
FULL = 100.0
"""What one replica does in a step; each is ready after two steps."""


def told(demand: Load, rule: Rule) -> list[tuple[int, int]]:
    """Return what was asked for, as (replicas, for so many steps)."""
    return [(n, len(list(steps))) for n, steps in groupby(run(demand, rule).tolist())]


FIVE_MINUTES_OF_TEN = [10 * FULL] * 30 + [0.0] * 60


def test_hpa_grows_by_what_is_ready_and_shrinks_after_its_window() -> None:
    demand = load(FIVE_MINUTES_OF_TEN, high=400)
    assert told(demand, Hpa(demand.economics)) == [
        (1, 3),  # nothing is measured before the first is ready
        (2, 2),  # 100% of 1, for a target of 70%
        (3, 3),
        (5, 3),
        (8, 3),
        (12, 3),
        (17, 3),  # the minute's mean lags behind, so it overshoots 10 ÷ 70%
        (20, 34),
        *((17, 2), (15, 6), (10, 1), (8, 2), (3, 1)),  # what was asked for 300 s earlier
        (1, 24),
    ]


def test_hpa_takes_none_back_on_the_way_while_those_ready_are_above_target() -> None:
    """80% of ten is less than 70% of fifteen, which are kept for longer than the window."""
    demand = load([10 * FULL] * 62 + [8 * FULL] * 50, startup_s=600.0, low=10, high=400)
    assert told(demand, Hpa(demand.economics)) == [(10, 62), (15, 50)]


def test_keda_sees_what_is_spilled_and_sleeps_after_its_cooldown() -> None:
    demand = load(FIVE_MINUTES_OF_TEN, high=400)
    assert told(demand, Keda(demand.economics)) == [
        (0, 3),
        (4, 2),  # the poll at 30 s wakes one up, of which the HPA makes four
        (8, 1),  # the sync at 45 s
        (15, 56),
        (10, 1),  # the minute's mean falls
        (0, 27),  # the last active poll is at 330 s, the cooldown's last at 630 s
    ]


def test_kpa_sees_what_is_spilled_and_sleeps_after_windows_and_grace() -> None:
    demand = load(FIVE_MINUTES_OF_TEN, high=400)
    assert told(demand, Kpa(demand.economics)) == [
        (0, 1),
        (15, 30),  # at once
        *((12, 1), (10, 1), (8, 1), (5, 1), (3, 1)),  # demand leaves the stable window
        (1, 3),  # inactive at 362 s, and 30 s of grace
        (0, 51),
    ]


def test_with_a_behavior_four_more_are_allowed_instead_of_four() -> None:
    demand = load([10 * FULL] * 7, high=400)
    ruled = Keda(demand.economics, Tuning(window_s=300.0))
    assert told(demand, ruled) == [(0, 3), (5, 2), (10, 1), (15, 1)]


@EVERY
@given(st.integers(1, 50), st.integers(2, 20))
def test_hpa_cannot_tell_a_full_tier_from_a_flooded_one(steps: int, floods: int) -> None:
    full = load([8 * FULL] * steps)
    flooded = load([floods * 8 * FULL] * steps)
    assert told(full, Hpa(full.economics)) == told(flooded, Hpa(flooded.economics))


@pytest.mark.parametrize("make", [Hpa, Keda, Kpa])
@EVERY
@given(demand=loads(longest=80, most=6))
def test_no_peer_leaves_the_bounds_of_the_policy(
    make: type[Hpa | Keda | Kpa], demand: Load
) -> None:
    assume(demand.economics.max_replicas > 0)
    rule, economics = make(demand.economics), demand.economics
    asked: list[int] = []

    class Watched:
        name = rule.name

        def desired(self, seen: Seen) -> int:
            asked.append(rule.desired(seen))
            return asked[-1]

    run(demand, Watched())
    least = max(1, economics.min_replicas) if make is Hpa else 0
    assert all(least <= n <= economics.max_replicas for n in asked)


class EveryTick:
    """Knative with its own buckets of a second, and every tick of a step."""

    name = "kpa"

    def __init__(self, economics: Economics) -> None:
        capacity = economics.capacity_tokens_per_s
        self._decider = Decider(Spec(target=0.7 * capacity, total=capacity))
        self._scaler = Scaler(Bounds(low=economics.min_replicas, high=economics.max_replicas))
        self._stable, self._panic = AverageWindow(60.0, 1.0), AverageWindow(6.0, 1.0)

    def desired(self, seen: Seen) -> int:
        current, ready = seen.requested, seen.ready
        if seen.now_s == 0:
            return current
        for second in np.arange(seen.now_s - STEP_S, seen.now_s).tolist():
            self._stable.record(second, seen.work_tokens_per_s)
            self._panic.record(second, seen.work_tokens_per_s)
        averages = self._stable.average(seen.now_s - 1), self._panic.average(seen.now_s - 1)
        for tick_s in np.arange(seen.now_s, seen.now_s + STEP_S, TICK_S).tolist():
            wanted = self._decider.decide(*averages, ready, tick_s)
            scaling = self._scaler.scale(wanted, current, ready, tick_s)
            current = scaling.replicas if scaling.applied else current
            ready = min(ready, current)
        return current


stretches = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from([0, 0, 30, 70, 140, 300, 900, 2100])),
    min_size=1,
    max_size=25,
)  # steps, tokens a step


@EVERY
@given(stretches, st.sampled_from([10.0, 40.0, 180.0]), st.integers(0, 2), st.integers(2, 50))
def test_kpa_skips_only_ticks_that_change_nothing(
    path: list[tuple[int, int]], startup_s: float, low: int, high: int
) -> None:
    work = [float(tokens) for steps, tokens in path for _ in range(steps)]
    demand = load(work, startup_s=startup_s, low=low, high=high)
    assert told(demand, Kpa(demand.economics)) == told(demand, EveryTick(demand.economics))
