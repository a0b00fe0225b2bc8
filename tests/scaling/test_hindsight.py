"""Hindsight: a replica follows the price that would have cost least, and its own until then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overspill.scaling import Demand, Economics, State, hindsight, step
from overspill.scaling.hindsight import PRICES, Hindsight
from overspill.scaling.margin import thresholds

REACH = 4
STARTUP_S = 200.0
FIRST, LAST = 0, len(PRICES) - 1


def after(*looks: tuple[float, float, float], ratio: float = 5.0) -> Hindsight:
    """Costs after looks of a tenth of a start-up: demand and expectation in replicas, how many."""
    past = hindsight.blank(REACH)
    for demand, expected, times in looks:
        use = np.clip(expected - np.arange(len(past.asked[0])), 0.0, 1.0)
        for _ in range(int(times)):
            past = hindsight.decided(past, use)
            past = hindsight.paid(
                past, REACH, demand, ratio, elapsed_s=STARTUP_S / 10, startup_s=STARTUP_S
            )
    return past


def cost(past: Hindsight, price: int) -> float:
    """Of the first replica."""
    return float(past.cost[price, 0])


COSTS = [
    pytest.param([(0, 0, 10)], 0.0, 0.0, id="off and idle costs nothing"),
    pytest.param([(1, 0, 10)], 5.0, 5.0, id="off and busy costs the spill"),
    pytest.param([(0, 1, 10)], 1.0, 1.0, id="on and idle costs the rent"),
    pytest.param([(1, 1, 10)], 6.0, 6.0, id="a start costs rent and spill"),
    pytest.param([(1, 1, 20)], 7.0, 7.0, id="what is ready costs rent alone"),
    pytest.param([(0, 0.1, 10)], 0.0, 1.0, id="the dearer the price the sooner it starts"),
    pytest.param([(1, 1, 10), (0, 0.1, 10)], 6.0, 7.0, id="and the longer it stays"),
]


@pytest.mark.parametrize(("looks", "by_first", "by_last"), COSTS)
def test_what_each_price_would_have_cost(
    looks: list[tuple[float, float, float]], by_first: float, by_last: float
) -> None:
    past = after(*looks)
    assert cost(past, FIRST) == pytest.approx(by_first, rel=0.01)
    assert cost(past, LAST) == pytest.approx(by_last, rel=0.01)


def test_a_long_look_pays_for_spill_until_the_replica_is_ready() -> None:
    asked = hindsight.decided(hindsight.blank(REACH), np.ones(len(after().asked[0])))
    long = hindsight.paid(asked, REACH, 1, 5.0, elapsed_s=2 * STARTUP_S, startup_s=STARTUP_S)
    assert cost(long, FIRST) == pytest.approx(cost(after((1, 1, 20)), FIRST), rel=0.01)


def test_a_start_up_that_is_broken_off_begins_anew() -> None:
    past = after((0, 1, 9), (0, 0, 1), (1, 1, 10))
    assert cost(past, FIRST) == pytest.approx(0.9 + 6.0, rel=0.01)


def test_regret_is_what_the_cheapest_would_have_saved() -> None:
    regret = after((1, 1, 10), (0, 0.1, 10)).regret
    assert regret.min() == 0.0
    assert regret[LAST, 0] == pytest.approx(1.0, rel=0.01)


def test_costs_are_forgotten_in_the_end() -> None:
    busy = after((1, 0, 10))
    assert cost(busy, FIRST) > 4.9
    rested = busy
    for _ in range(100):
        rested = hindsight.paid(rested, REACH, 0, 5.0, elapsed_s=2000.0, startup_s=STARTUP_S)
    assert cost(rested, FIRST) < 0.2 * cost(busy, FIRST)


def test_its_own_price_is_followed_until_another_was_clearly_cheaper() -> None:
    for ratio in (1.5, 5.0, 75.0, 1000.0):
        assert hindsight.followed(hindsight.blank(REACH), ratio)[0] == pytest.approx(
            thresholds(ratio)
        )


def test_its_own_price_costs_what_lies_between_its_neighbours() -> None:
    ratio, dear = 8**0.5, len(PRICES) - 2  # half way between 2 and 4
    past = replace(
        hindsight.blank(REACH),
        cost=np.array([[10.0, 2.0, 2.0, 2.0], [0.0] * 4, *[[100.0] * 4] * dear]),
    )
    parts = hindsight.followed(past, ratio)
    assert parts[0] == pytest.approx(thresholds(4.0))  # 5 against 0: clearly cheaper
    assert parts[1] == pytest.approx(thresholds(ratio))  # 1 against 0: not clearly


def test_a_replica_that_was_held_before_a_restart_is_ready() -> None:
    cells = np.zeros((len(PRICES), REACH))
    past = hindsight.held(cells, [1] * len(PRICES))
    past = hindsight.paid(past, REACH, 2, 5.0, elapsed_s=STARTUP_S, startup_s=STARTUP_S)
    assert past.cost[:, :3] == pytest.approx(np.array([[1.0, 5.0, 0.0]] * len(PRICES)))


def test_a_replica_that_idles_without_end_follows_a_lower_price() -> None:
    start, stay = hindsight.followed(after((0, 0.1, 100), ratio=20.0), 20.0)[0]
    assert start > thresholds(20.0)[0]
    assert stay > thresholds(20.0)[1]


def test_a_replica_that_work_returns_to_follows_a_higher_price() -> None:
    rounds = [(1, 1, 10), (0, 0.02, 10)] * 20
    start, stay = hindsight.followed(after(*rounds, ratio=20.0), 20.0)[0]
    assert start < thresholds(20.0)[0]
    assert stay < thresholds(20.0)[1]


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_where_a_full_replica_does_not_earn_its_rent_nothing_starts(ratio: float) -> None:
    parts = hindsight.followed(after(*[(1, 1, 10), (0, 0.02, 10)] * 20, ratio=ratio), ratio)
    assert (parts[:, 0] >= 1.0).all()


def test_replicas_of_twice_the_size_are_fewer() -> None:
    before = after((2, 2, 20))
    halved = hindsight.restated(before, REACH, 2, 2.0)
    assert halved.on == [1] * len(PRICES)
    assert halved.cost[:, 0] == pytest.approx(before.cost[:, 0])


@pytest.mark.parametrize("size", [0.998, 1.002, 1.1])
def test_a_capacity_that_is_measured_anew_stops_no_replica(size: float) -> None:
    before = after((2, 2, 20))
    again = hindsight.restated(before, REACH, REACH, size)
    assert again.on == before.on == [2] * len(PRICES)
    assert again.asked[:, :2].tolist() == before.asked[:, :2].tolist()


# -- what it does for break-even
def counts(*looks: tuple[float, float], ratio: float, startup_s: float = STARTUP_S) -> list[int]:
    """Replicas that are on in each look of 20 s of demand, in replicas, for so many seconds."""
    economics = Economics(
        capacity_tokens_per_s=100.0,
        rent_usd_per_s=1.0,
        startup_s=startup_s,
        min_replicas=0,
        max_replicas=4,
    )
    state, seen = State(), []
    for replicas, seconds in looks:
        demand = Demand(work_tokens_per_s=100 * replicas, frontier_usd_per_s=ratio * replicas)
        for _ in range(int(seconds / 20)):
            state = step(economics, demand, state, 20.0)
            seen.append(state.on)
    return seen


def test_what_comes_back_before_a_restart_would_pay_is_waited_for() -> None:
    five_on_five_off = [(1.0, 300.0), (0.0, 300.0)] * 40
    found = counts(*five_on_five_off, ratio=20.0, startup_s=60.0)
    assert 0 in found[: len(found) // 4]
    assert found[-len(found) // 2 :] == [1] * (len(found) // 2)


def test_a_replica_that_was_waited_for_stops_in_the_end() -> None:
    found = counts(*[(1.0, 300.0), (0.0, 300.0)] * 40, (0.0, 200_000.0), ratio=20.0)
    assert found[-1] == 0


looks = st.lists(st.tuples(st.floats(0, 6), st.floats(0, 6), st.integers(0, 30)), max_size=20)


@given(looks, st.floats(0.5, 500))
def test_a_dearer_price_pays_more_rent_and_less_spill(
    path: list[tuple[float, float, float]], ratio: float
) -> None:
    asked = after(*path, ratio=ratio).asked
    assert (np.diff(asked, axis=0) >= 0).all()
    rent, spill = after(*path, ratio=0.0).cost, after(*path, ratio=ratio).cost
    assert (np.diff(rent, axis=0) >= -1e-9).all()
    assert (np.diff(spill - rent, axis=0) <= 1e-9).all()


@given(looks, st.floats(0, 500), st.floats(0, 500))
@example([(0.0, 1.0, 1), (0.0, 1 / 256, 2), (1.0, 1.0, 10)], 42.0, 182.0).via("both follow 256")
@example([(0.0, 0.02, 100)], 90.0, 100.0).via("both follow 64")
def test_dearer_spill_never_takes_more_to_start_or_to_stay(
    path: list[tuple[float, float, float]], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    cheap, dear = (hindsight.followed(after(*path, ratio=r), r) for r in (low, high))
    assert (dear <= cheap).all()
