"""All rules, whatever they are, on any load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings

from overspill.simulate.contest import OPTIMAL, PLAYS, RUNGS, entrants, play
from tests.simulate.loads import load, loads

if TYPE_CHECKING:
    from overspill.simulate.load import Load


@given(loads())
@settings(deadline=None)  # all rules: on a busy machine that takes a while
def test_no_rule_is_cheaper_than_the_optimum_nor_beyond_its_bounds(case: Load) -> None:
    best = play(OPTIMAL, case).outcome.total_cost_usd
    low, high = case.economics.min_replicas, case.economics.max_replicas
    for rule in (one for one in PLAYS if one not in RUNGS):
        result = play(rule, case)
        assert low <= result.requested.min() <= result.requested.max() <= high, rule
        assert result.outcome.total_cost_usd >= best * (1 - 1e-9) - 1e-9, rule


@given(loads(longest=20))
@settings(deadline=None)
def test_playing_again_gives_the_same(case: Load) -> None:
    for rule in entrants(case):
        assert play(rule, case).requested.tolist() == play(rule, case).requested.tolist(), rule


def test_a_rung_is_paid_at_its_own_price() -> None:
    case = load([100, 100], usd_per_token=0.05)
    rungs = {"frontier": case.work_tokens * 0.07, "hosted": case.frontier_usd}
    both = load([100, 100], usd_per_token=0.05, rungs=rungs)
    assert np.isclose(play("frontier", both).outcome.total_cost_usd, 14)
    assert np.isclose(play("hosted", both).outcome.total_cost_usd, 10)
    assert "hosted" in entrants(both)
    assert "hosted" not in entrants(case)
