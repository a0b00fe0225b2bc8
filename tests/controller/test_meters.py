"""What the operator shows of a policy is what it says now, and ends when it is not known."""

from __future__ import annotations

from decimal import Decimal

from overspill.budget import BudgetState, Period
from overspill.controller.meters import Meters
from tests.controller.fakes import KEY

Condition = dict[str, str]


def _condition(status: str, reason: str) -> Condition:
    return {"type": "Ready", "status": status, "reason": reason, "message": "m"}


def _lines(meters: Meters, name: str) -> list[str]:
    return [line for line in meters.exposition().decode().splitlines() if line.startswith(name)]


def test_a_condition_is_one_series_that_ends_when_it_says_something_else() -> None:
    meters = Meters()
    meters.show(KEY, {"conditions": [_condition("False", "TargetNotFound")]}, None)
    meters.show(KEY, {"conditions": [_condition("True", "Published")]}, None)
    (line,) = _lines(meters, "overspill_condition{")
    assert line.endswith(
        '{policy="legal/contracts",reason="Published",status="True",type="Ready"} 1.0'
    )
    meters.forget(KEY)
    assert _lines(meters, "overspill_condition{") == []


def test_rent_adds_up_and_ends_with_its_policy() -> None:
    meters = Meters()
    for usd in (0.25, 0.5):
        meters.rented(KEY, usd)
    assert _lines(meters, "overspill_rent_usd_total") == [
        'overspill_rent_usd_total{policy="legal/contracts"} 0.75'
    ]
    meters.forget(KEY)
    assert _lines(meters, "overspill_rent_usd_total") == []


def test_replicas_of_a_target_that_is_gone_are_not_shown_as_they_were() -> None:
    meters = Meters()
    meters.show(KEY, {"replicas": {"desired": 3, "ready": 2}}, None)
    assert len(_lines(meters, "overspill_desired_replicas{")) == 1
    meters.show(KEY, {}, None)
    assert _lines(meters, "overspill_desired_replicas{") == []
    assert _lines(meters, "overspill_ready_replicas{") == []


def test_what_was_spent_of_the_last_period_is_not_shown_as_spent_of_this_one() -> None:
    meters = Meters()
    old = BudgetState(
        period=Period(start_s=0.0, end_s=10.0),
        limit_usd=Decimal(10),
        spent_usd=Decimal(9),
        leased_usd=Decimal(1),
    )
    meters.show(KEY, {}, old)
    assert len(_lines(meters, "overspill_budget_")) == 4
    fresh = BudgetState(period=Period(start_s=10.0, end_s=20.0), limit_usd=Decimal(10))
    meters.show(KEY, {}, fresh)
    assert _lines(meters, "overspill_budget_") == [
        'overspill_budget_limit_usd{policy="legal/contracts"} 10.0'
    ]
