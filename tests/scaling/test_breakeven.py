"""Break-even: each replica starts and stops when that has paid for itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.scaling import Demand, Economics, LevelState, step, worth_usd_per_s


def economics(
    *, capacity: float = 100.0, rent: float = 1.0, startup_s: float = 60.0, most: int = 8
) -> Economics:
    return Economics(
        capacity_tokens_per_s=capacity,
        rent_usd_per_s=rent,
        startup_s=startup_s,
        min_replicas=0,
        max_replicas=most,
    )


def demand(work: float, usd_per_token: float = 0.05) -> Demand:
    return Demand(work_tokens_per_s=work, frontier_usd_per_s=work * usd_per_token)


@pytest.mark.parametrize(
    ("work", "k", "worth"),
    [
        pytest.param(0, 1, -1.0, id="no demand: the rent is lost"),
        pytest.param(50, 1, 1.5, id="half a replica: 2.50 saved for 1.00"),
        pytest.param(100, 1, 4.0, id="a full replica"),
        pytest.param(150, 1, 4.0, id="a slice is never more than one replica"),
        pytest.param(150, 2, 1.5, id="the second gets the rest"),
        pytest.param(150, 3, -1.0, id="the third would idle"),
    ],
)
def test_a_replica_is_worth_its_slice_minus_rent(work: float, k: int, worth: float) -> None:
    assert worth_usd_per_s(economics(), demand(work), k) == pytest.approx(worth)


def test_a_story_of_one_replica() -> None:
    e, busy, idle = economics(), demand(100), demand(0)
    state = step(e, busy, LevelState(), 15.0)  # forgone 4 USD/s, one start costs 60 USD
    assert (state.on, state.level(1)) == (0, 60.0)
    state = step(e, busy, state, 1.0)
    assert state.on == 1
    state = step(e, idle, state, 60.0)  # loses its rent of 1 USD/s
    assert (state.on, state.level(1)) == (1, 60.0)
    state = step(e, busy, state, 5.0)  # a burst pays most of that back
    assert (state.on, state.level(1)) == (1, 40.0)
    assert step(e, idle, state, 21.0).on == 0


def test_work_that_is_cheaper_at_the_frontier_starts_nothing() -> None:
    cheap = demand(1000, usd_per_token=0.009)  # a full replica saves 0.90 for a rent of 1.00
    assert step(economics(), cheap, LevelState(), 1e6) == LevelState(on=0, accrued_usd=(0.0,) * 8)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="elapsed_s is -1"):
        step(economics(), demand(1), LevelState(), -1.0)


work_rates = st.floats(min_value=0, max_value=2000)
prices = st.floats(min_value=0, max_value=1)
trace = st.lists(st.tuples(work_rates, st.floats(min_value=0, max_value=120)), max_size=40)


def run(path: list[tuple[float, float]], price: float, most: int = 8) -> list[LevelState]:
    state, seen = LevelState(), []
    for work, seconds in path:
        state = step(economics(most=most), demand(work, price), state, seconds)
        seen.append(state)
    return seen


@given(trace, prices)
def test_replay_gives_identical_decisions(path: list[tuple[float, float]], price: float) -> None:
    assert run(path, price) == run(path, price)


@given(trace, prices, st.integers(min_value=0, max_value=5))
def test_never_above_max(path: list[tuple[float, float]], price: float, most: int) -> None:
    assert all(state.on <= most for state in run(path, price, most))


@given(trace)
def test_at_price_zero_nothing_is_ever_started(path: list[tuple[float, float]]) -> None:
    assert all(state.on == 0 for state in run(path, 0.0))


@given(trace, prices, prices)
def test_a_dearer_frontier_never_means_fewer_replicas(
    path: list[tuple[float, float]], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    pairs = zip(run(path, low), run(path, high), strict=True)
    assert all(cheap.on <= dear.on for cheap, dear in pairs)


@given(trace, prices)
def test_no_level_accrues_more_than_one_start(
    path: list[tuple[float, float]], price: float
) -> None:
    for state in run(path, price):
        assert all(0 <= usd <= economics().start_cost_usd for usd in state.accrued_usd)
