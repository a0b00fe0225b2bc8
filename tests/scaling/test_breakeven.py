"""Break-even: a replica starts where its expected work pays for the start, and stops where not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.scaling import Demand, Economics, State, step
from overspill.scaling.breakeven import worth_ratio


def economics(
    *, capacity: float = 100.0, rent: float = 1.0, startup_s: float = 160.0, most: int = 8
) -> Economics:
    return Economics(
        capacity_tokens_per_s=capacity,
        rent_usd_per_s=rent,
        startup_s=startup_s,
        min_replicas=0,
        max_replicas=most,
    )


def demand(replicas: float, price: float = 5.0) -> Demand:
    """In replicas; `price` is what the work of a full one costs at the frontier, in rents."""
    return Demand(work_tokens_per_s=replicas * 100.0, frontier_usd_per_s=replicas * price)


def counts(*replicas: float, price: float = 5.0, **kwargs: float) -> list[int]:
    """Look every 10 s, from a cold start."""
    state, seen = State(), []
    for one in replicas:
        state = step(economics(**kwargs), demand(one, price), state, 10.0)  # type: ignore[arg-type]
        seen.append(state.on)
    return seen


STARTS = [
    pytest.param(2.0, 5.0, 2, id="full replicas start at the first look"),
    pytest.param(2.5, 5.0, 3, id="half of 5 rents pays for a start"),
    pytest.param(2.25, 5.0, 2, id="a quarter of 5 rents pays for rent, not for a start"),
    pytest.param(2.25, 20.0, 3, id="a quarter of 20 rents does"),
    pytest.param(2.0, 1.4, 2, id="full replicas start wherever they earn their rent"),
    pytest.param(2.8, 1.4, 2, id="one that is nearly full does not, where little is gained"),
    pytest.param(2.0, 0.9, 0, id="work that is cheaper at the frontier starts nothing"),
    pytest.param(2.0, 75.0, 3, id="where spill is dear, a little growth is prepared for"),
    pytest.param(20.0, 5.0, 8, id="never more than there may be"),
]


@pytest.mark.parametrize(("replicas", "price", "on"), STARTS)
def test_what_starts_at_the_first_look(replicas: float, price: float, on: int) -> None:
    assert counts(replicas, price=price) == [on]


def idle_looks_until_stop(price: float) -> int:
    busy, idle = 100, 3000
    found = counts(*[1.0] * busy, *[0.0] * idle, price=price)
    return found[busy:].index(0) if 0 in found[busy:] else idle


def test_an_idle_replica_stays_longer_where_spill_is_dearer() -> None:
    waits = [idle_looks_until_stop(price) for price in (2.0, 5.0, 20.0, 75.0)]
    assert waits == sorted(waits)
    assert waits[0] <= 12
    assert waits[-1] > 4 * waits[0]


def test_what_runs_is_watched_for_half_a_start_up_before_any_of_it_stops() -> None:
    state, seen = State(on=3), []
    for _ in range(40):
        state = step(economics(), demand(0.0), state, 10.0)
        seen.append(state.on)
    assert seen[:7] == [3] * 7
    assert seen[-1] == 0


def test_a_short_dip_stops_nothing() -> None:
    assert counts(*[3.0] * 50, 0.0, *[3.0] * 5)[-6:] == [3] * 6


def test_prices_of_the_last_work_stand_while_there_is_none() -> None:
    state = step(economics(), demand(1.0, 5.0), State(), 10.0)
    for _ in range(5):
        state = step(economics(), demand(0.0), state, 10.0)
    assert state.price.usd_per_token == pytest.approx(0.05)


def test_one_dear_request_among_many_does_not_make_all_work_dear() -> None:
    state = State()
    for _ in range(50):
        state = step(economics(), demand(1.0, 0.8), state, 10.0)
    state = step(economics(), demand(0.5, 4.0), state, 10.0)
    assert state.price.usd_per_token == pytest.approx(0.009, abs=1e-3)
    assert state.on == 0


def test_after_a_long_look_the_price_is_the_one_that_was_seen_and_no_other() -> None:
    state = step(economics(), demand(1.0, 5.0), State(), 10.0)
    state = step(economics(), demand(1.0, 3.0), state, 3600.0)
    assert state.price.usd_per_token == pytest.approx(0.03)


def test_prices_are_a_mean_over_minutes_where_replicas_start_at_once_too() -> None:
    state = step(economics(startup_s=1.0), demand(1.0, 5.0), State(), 10.0)
    state = step(economics(startup_s=1.0), demand(1.0, 3.0), state, 10.0)
    assert state.price.usd_per_token == pytest.approx(0.05, rel=0.05)


def test_no_time_no_news() -> None:
    state = step(economics(), demand(3.0), State(on=1), 0.0)
    assert (state.on, state.use) == (1, None)


def test_a_lowered_max_binds_before_anything_was_seen() -> None:
    assert step(economics(most=2), demand(3.0), State(on=5), 0.0).on == 2


def test_an_edited_capacity_restates_what_is_remembered() -> None:
    state = State()
    for _ in range(50):
        state = step(economics(), demand(4.0), state, 10.0)
    assert step(economics(capacity=200.0), demand(4.0), state, 10.0).on == 2
    assert step(economics(capacity=50.0), demand(4.0), state, 10.0).on == 8


def test_an_edited_capacity_restates_what_other_prices_would_have_cost() -> None:
    """What four replicas would have cost, two do that are twice as large."""
    state = State()
    for _ in range(50):
        state = step(economics(), demand(4.0), state, 10.0)
    twice = step(economics(capacity=200.0), demand(4.0), state, 0.0)
    assert state.hindsight is not None
    assert twice.hindsight is not None
    first, second = state.hindsight.cost[:, :4:2], state.hindsight.cost[:, 1:4:2]
    assert twice.hindsight.cost[:, :2] == pytest.approx((first + second) / 2)


def test_what_was_saved_without_hindsight_goes_on() -> None:
    state = step(economics(), demand(2.0), State(), 10.0)
    assert step(economics(), demand(2.0), replace(state, hindsight=None), 10.0).on == 2


def test_work_can_be_given_a_least_worth() -> None:
    cheap = demand(2.0, 0.1)
    assert step(economics(), cheap, State(), 10.0, least_usd_per_token=0.2).on == 2


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="elapsed_s is -1"):
        step(economics(), demand(1.0), State(), -1.0)


@pytest.mark.parametrize(
    ("rent", "price", "ratio"),
    [(1.0, 0.05, 5.0), (0.0, 0.05, float("inf")), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)],
)
def test_worth_is_counted_in_rents(rent: float, price: float, ratio: float) -> None:
    assert worth_ratio(economics(rent=rent), price) == pytest.approx(ratio)


prices = st.floats(min_value=0, max_value=100)
trace = st.lists(
    st.tuples(st.floats(min_value=0, max_value=20), st.floats(min_value=0, max_value=120)),
    max_size=40,
)


def run(path: list[tuple[float, float]], price: float, most: int = 8) -> list[State]:
    state, seen = State(), []
    for replicas, seconds in path:
        state = step(economics(most=most), demand(replicas, price), state, seconds)
        seen.append(state)
    return seen


def on(states: list[State]) -> list[int]:
    return [state.on for state in states]


@given(trace, prices)
def test_replay_gives_identical_decisions(path: list[tuple[float, float]], price: float) -> None:
    once, again = run(path, price), run(path, price)
    assert on(once) == on(again)
    for one, other in zip(once, again, strict=True):
        assert (one.use is None) == (other.use is None)
        assert one.use is None or one.use.tobytes() == other.use.tobytes()  # type: ignore[union-attr]


@given(trace, prices, st.integers(min_value=0, max_value=5))
def test_never_above_max(path: list[tuple[float, float]], price: float, most: int) -> None:
    assert all(count <= most for count in on(run(path, price, most)))


@given(trace)
def test_at_price_zero_nothing_is_ever_started(path: list[tuple[float, float]]) -> None:
    assert not any(on(run(path, 0.0)))


@given(trace, prices)
def test_never_more_than_the_most_demand_that_was_ever_prepared_for(
    path: list[tuple[float, float]], price: float
) -> None:
    most = 0.0
    for (replicas, _), state in zip(path, run(path, price), strict=True):
        most = max(most, replicas)
        assert state.on < 1.7 * most + 1


@given(trace, prices, prices)
def test_a_dearer_frontier_never_means_fewer_replicas(
    path: list[tuple[float, float]], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    pairs = zip(on(run(path, low)), on(run(path, high)), strict=True)
    assert all(cheap <= dear for cheap, dear in pairs)
