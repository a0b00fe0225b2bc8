"""The fluid simulation: what a series of requests costs, and what a rule gets to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.simulate.engine import account, flow, run, trailing_minimum
from tests.simulate.loads import load, loads

if TYPE_CHECKING:
    from overspill.simulate.load import Load
    from overspill.simulate.rule import Seen


class Script:
    """Asks for what it was told to, and writes down what it saw."""

    name = "script"

    def __init__(self, wanted: list[int]) -> None:
        self.wanted = wanted
        self.seen: list[tuple[float, float, float, float, int, int]] = []

    def desired(self, seen: Seen) -> int:
        self.seen.append(
            (
                seen.now_s,
                seen.work_tokens_per_s,
                seen.frontier_usd_per_s,
                seen.served_tokens_per_s,
                seen.requested,
                seen.ready,
            )
        )
        return self.wanted[len(self.seen) - 1]


def test_a_replica_costs_at_once_and_works_after_its_start() -> None:
    outcome = account(load([100, 100, 100, 150], startup_s=20), np.array([1, 1, 1, 1]))
    spilled = 100 + 100 + 50
    assert outcome.gpu_cost_usd == 4
    assert outcome.frontier_cost_usd == pytest.approx(spilled * 0.05)
    assert outcome.total_cost_usd == pytest.approx(4 + spilled * 0.05)
    assert outcome.spilled_share == pytest.approx(spilled / 450)


@pytest.mark.parametrize(
    ("startup_s", "requested", "ready"),
    [
        pytest.param(10, [1, 1, 1], [0, 1, 1], id="one step"),
        pytest.param(11, [1, 1, 1], [0, 0, 1], id="a started step is waited for"),
        pytest.param(20, [1, 0, 1, 1, 1], [0, 0, 0, 0, 1], id="an interrupted start begins anew"),
        pytest.param(10, [2, 1, 2, 2], [0, 1, 1, 2], id="the youngest goes first"),
        pytest.param(100, [3, 3], [0, 0], id="never ready"),
    ],
)
def test_ready_follows_requested(startup_s: float, requested: list[int], ready: list[int]) -> None:
    case = load([0.0] * len(requested), startup_s=startup_s)
    assert flow(case, np.array(requested)).ready.tolist() == ready


def test_starts_and_stops_count_replicas() -> None:
    outcome = account(load([0] * 5), np.array([2, 5, 1, 1, 3]))
    assert (outcome.starts, outcome.stops, outcome.peak_replicas) == (7, 4, 5)


def test_no_work_is_no_share_of_it() -> None:
    assert account(load([0, 0]), np.array([0, 0])).spilled_share == 0


def test_a_rule_knows_only_the_steps_before() -> None:
    script = Script([1, 1, 1, 0])
    run(load([50, 150, 150, 70], startup_s=20), script)
    assert script.seen == [
        (0.0, 0.0, 0.0, 0.0, 0, 0),
        (10.0, 5.0, 0.25, 0.0, 1, 0),
        (20.0, 15.0, 0.75, 0.0, 1, 1),
        (30.0, 15.0, 0.75, 10.0, 1, 1),
    ]


def test_the_policy_bounds_every_rule() -> None:
    assert run(load([0] * 3, low=1, high=3), Script([0, 2, 9])).tolist() == [1, 2, 3]


def test_progress_is_told() -> None:
    told: list[int] = []
    run(load([0] * 5000), Script([0] * 5000), told.append)
    assert told == [0, 4096]


counts = st.lists(st.integers(0, 6), min_size=1, max_size=60)


@given(counts, st.integers(1, 80))
def test_trailing_minimum_is_what_it_says(values: list[int], window: int) -> None:
    cold = [0] * window + values
    expected = [min(cold[i + 1 : i + window + 1]) for i in range(len(values))]
    assert trailing_minimum(np.array(values), window).tolist() == expected


@given(loads(), st.data())
def test_the_loop_and_the_account_agree_on_what_is_ready(case: Load, data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(0, 6), min_size=case.steps, max_size=case.steps))
    script = Script(wanted)
    requested = run(case, script)
    served = case.work_tokens - flow(case, requested).spilled_tokens
    assert [seen[3] for seen in script.seen[1:]] == pytest.approx(served[:-1] / case.step_s)
    assert [seen[4] for seen in script.seen] == [0, *requested[:-1]]
