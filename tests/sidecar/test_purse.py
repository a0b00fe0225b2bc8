"""The talk with whoever lends: ahead of need, one exchange at a time, and nobody waits in vain."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from overspill.budget.account import Limits
from overspill.budget.ledger import Ledger, renew, turned
from overspill.budget.period import Period
from overspill.budget.wallet import Wallet
from overspill.sidecar.link import NotAnswered
from overspill.sidecar.purse import WAIT_S, Purse
from tests.clock import play

if TYPE_CHECKING:
    from overspill.budget.lease import Grant, Report

LATER_S = float("inf")


@dataclass
class Bank:
    """The real ledger, asked without a network."""

    limit_usd_micros: int = 1_000_000
    ledger: Ledger = field(default_factory=lambda: turned(None, Period(start_s=0, end_s=86_400)))
    closed: bool = False
    asked: list[tuple[Report, ...]] = field(default_factory=list)
    under_way: int = 0
    most_at_once: int = 0

    async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.closed:
            raise NotAnswered("the bank is closed")
        self.asked.append(reports)
        limits = Limits(limit_usd_micros=self.limit_usd_micros)
        self.ledger, grants = renew(self.ledger, reports, limits, 100.0)
        return grants

    @property
    def committed(self) -> int:
        return self.ledger.current.committed_usd_micros()


def _purse(bank: Bank) -> Purse:
    numbers = itertools.count(1)
    now_s = asyncio.get_running_loop().time()
    return Purse(Wallet("pod", lambda: f"s-{next(numbers)}", now_s), bank)


@pytest.mark.asyncio
async def test_the_first_request_waits_for_the_first_lease_and_then_fits() -> None:
    bank = Bank()
    purse = _purse(bank)
    assert purse.debit(5_000) is None
    book = await purse.wait_for(5_000, LATER_S)
    assert book is not None
    assert book.held == 5_000
    await purse.close()


@pytest.mark.asyncio
async def test_requests_that_come_together_are_asked_for_together_one_exchange_at_a_time() -> None:
    bank = Bank()
    purse = _purse(bank)
    books = await asyncio.gather(*(purse.wait_for(2_000, LATER_S) for _ in range(10)))
    assert all(books)
    assert bank.most_at_once == 1
    await purse.close()


@pytest.mark.asyncio
async def test_a_request_that_does_not_fit_what_is_left_is_told_so_at_once() -> None:
    bank = Bank(limit_usd_micros=1_000)
    purse = _purse(bank)
    assert await purse.wait_for(1_001, LATER_S) is None
    before = len(bank.asked)
    assert await purse.wait_for(1_001, LATER_S) is None  # refused just now: nobody is asked
    assert len(bank.asked) == before
    book = await purse.wait_for(600, LATER_S)
    assert book is not None
    await purse.close()


@pytest.mark.asyncio
async def test_who_leaves_while_waiting_reserves_nothing() -> None:
    bank = Bank()
    purse = _purse(bank)
    waiting = asyncio.create_task(purse.wait_for(5_000, LATER_S))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    book = await purse.wait_for(5_000, LATER_S)
    assert book is not None
    assert book.held == 5_000
    await purse.close()


@pytest.mark.asyncio
async def test_what_is_left_goes_back_at_the_end() -> None:
    bank = Bank()
    purse = _purse(bank)
    book = await purse.wait_for(5_000, LATER_S)
    assert book is not None
    purse.wallet.settle(book, 5_000, 1_234)
    await purse.close()
    assert bank.committed == 1_234


@pytest.mark.asyncio
async def test_requests_under_way_at_the_end_stay_reserved() -> None:
    bank = Bank()
    purse = _purse(bank)
    assert await purse.wait_for(5_000, LATER_S) is not None
    await purse.close()
    assert bank.committed == 5_000


@pytest.mark.asyncio
async def test_a_bank_that_does_not_answer_is_told_of_and_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("overspill.sidecar.purse.RETRY_S", 0.0)
    bank = Bank(closed=True)
    purse = _purse(bank)
    waiting = asyncio.create_task(purse.wait_for(5_000, LATER_S))
    while not purse.problem:  # noqa: ASYNC110 - nothing to wait on
        await asyncio.sleep(0)
    assert "closed" in purse.problem
    bank.closed = False
    assert await waiting is not None
    assert not purse.problem
    await purse.close()


@pytest.mark.parametrize(
    ("left_s", "told_s"),
    [
        pytest.param(9.5, 10, id="in whole seconds, and none too early"),
        pytest.param(-3.0, 1, id="it has ended"),
        pytest.param(LATER_S, 1, id="nobody has told"),
    ],
)
def test_a_client_is_told_when_the_period_ends(left_s: float, told_s: int) -> None:
    async def story() -> None:
        purse = Purse(Wallet("pod", lambda: "s-1", 0.0), Bank(), start=False)
        purse.wallet.resets_s = asyncio.get_running_loop().time() + left_s
        assert purse.resets_in_s() == told_s

    play(story(), patient=True)


async def _silent(_: tuple[Report, ...]) -> tuple[Grant, ...]:
    await asyncio.Event().wait()
    raise AssertionError


def test_nobody_waits_longer_than_a_second_for_a_bank_that_is_silent() -> None:
    async def story() -> None:
        now_s = asyncio.get_running_loop().time
        purse = Purse(Wallet("pod", lambda: "s-1", now_s()), _silent)
        for until_s, waited_s in ((LATER_S, WAIT_S), (now_s() + WAIT_S + 0.5, 0.5)):
            began_s = now_s()
            assert await purse.wait_for(5_000, until_s) is None
            assert now_s() - began_s == pytest.approx(waited_s, abs=0.01)
        await purse.close()

    play(story(), patient=True)


def test_who_waits_as_the_sidecar_leaves_waits_no_longer() -> None:
    async def story() -> None:
        now_s = asyncio.get_running_loop().time
        purse, began_s = Purse(Wallet("pod", lambda: "s-1", now_s()), _silent), now_s()
        waiting = asyncio.create_task(purse.wait_for(5_000, LATER_S))
        await asyncio.sleep(0.1)  # of the patient clock: the bank was asked
        leaving = asyncio.create_task(purse.close())
        assert await waiting is None
        assert await purse.wait_for(5_000, LATER_S) is None
        assert now_s() - began_s < WAIT_S / 2
        await leaving

    play(story(), patient=True)
