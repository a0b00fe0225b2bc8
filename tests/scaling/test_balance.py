"""The balance: what a replica would have earned beyond its rent, up to the cost of a start."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.scaling import Demand, Economics, State, balance, step

REACH = 4


def after(*looks: tuple[float, float], ratio: float = 5.0) -> list[float]:
    """Sums after demand in replicas, each for so many start-ups."""
    earned = balance.empty(REACH)
    for replicas, start_ups in looks:
        earned = balance.advanced(earned, REACH, replicas, ratio, start_ups)
    found: list[float] = earned.tolist()
    return found


LOOKS = [
    pytest.param([(1.5, 1.0)], [4.0, 1.5, 0.0, 0.0], id="worth minus rent"),
    pytest.param([(1.0, 1.0), (0.0, 3.0)], [1.0, 0.0, 0.0, 0.0], id="an idle one loses its rent"),
    pytest.param([(1.0, 99.0)], [6.0, 0.0, 0.0, 0.0], id="never above the cost of a start"),
    pytest.param([(0.0, 99.0), (1.0, 1.0)], [4.0, 0.0, 0.0, 0.0], id="never below nothing"),
]


@pytest.mark.parametrize(("looks", "earned"), LOOKS)
def test_sums(looks: list[tuple[float, float]], earned: list[float]) -> None:
    assert after(*looks) == pytest.approx(earned)


def test_a_start_costs_its_rent_and_what_spills_meanwhile() -> None:
    assert balance.start_cost(5.0) == 6.0
    assert np.isfinite(balance.start_cost(float("inf")))
    assert np.isfinite(after((1.0, 1.0), ratio=float("inf"))).all()


def test_replicas_of_twice_the_size_are_fewer() -> None:
    earned = np.array([4.0, 4.0, 2.0, 2.0])
    assert balance.restated(earned, 4, 2, 2.0) == pytest.approx([4.0, 2.0])


# -- what it does for break-even
def counts(*looks: tuple[float, int], ratio: float) -> list[int]:
    """Replicas that are on after so many start-ups of demand, in replicas, one look each tenth."""
    economics = Economics(
        capacity_tokens_per_s=100.0,
        rent_usd_per_s=1.0,
        startup_s=200.0,
        min_replicas=0,
        max_replicas=8,
    )
    state, seen = State(), []
    for replicas, start_ups in looks:
        demand = Demand(work_tokens_per_s=100 * replicas, frontier_usd_per_s=ratio * replicas)
        for _ in range(10 * start_ups):
            state = step(economics, demand, state, 20.0)
        seen.append(state.on)
    return seen


def test_steady_work_that_earns_little_more_than_rent_starts_a_replica_in_the_end() -> None:
    assert counts((0.25, 1), (0.25, 40), ratio=5.0) == [0, 1]


def test_steady_work_that_earns_little_less_than_rent_stops_it_in_the_end() -> None:
    assert counts((1.0, 10), (0.18, 10), (0.18, 60), ratio=5.0) == [1, 1, 0]


@given(st.lists(st.tuples(st.floats(0, 6), st.floats(0, 3)), max_size=50), st.floats(1, 50))
def test_dearer_spill_never_earns_less(looks: list[tuple[float, float]], ratio: float) -> None:
    cheap, dear = np.array(after(*looks, ratio=ratio)), np.array(after(*looks, ratio=1.5 * ratio))
    assert (dear >= cheap - 1e-9).all()
