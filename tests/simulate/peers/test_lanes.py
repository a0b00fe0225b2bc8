"""Each lane of tuned KEDA is KEDA with those settings, step by step."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.simulate.engine import account, run
from overspill.simulate.load import Load
from overspill.simulate.peers.keda import Keda, Tuning
from overspill.simulate.peers.lanes import METRICS_S, TARGETS, WINDOWS_S, Lane, lanes, tuned
from tests.simulate.loads import load, loads


def alone(demand: Load, lane: Lane) -> list[int]:
    series: list[int] = run(demand, Keda(demand.economics, lane.tuning)).tolist()
    return series


EVERY = settings(max_examples=300, deadline=None, derandomize=True)


@EVERY
@given(loads(longest=80, most=30))
def test_each_lane_is_keda_alone(demand: Load) -> None:
    for lane in lanes(demand, (10.0, 60.0), (0.0, 45.0, 60.0, 120.0), (0.3, 0.7, 1.0)):
        assert lane.requested.tolist() == alone(demand, lane)


@pytest.mark.parametrize(("low", "high"), [(0, 400), (2, 12), (0, 0), (3, 3)])
def test_each_lane_of_the_grid_is_keda_alone_over_hours(low: int, high: int) -> None:
    """Bursts, calm, nothing at all and slow waves, long enough for every window to pass."""
    chance = np.random.default_rng(7)
    waves = 60 * (1 + np.sin(np.arange(1500) / 90))
    bursts = np.repeat(chance.gamma(0.3, 60, 150), 10) * (chance.random(1500) < 0.9)
    work = np.where(np.arange(1500) // 250 % 3 == 0, 0.0, waves + bursts) * 10
    demand = load(work.tolist(), low=low, high=high)
    found = list(lanes(demand))
    assert [lane.tuning for lane in found] == [
        Tuning(target=target, metric_s=metric_s, window_s=window_s, cooldown_s=window_s)
        for metric_s, window_s, target in product(METRICS_S, WINDOWS_S, TARGETS)
    ]
    for lane in found:
        assert lane.requested.tolist() == alone(demand, lane)


@settings(EVERY, max_examples=50)
@given(
    loads(longest=80, most=8),
    st.sampled_from(METRICS_S),
    st.sampled_from(WINDOWS_S),
    st.sampled_from(TARGETS),
)
def test_no_setting_of_the_grid_is_cheaper_than_the_tuned_one(
    demand: Load, metric_s: float, window_s: float, target: float
) -> None:
    tuning = Tuning(target=target, metric_s=metric_s, window_s=window_s, cooldown_s=window_s)
    other = account(demand, run(demand, Keda(demand.economics, tuning)))
    best = account(demand, tuned(demand).requested)
    assert best.total_cost_usd <= other.total_cost_usd


@pytest.mark.parametrize(
    ("usd_per_token", "window_s"),
    [
        pytest.param(0.001, 0.0, id="a replica costs more than it saves: gone at once"),
        pytest.param(0.1, 300.0, id="a replica pays: kept over gaps of 250 s"),
    ],
)
def test_the_window_follows_the_prices(usd_per_token: float, window_s: float) -> None:
    bursts = ([0.0] * 25 + [1000.0] * 5) * 20
    found = tuned(load(bursts, usd_per_token=usd_per_token, startup_s=60.0)).tuning
    assert (found.window_s, found.cooldown_s) == (window_s, window_s)


def test_steps_longer_than_a_sync_are_refused() -> None:
    coarse = load([1.0])
    with pytest.raises(ValueError, match=r"steps of 60\.0 s are longer than a sync"):
        next(
            lanes(
                Load(
                    step_s=60.0,
                    work_tokens=coarse.work_tokens,
                    frontier_usd=coarse.frontier_usd,
                    economics=coarse.economics,
                )
            )
        )


@EVERY
@given(st.lists(st.floats(0, 5000), min_size=1, max_size=60))
def test_any_rate_is_near_its_target_in_both_or_in_neither(work: list[float]) -> None:
    demand = load(work, high=1000)
    for lane in lanes(demand, (10.0, 30.0), (0.0, 60.0), (0.55, 0.7)):
        assert lane.requested.tolist() == alone(demand, lane)
