"""What hindsight could have done: the best constant count, and the best series of all."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.simulate.engine import account
from overspill.simulate.fixed import best_constant, nothing
from overspill.simulate.optimum import optimum
from tests.simulate.loads import load, loads

if TYPE_CHECKING:
    from overspill.simulate.load import Load, Series


def cost(case: Load, requested: Series) -> float:
    return account(case, requested).total_cost_usd


@given(loads())
def test_no_other_constant_is_cheaper_than_static(case: Load) -> None:
    low, high = case.economics.min_replicas, case.economics.max_replicas
    every = [cost(case, np.full(case.steps, count)) for count in range(low, high + 1)]
    assert cost(case, best_constant(case)) == pytest.approx(min(every))


def test_static_asks_once_and_keeps() -> None:
    assert best_constant(load([0] + [300] * 20 + [0])).tolist() == [3] * 22


def test_nothing_owns_nothing_even_where_the_policy_has_a_minimum() -> None:
    assert nothing(load([1, 2], low=2)).tolist() == [0, 0]


@given(loads(longest=6, most=2))
@settings(max_examples=60)
def test_the_optimum_is_the_best_of_all_series(case: Load) -> None:
    low, high = case.economics.min_replicas, case.economics.max_replicas
    every = product(range(low, high + 1), repeat=case.steps)
    best = min(cost(case, np.array(series)) for series in every)
    found = optimum(case)
    assert cost(case, found) == pytest.approx(best)
    assert low <= found.min() <= found.max() <= high


@given(loads(longest=40), st.data())
def test_no_series_is_cheaper_than_the_optimum(case: Load, data: st.DataObject) -> None:
    low, high = case.economics.min_replicas, case.economics.max_replicas
    counts = st.lists(st.integers(low, high), min_size=case.steps, max_size=case.steps)
    best = cost(case, optimum(case)) - 1e-9
    assert best <= cost(case, np.array(data.draw(counts)))


@given(loads(longest=40))
def test_long_idle_gaps_change_no_decision(case: Load) -> None:
    """Steps that cannot matter are left out of the search; the same load with gaps proves it."""
    gap = np.zeros(4 * case.startup_steps + 3)
    twice = load(
        np.concatenate([case.work_tokens, gap, case.work_tokens]).tolist(),
        usd_per_token=np.concatenate([case.usd_per_token, gap, case.usd_per_token]).tolist(),
        startup_s=case.economics.startup_s,
        high=case.economics.max_replicas,
    )
    lead = load(
        np.concatenate([gap, case.work_tokens]).tolist(),
        usd_per_token=np.concatenate([gap, case.usd_per_token]).tolist(),
        startup_s=case.economics.startup_s,
        high=case.economics.max_replicas,
    )
    cold = load(
        case.work_tokens.tolist(),
        usd_per_token=case.usd_per_token.tolist(),
        startup_s=case.economics.startup_s,
        high=case.economics.max_replicas,
    )
    parts = cost(cold, optimum(cold)) + cost(lead, optimum(lead))
    assert cost(twice, optimum(twice)) == pytest.approx(parts)


def test_the_optimum_starts_ahead_of_a_burst_it_foresees() -> None:
    burst = load([0] * 10 + [300] * 5 + [0] * 10, startup_s=30)
    assert optimum(burst).tolist() == [0] * 7 + [3] * 8 + [0] * 10


def test_the_optimum_of_many_levels_is_chunked_without_a_seam() -> None:
    ramp = load([100.0 * n for n in range(1, 151)], startup_s=10, high=1000)
    assert optimum(ramp).tolist() == [*range(2, 151), 150]
