"""The decision: break-even first, then each guardrail with its name in the record."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.scaling import (
    Decision,
    Demand,
    Economics,
    Reason,
    Replicas,
    Situation,
    State,
    Unknown,
    decide,
)

BUSY = Demand(work_tokens_per_s=250.0, frontier_usd_per_s=12.5)
IDLE = Demand(work_tokens_per_s=0.0, frontier_usd_per_s=0.0)
CHEAP = Demand(work_tokens_per_s=250.0, frontier_usd_per_s=0.1)
"""Work that costs less at the frontier than the rent of a replica."""
RIVAL = "HorizontalPodAutoscaler glm-small scales it too; delete one of the two"
LOST = Unknown(reason="PrometheusUnavailable", message="Prometheus did not answer")


def look(
    *,
    demand: Demand | Unknown = BUSY,
    requested: int = 0,
    ready: int = 0,
    unschedulable: int = 0,
    low: int = 0,
    high: int = 8,
    state: State | None = None,
    elapsed_s: float = 1000.0,
    paused: bool = False,
    suspended: str = "",
    rival: str = "",
    absorbing: bool = False,
    tried: bool = False,
    rent: float = 1.0,
) -> Decision:
    economics = Economics(
        capacity_tokens_per_s=100.0,
        rent_usd_per_s=rent,
        startup_s=60.0,
        min_replicas=low,
        max_replicas=high,
    )
    situation = Situation(
        demand=demand,
        replicas=Replicas(requested=requested, ready=ready, unschedulable=unschedulable),
        paused=paused,
        suspended=suspended,
        rival=rival,
        absorbing=absorbing,
        tried=tried,
    )
    return decide(economics, situation, state or State(on=requested), elapsed_s)


CASES = [
    pytest.param({}, 3, Reason.START_PAYS, id="demand for 2.5 replicas pays for three"),
    pytest.param({"elapsed_s": 0.0}, 0, Reason.HOLDING, id="nothing seen yet"),
    pytest.param(
        {"elapsed_s": 15.0, "requested": 5, "demand": IDLE},
        5,
        Reason.HOLDING,
        id="a moment is no reason to stop what runs",
    ),
    pytest.param({"requested": 3, "ready": 0}, 3, Reason.HOLDING, id="pending is never doubled"),
    pytest.param({"requested": 3, "demand": IDLE}, 0, Reason.STOP_PAYS, id="idle replicas stop"),
    pytest.param({"demand": IDLE, "low": 1}, 1, Reason.AT_MIN, id="min holds"),
    pytest.param({"high": 2}, 2, Reason.AT_MAX, id="max holds"),
    pytest.param({"demand": LOST}, 0, Reason.DEMAND_UNKNOWN, id="missing does not start"),
    pytest.param(
        {"demand": LOST, "requested": 5}, 5, Reason.DEMAND_UNKNOWN, id="missing does not stop"
    ),
    pytest.param(
        {"demand": LOST, "requested": 5, "high": 4}, 4, Reason.DEMAND_UNKNOWN, id="max still holds"
    ),
    pytest.param({"paused": True, "requested": 9}, 9, Reason.PAUSED, id="paused is left alone"),
    pytest.param(
        {"suspended": "the budget is spent", "requested": 3}, 0, Reason.SUSPENDED, id="suspended"
    ),
    pytest.param(
        {"requested": 2, "unschedulable": 1}, 2, Reason.UNSCHEDULABLE, id="no more than fits"
    ),
    pytest.param(
        {"requested": 4, "unschedulable": 1},
        3,
        Reason.STOP_PAYS,
        id="what fits is enough: what fits nowhere is given up",
    ),
    pytest.param(
        {"demand": Demand(work_tokens_per_s=200.0, frontier_usd_per_s=10.0), "high": 2},
        2,
        Reason.START_PAYS,
        id="no more than max is wanted, so max holds nothing",
    ),
    pytest.param(
        {"requested": 4, "high": 3}, 3, Reason.AT_MAX, id="a bound that was lowered is no loss"
    ),
    pytest.param(
        {"requested": 5, "high": 3, "demand": CHEAP, "elapsed_s": 0.0},
        3,
        Reason.AT_MAX,
        id="a bound takes effect at once",
    ),
    pytest.param(
        {"requested": 1, "low": 4, "elapsed_s": 0.0}, 4, Reason.AT_MIN, id="and so does min"
    ),
    pytest.param(
        {"rival": RIVAL, "requested": 5}, 5, Reason.ANOTHER_AUTOSCALER, id="a rival is not fought"
    ),
    pytest.param(
        {
            "rival": RIVAL,
            "requested": 9,
            "high": 4,
            "demand": IDLE,
            "suspended": "the budget is spent",
        },
        9,
        Reason.ANOTHER_AUTOSCALER,
        id="not even for a bound or a budget",
    ),
    pytest.param(
        {"rival": RIVAL, "paused": True, "requested": 5}, 5, Reason.PAUSED, id="a person goes first"
    ),
    pytest.param(
        {"absorbing": True, "demand": CHEAP},
        3,
        Reason.BUDGET_EXHAUSTED,
        id="all demand is absorbed",
    ),
    pytest.param(
        {"absorbing": True, "demand": CHEAP, "elapsed_s": 0.0},
        3,
        Reason.BUDGET_EXHAUSTED,
        id="at once",
    ),
    pytest.param(
        {"absorbing": True, "demand": CHEAP, "high": 2}, 2, Reason.AT_MAX, id="absorbed up to max"
    ),
    pytest.param(
        {"absorbing": True, "demand": CHEAP, "requested": 1, "unschedulable": 1},
        1,
        Reason.UNSCHEDULABLE,
        id="absorbed as far as nodes go",
    ),
    pytest.param(
        {"absorbing": True, "demand": LOST, "requested": 1},
        1,
        Reason.DEMAND_UNKNOWN,
        id="nothing is absorbed that is not seen",
    ),
    pytest.param(
        {"absorbing": True, "demand": IDLE, "requested": 3},
        0,
        Reason.STOP_PAYS,
        id="idle all the same",
    ),
    pytest.param(
        {"absorbing": True, "demand": BUSY, "requested": 5, "elapsed_s": 1.0},
        5,
        Reason.HOLDING,
        id="what pays for itself stays",
    ),
    pytest.param({"demand": CHEAP}, 0, Reason.HOLDING, id="else cheap work stays at the frontier"),
]


@pytest.mark.parametrize(("facts", "desired", "reason"), CASES)
def test_the_binding_reason_is_named(facts: dict[str, object], desired: int, reason: str) -> None:
    decision = look(**facts)  # type: ignore[arg-type]
    assert (decision.desired, decision.reason) == (desired, reason), decision.message


def test_unknown_demand_changes_nothing_that_is_remembered() -> None:
    state = look(requested=2).state
    assert look(demand=LOST, requested=2, state=state).state is state


def test_the_message_says_what_is_missing() -> None:
    assert look(demand=LOST, requested=2).message == "holding 2: Prometheus did not answer"


def test_only_a_different_count_is_written() -> None:
    assert [look(requested=n).changes for n in (0, 3)] == [True, False]


@pytest.mark.parametrize("whose", [{"paused": True}, {"rival": RIVAL}])
def test_who_leaves_replicas_to_others_goes_on_from_what_they_made(
    whose: dict[str, object],
) -> None:
    state = State(on=2)
    left = look(requested=6, state=state, **whose)  # type: ignore[arg-type]
    assert (left.desired, left.state.on) == (6, 6)
    assert left.state.outlook is not None  # demand is learned from all the same


def test_absorbed_demand_that_goes_up_and_down_a_little_moves_nothing_down() -> None:
    state, counts = State(), []
    for work in (195.0, 205.0, 195.0, 205.0):
        demand = Demand(work_tokens_per_s=work, frontier_usd_per_s=0.0)
        decision = look(
            demand=demand, requested=state.on, state=state, elapsed_s=15.0, absorbing=True
        )
        state = decision.state
        counts.append(decision.desired)
    assert counts == [2, 3, 3, 3]


def test_the_rest_is_said_to_spill_only_while_it_may() -> None:
    assert "spills" in look(high=2).message
    assert "turned away" in look(high=2, absorbing=True).message


MESSAGES = [
    pytest.param(
        {"elapsed_s": 0.0, "requested": 3}, "no demand was watched yet", id="nothing seen yet"
    ),
    pytest.param({"requested": 3, "demand": IDLE}, "staying never pays", id="no price known"),
    pytest.param({"requested": 3, "demand": CHEAP}, "staying never pays", id="price below rent"),
    pytest.param({}, "its time; starting pays from 30.0%", id="a price known"),
    pytest.param(
        {"requested": 3, "demand": IDLE, "absorbing": True},
        "staying pays from 2.5%",
        id="what is lost is worth 20 rents, whatever its price",
    ),
    pytest.param(
        {"requested": 3, "demand": IDLE, "absorbing": True, "rent": 0.5},
        "staying pays from 2.5%",
        id="and whatever the rent",
    ),
    pytest.param({}, "demand is worth 2.50 replicas; replica 3 is expected", id="what is asked"),
    pytest.param({"demand": CHEAP}, "; none pays for itself", id="nothing to tell of a replica"),
]


@pytest.mark.parametrize(("facts", "said"), MESSAGES)
def test_the_message_never_gives_a_part_that_cannot_be(facts: dict[str, object], said: str) -> None:
    assert said in look(**facts).message  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "desired", "reason"),
    [
        pytest.param({}, 1, Reason.TRIALS, id="none would pay for itself"),
        pytest.param({"requested": 1, "ready": 1}, 1, Reason.TRIALS, id="the last one stays"),
        pytest.param({"demand": BUSY}, 3, Reason.START_PAYS, id="more pay for themselves"),
        pytest.param({"low": 2}, 2, Reason.AT_MIN, id="the policy wants more"),
        pytest.param({"high": 0}, 0, Reason.HOLDING, id="none may be"),
        pytest.param({"demand": LOST}, 1, Reason.DEMAND_UNKNOWN, id="nobody knows the demand"),
        pytest.param({"paused": True}, 0, Reason.PAUSED, id="paused"),
        pytest.param({"suspended": "the budget is spent"}, 0, Reason.SUSPENDED, id="suspended"),
        pytest.param({"rival": RIVAL}, 0, Reason.ANOTHER_AUTOSCALER, id="another autoscaler"),
    ],
)
def test_trials_need_one_replica(facts: dict[str, Any], desired: int, reason: Reason) -> None:
    told: dict[str, Any] = {"demand": IDLE, "tried": True}
    decision = look(**told | facts)
    assert (decision.desired, decision.reason) == (desired, reason)


def test_the_message_says_where_another_price_than_its_own_is_followed() -> None:
    state, moves = State(), []
    for work in ([100.0] * 10 + [0.0] * 10) * 40 + [0.0] * 200:
        demand = Demand(work_tokens_per_s=work, frontier_usd_per_s=0.2 * work)
        decision = look(demand=demand, requested=state.on, state=state, elapsed_s=30.0)
        state = decision.state
        moves += [decision.message] if decision.reason is not Reason.HOLDING else []
    assert moves[0].endswith("; starting pays from 7.5%")
    assert moves[-1].endswith("; staying pays from 1.6%, as that would have cost least until now")
