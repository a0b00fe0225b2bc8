"""What is reserved before a try, what is paid for it, and who is asked where money is short."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from overspill.api.policy import Budget
from overspill.routing.decide import SMALL_FITS, TOO_COMPLEX, TRIAL, Reason
from overspill.sidecar.lender import LocalLender
from overspill.sidecar.purse import WAIT_S, Purse
from overspill.wire.usage import Usage
from tests.sidecar import unplugged
from tests.sidecar.unplugged import (
    FAULT,
    GONE,
    GOOD,
    RESET,
    TOO_LONG,
    Says,
    Script,
    Unplugged,
    now_s,
)
from tests.virtual_time import play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overspill.budget.wallet import Book
    from overspill.sidecar.upstream import UpstreamError

NOON_S = 1_780_000_000.0


@asynccontextmanager
async def paying(
    folder: Path,
    limit: str = "100",
    dear: str = "",
    **scripts: Script,
) -> AsyncIterator[Unplugged]:
    """A sidecar with a budget; `dear` costs ten times as much."""
    says = {name.replace("_", "-"): one for name, one in scripts.items()}
    sidecar = unplugged.unplugged(folder, says, small=int("small-1" in says))
    for one in sidecar.base["frontier"]:
        if one["name"] == dear:
            one["price"] = {"inputPerMTok": "50", "outputPerMTok": "250"}
    sidecar.proxy.money.local_lender = LocalLender(Budget(limit=limit), lambda: NOON_S)
    sidecar.configure()
    yield sidecar
    await sidecar.proxy.money.close()


def purse(sidecar: Unplugged) -> Purse:
    assert sidecar.proxy.money.purse
    return sidecar.proxy.money.purse


def book(sidecar: Unplugged) -> Book:
    return purse(sidecar).wallet.book


@pytest.mark.parametrize(
    ("usage", "unmetered"), [(Usage(input_tokens=3, output_tokens=5), False), (None, True)]
)
def test_the_worst_case_is_reserved_and_what_was_used_is_paid(
    tmp_path: Path, usage: Usage | None, unmetered: bool
) -> None:
    async def story() -> None:
        async with paying(tmp_path, gpt=[GOOD]) as sidecar:
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, TOO_LONG)
            lease = book(sidecar)
            worst = ladder.reserved.worst_usd_micros if ladder.reserved else 0
            assert worst > 3 * 5 + 5 * 25
            assert (lease.held, lease.spent) == (worst, 0)
            cost = worst if unmetered else 3 * 5 + 5 * 25
            assert ladder.charge(usage) == cost
            assert (lease.held, lease.spent) == (0, cost)
            assert lease.unmetered == (cost if unmetered else 0)
            assert ladder.reserved is None
            assert ladder.tally
            assert ladder.tally.cost_usd_micros == cost

    play(story())


@pytest.mark.parametrize(
    ("says", "paid"),
    [
        pytest.param(FAULT, False, id="it refused"),
        pytest.param(GONE, False, id="it was never reached"),
        pytest.param(RESET, True, id="it broke off, and may charge"),
        pytest.param(Says(after_s=99.0), True, id="it was late, and may charge"),
    ],
)
def test_a_failure_costs_nothing_unless_its_provider_may_charge_for_it(
    tmp_path: Path, says: Says | UpstreamError, paid: bool
) -> None:
    async def story() -> None:
        async with paying(tmp_path, gpt=[says]) as sidecar:
            ladder = sidecar.ladder(within_s=20.0)
            assert await sidecar.open(ladder, TOO_LONG) is None
            lease = book(sidecar)
            assert (lease.held, lease.spent) == (0, lease.unmetered)
            assert (lease.spent > 0) is paid
            assert ladder.reserved is None
            assert not ladder.short

    play(story())


def test_who_is_too_dear_is_passed_over_and_nobody_waits_for_money_twice(tmp_path: Path) -> None:
    async def story() -> None:
        async with paying(tmp_path, "0.01", dear="gpt", gpt=[GOOD], opus=[GOOD]) as sidecar:
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, TOO_LONG)
            assert sidecar.hosts == "opus"
            assert (ladder.short, ladder.last) == (True, None)
            assert ladder.pay_until_s == WAIT_S
            assert ladder.runtime.frontier[0].health.usable(now_s())  # it was not asked

    play(story())


def test_the_small_model_costs_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with paying(tmp_path, "0.000001", small_1=[GOOD], gpt=[GOOD]) as sidecar:
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, SMALL_FITS)
            assert ladder.reserved is None

    play(story())


@pytest.mark.parametrize(
    ("on_exhausted", "asked"), [("SmallOnly", "small-1"), ("Reject", ""), ("Suspend", "")]
)
def test_what_cannot_be_paid_falls_back_only_where_the_policy_wants_that(
    tmp_path: Path, on_exhausted: str, asked: str
) -> None:
    async def story() -> None:
        async with paying(tmp_path, "0.000001", small_1=[GOOD], gpt=[GOOD]) as sidecar:
            sidecar.configure(budget={"onExhausted": on_exhausted})
            ladder = sidecar.ladder()
            opened = await sidecar.open(ladder, TOO_COMPLEX)
            assert sidecar.hosts == asked
            assert ladder.short
            assert ladder.reason == (Reason.BUDGET_EXHAUSTED if opened else Reason.SMALL_FITS)

    play(story())


def test_where_nobody_could_be_paid_the_small_models_failure_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with paying(tmp_path, "0.000001", small_1=[FAULT], gpt=[GOOD]) as sidecar:
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, TOO_COMPLEX) is None
            assert ladder.last
            assert ladder.last.body == b"fault"
            assert ladder.reason is Reason.BUDGET_EXHAUSTED

    play(story())


def test_with_money_missing_and_a_failure_it_is_the_failure_that_counts(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"small_1": [GOOD], "gpt": [FAULT], "opus": [GOOD]}
        async with paying(tmp_path, "0.01", dear="opus", **scripts) as sidecar:
            sidecar.configure(budget={"onExhausted": "Reject"})
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, TOO_COMPLEX)
            assert sidecar.hosts == "gpt small-1"
            assert ladder.reason is Reason.FRONTIER_FAILED

    play(story())


def test_a_trial_that_cannot_be_paid_goes_where_it_would_have_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with paying(tmp_path, small_1=[FAULT], gpt=[GOOD]) as sidecar:
            ladder = sidecar.ladder()
            poor = LocalLender(Budget(limit="0.000001"), lambda: NOON_S)
            own = Purse(purse(sidecar).wallet.__class__("", lambda: "t-1", now_s()), poor)
            ladder.purse, ladder.watched, ladder.pay_until_s = own, True, 0.3
            ladder.reason = TRIAL.reason
            assert await sidecar.open(ladder, TRIAL)
            assert sidecar.hosts == "small-1 gpt"
            assert (ladder.reason, ladder.watched) == (Reason.SMALL_FAILED, False)
            assert ladder.purse is purse(sidecar)
            assert not ladder.short
            assert ladder.pay_until_s == ladder.deadline_s
            assert sidecar.decisions == [("frontier", "SmallFailed")]
            await own.close()

    play(story())


@pytest.mark.parametrize(("says", "asked"), [(FAULT, "gpt"), (GOOD, "gpt")])
def test_a_trial_that_fails_for_another_cause_stays_one(
    tmp_path: Path, says: Says, asked: str
) -> None:
    async def story() -> None:
        async with paying(tmp_path, gpt=[says]) as sidecar:
            ladder = sidecar.ladder()
            ladder.watched, ladder.reason = True, TRIAL.reason
            opened = await sidecar.open(ladder, TRIAL)
            assert (sidecar.hosts, ladder.watched) == (asked, True)
            assert (opened is not None and opened.raw is not None) is (says is GOOD)

    play(story())
