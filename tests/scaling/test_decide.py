"""The decision: break-even first, then each guardrail with its name in the record."""

from __future__ import annotations

import pytest

from overspill.scaling import (
    Decision,
    Demand,
    Economics,
    LevelState,
    Reason,
    Replicas,
    Situation,
    Unknown,
    decide,
)

BUSY = Demand(work_tokens_per_s=250.0, frontier_usd_per_s=12.5)
IDLE = Demand(work_tokens_per_s=0.0, frontier_usd_per_s=0.0)
LOST = Unknown(reason="PrometheusUnavailable", message="Prometheus did not answer")


def look(
    *,
    demand: Demand | Unknown = BUSY,
    requested: int = 0,
    ready: int = 0,
    unschedulable: int = 0,
    low: int = 0,
    high: int = 8,
    state: LevelState | None = None,
    elapsed_s: float = 1000.0,
    paused: bool = False,
    suspended: bool = False,
) -> Decision:
    economics = Economics(
        capacity_tokens_per_s=100.0,
        rent_usd_per_s=1.0,
        startup_s=60.0,
        min_replicas=low,
        max_replicas=high,
    )
    situation = Situation(
        demand=demand,
        replicas=Replicas(requested=requested, ready=ready, unschedulable=unschedulable),
        paused=paused,
        suspended=suspended,
    )
    return decide(economics, situation, state or LevelState(on=requested), elapsed_s)


CASES = [
    pytest.param({}, 3, Reason.START_PAYS, id="demand for 2.5 replicas pays for three"),
    pytest.param({"elapsed_s": 1.0}, 0, Reason.HOLDING, id="not yet paid for"),
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
    pytest.param({"suspended": True, "requested": 3}, 0, Reason.SUSPENDED, id="suspended"),
    pytest.param(
        {"requested": 2, "unschedulable": 1}, 2, Reason.UNSCHEDULABLE, id="no more than fits"
    ),
]


@pytest.mark.parametrize(("facts", "desired", "reason"), CASES)
def test_the_binding_reason_is_named(facts: dict[str, object], desired: int, reason: str) -> None:
    decision = look(**facts)  # type: ignore[arg-type]
    assert (decision.desired, decision.reason) == (desired, reason), decision.message


def test_unknown_demand_neither_gains_nor_loses_what_was_accrued() -> None:
    state = LevelState(on=2, accrued_usd=(0.0, 30.0, 12.0))
    assert look(demand=LOST, requested=2, state=state).state == state


def test_the_message_says_what_is_missing() -> None:
    assert look(demand=LOST, requested=2).message == "holding 2: Prometheus did not answer"


def test_only_a_different_count_is_written() -> None:
    assert [look(requested=n).changes for n in (0, 3)] == [True, False]
