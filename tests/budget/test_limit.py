"""Spend is believed when seen, kept when not, and never forgotten within its period."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.api.policy import OnExhausted
from overspill.budget import BudgetState, Effect, Period, observe_spend

TODAY = Period(start_s=0.0, end_s=86400.0)
TOMORROW = Period(start_s=86400.0, end_s=172800.0)
LIMIT = Decimal(500)


def spent(usd: str | None, period: Period = TODAY) -> BudgetState:
    return BudgetState(
        period=period, limit_usd=LIMIT, spent_usd=None if usd is None else Decimal(usd)
    )


LOOKS = [
    pytest.param(None, "3.10", TODAY, "3.10", id="first look"),
    pytest.param(None, None, TODAY, None, id="never seen is not zero"),
    pytest.param(spent("3"), None, TODAY, "3", id="unseen keeps what is known"),
    pytest.param(spent("3"), "4", TODAY, "4", id="spend grows"),
    pytest.param(spent("500"), "2", TODAY, "500", id="lost samples reopen nothing"),
    pytest.param(spent("500"), "1", TOMORROW, "1", id="a new period starts anew"),
    pytest.param(spent("500"), None, TOMORROW, None, id="yesterday's spend is not today's"),
]


@pytest.mark.parametrize(("before", "seen", "period", "known"), LOOKS)
def test_one_look_at_the_spend(
    before: BudgetState | None, seen: str | None, period: Period, known: str | None
) -> None:
    state = observe_spend(
        before, period=period, limit_usd=LIMIT, seen_usd=None if seen is None else Decimal(seen)
    )
    assert state == spent(known, period)


EFFECTS = [
    pytest.param("499.99", OnExhausted.REJECT, Effect.OPEN, id="not yet"),
    pytest.param(None, OnExhausted.REJECT, Effect.OPEN, id="unknown"),
    pytest.param("500", OnExhausted.SMALL_ONLY, Effect.SMALL_ONLY, id="small only"),
    pytest.param("500", OnExhausted.REJECT, Effect.REJECT, id="reject"),
    pytest.param("500.01", OnExhausted.SUSPEND, Effect.SUSPEND, id="suspend"),
]


@pytest.mark.parametrize(("usd", "wanted", "effect"), EFFECTS)
def test_the_limit_takes_effect_when_it_is_reached(
    usd: str | None, wanted: OnExhausted, effect: Effect
) -> None:
    assert spent(usd).effect(wanted) is effect


def test_what_is_left_but_bought_nothing_any_more_is_spent() -> None:
    assert replace(spent("499"), refused=True).effect(OnExhausted.REJECT) is Effect.REJECT


@pytest.mark.parametrize(
    ("usd", "limit", "part"),
    [
        pytest.param("125", 500, 0.25, id="a quarter"),
        pytest.param("600", 500, 1.2, id="the limit was lowered"),
        pytest.param(None, 500, None, id="never seen is not zero"),
        pytest.param("0", 0, 1.0, id="of nothing, nothing is left"),
    ],
)
def test_the_part_of_a_limit_that_is_spent(usd: str | None, limit: int, part: float | None) -> None:
    assert replace(spent(usd), limit_usd=Decimal(limit)).used == part


@given(st.lists(st.none() | st.decimals(min_value=0, max_value=1000, places=2)))
def test_an_exhausted_budget_stays_exhausted_until_its_period_ends(
    looks: list[Decimal | None],
) -> None:
    state, was_exhausted = None, False
    for seen in looks:
        state = observe_spend(state, period=TODAY, limit_usd=LIMIT, seen_usd=seen)
        assert state.exhausted or not was_exhausted
        was_exhausted = state.exhausted
