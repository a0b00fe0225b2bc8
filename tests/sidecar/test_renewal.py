"""The purse on a clock that stands still: who waits, in which order, and when it asks."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.budget.lease import LIFE_S, Grant, Report
from overspill.budget.wallet import Wallet
from overspill.sidecar.link import NotAnswered
from overspill.sidecar.purse import EXCHANGE_S, LEAVE_S, RETRY_S, WAIT_S, Purse
from tests.virtual_time import play

if TYPE_CHECKING:
    from collections.abc import Callable

FAR_S = 1e6


class FakeLender:
    """Has so many micro-dollars, and gives what is needed or wanted of them."""

    def __init__(self, money: int) -> None:
        self.money = money
        self.takes_s = 0.0
        self.fails = False
        self.asked_s: list[float] = []
        self.reports: list[Report] = []
        self._ceilings: dict[str, int] = {}

    async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
        self.asked_s.append(asyncio.get_running_loop().time())
        self.reports += reports
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        if self.fails:
            raise NotAnswered("it is away")
        return tuple(map(self._grant, reports))

    def _grant(self, report: Report) -> Grant:
        before = self._ceilings.get(report.lease, 0)
        self.money += before - max(report.keep_usd_micros, report.spent_usd_micros)
        more = min(self.money, report.need_usd_micros or report.want_usd_micros or 0)
        if more < report.need_usd_micros:
            more = 0
        self.money -= more
        ceiling = self._ceilings[report.lease] = report.keep_usd_micros + more
        made = Grant(lease=report.lease, seq=report.seq, ceiling_usd_micros=ceiling, life_s=LIFE_S)
        poor = self.money <= 0 or more < report.need_usd_micros
        return replace(made, over=report.final, exhausted=poor, scarce=poor, resets_in_s=3600.0)


def made(lender: FakeLender) -> Purse:
    numbers = itertools.count(1)
    loop = asyncio.get_running_loop()
    purse = Purse(Wallet("", lambda: f"start-{next(numbers)}", loop.time()), lender)
    purse.start()
    return purse


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_a_request_that_comes_before_the_first_grant_waits_for_it() -> None:
    async def story() -> None:
        lender = FakeLender(1000)
        lender.takes_s = 0.2
        purse = made(lender)
        assert await purse.reserve(100, FAR_S) is not None
        assert now_s() < WAIT_S
        await purse.close()

    play(story())


def test_one_that_fits_waits_for_nobody() -> None:
    async def story() -> None:
        lender = FakeLender(10_000)
        purse = made(lender)
        first = await purse.reserve(100, FAR_S)
        lender.takes_s = 3.0
        before_s = now_s()
        assert first is not None
        first.give_back()
        assert await purse.reserve(50, FAR_S) is not None
        assert now_s() == before_s
        await purse.close()

    play(story())


def test_nobody_waits_longer_than_a_second() -> None:
    async def story() -> None:
        lender = FakeLender(1000)
        lender.takes_s = 4.0
        purse = made(lender)
        assert await purse.reserve(100, FAR_S) is None
        assert now_s() == pytest.approx(WAIT_S)
        await purse.close()

    play(story())


def test_what_was_refused_just_now_does_not_wait_and_what_is_cheaper_is_paid() -> None:
    async def story() -> None:
        purse = made(FakeLender(1000))
        assert await purse.reserve(5000, FAR_S) is None
        refused_s = now_s()
        assert await purse.reserve(5000, FAR_S) is None
        assert now_s() == refused_s
        assert await purse.reserve(900, FAR_S) is not None
        await purse.close()

    play(story())


def test_who_waits_is_served_in_order() -> None:
    async def story() -> None:
        lender = FakeLender(250)
        lender.takes_s = 0.1
        purse = made(lender)
        asked = [asyncio.create_task(purse.reserve(100, FAR_S)) for _ in range(4)]
        got = await asyncio.gather(*asked)
        assert [one is not None for one in got] == [True, True, False, False]
        assert purse.wallet.book.held == 200
        await purse.close()

    play(story())


def test_what_one_request_gives_back_goes_to_the_next_that_waits() -> None:
    async def story() -> None:
        lender = FakeLender(100)
        purse = made(lender)
        first = await purse.reserve(100, FAR_S)
        assert first is not None
        lender.takes_s = 0.9
        waiting = asyncio.create_task(purse.reserve(80, FAR_S))
        await asyncio.sleep(0.3)
        first.settle(10)
        assert await waiting is not None
        assert (purse.wallet.book.spent, purse.wallet.book.held) == (10, 80)
        await purse.close()

    play(story())


def test_who_leaves_while_it_waits_reserves_nothing() -> None:
    async def story() -> None:
        lender = FakeLender(1000)
        lender.takes_s = 0.5
        purse = made(lender)
        waiting = asyncio.create_task(purse.reserve(100, FAR_S))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait((waiting,))
        await asyncio.sleep(1.0)
        assert purse.wallet.book.held == 0
        await purse.close()

    play(story())


def test_who_leaves_as_its_turn_comes_gives_the_money_back() -> None:
    async def story() -> None:
        lender = FakeLender(0)
        lender.takes_s = 0.5
        purse = made(lender)
        waiting = asyncio.create_task(purse.reserve(100, FAR_S))
        await asyncio.sleep(0)
        book = purse.wallet.book
        book.ceiling, book.expires_s = 100, FAR_S
        purse._serve()  # as a renewal does that comes in the same turn of the loop
        assert book.held == 100
        waiting.cancel()
        await asyncio.wait((waiting,))
        assert book.held == 0
        await purse.close()

    play(story())


@pytest.mark.parametrize(
    ("ail", "every_s"),
    [
        pytest.param(lambda lender: setattr(lender, "fails", True), RETRY_S, id="it refuses"),
        pytest.param(
            lambda lender: setattr(lender, "takes_s", 60.0), EXCHANGE_S + RETRY_S, id="it is silent"
        ),
    ],
)
def test_a_lender_that_fails_is_asked_again_and_told_of_once(
    ail: Callable[[FakeLender], None], every_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        lender = FakeLender(1000)
        ail(lender)
        purse = made(lender)
        await asyncio.sleep(3.5 * every_s)
        gaps = [later - sooner for sooner, later in itertools.pairwise(lender.asked_s)]
        assert gaps == pytest.approx([every_s] * 3)
        assert len(caplog.records) == 1
        before_s = now_s()
        assert await purse.reserve(1, FAR_S) is None  # it would wait in vain
        assert now_s() == before_s
        lender.fails, lender.takes_s = False, 0.0
        await asyncio.sleep(2 * every_s)
        assert await purse.reserve(1, FAR_S) is not None
        await purse.close()

    play(story())


def test_an_idle_purse_renews_thrice_a_life() -> None:
    async def story() -> None:
        lender = FakeLender(10**9)
        purse = made(lender)
        first = await purse.reserve(100, FAR_S)
        assert first is not None
        first.give_back()
        await asyncio.sleep(2.0)
        before = len(lender.asked_s)
        await asyncio.sleep(2 * LIFE_S)
        assert len(lender.asked_s) - before == 6
        await purse.close()

    play(story())


def test_a_lease_is_given_back_at_the_end() -> None:
    async def story() -> None:
        lender = FakeLender(1000)
        purse = made(lender)
        first = await purse.reserve(100, FAR_S)
        assert first is not None
        first.settle(60)
        await purse.close()
        assert lender.reports[-1].final
        assert lender.money == 940

    play(story())


def test_a_lender_that_is_silent_at_the_end_keeps_nobody() -> None:
    async def story() -> None:
        lender = FakeLender(1000)
        purse = made(lender)
        assert await purse.reserve(100, FAR_S) is not None
        lender.takes_s = 60.0
        before_s = now_s()
        await purse.close()
        assert now_s() - before_s == pytest.approx(LEAVE_S)

    play(story())


def test_a_purse_out_of_use_waits_for_its_last_request() -> None:
    async def story() -> None:
        lender = FakeLender(1000)
        purse = made(lender)
        last = await purse.reserve(100, FAR_S)
        assert last is not None
        retiring = asyncio.create_task(purse.retire())
        await asyncio.sleep(20.0)
        assert lender.money == 900  # what the request may cost is kept, and no more
        last.settle(100, metered=False)
        await retiring
        assert lender.reports[-1].final
        assert lender.reports[-1].unmetered_usd_micros == 100

    play(story())


@settings(max_examples=150, deadline=None)
@given(
    money=st.integers(0, 2000),
    asks=st.lists(
        st.tuples(
            st.integers(1, 600),  # worst case
            st.floats(0.0, 3.0),  # comes then
            st.floats(0.0, 3.0),  # is cancelled so long after
            st.floats(0.0, 1.0),  # costs such a part of its worst case
        ),
        max_size=12,
    ),
    takes_s=st.floats(0.0, 1.5),
)
def test_whoever_comes_and_leaves_the_books_agree_with_the_lender(
    money: int, asks: list[tuple[int, float, float, float]], takes_s: float
) -> None:
    async def one(purse: Purse, ask: tuple[int, float, float, float]) -> int:
        worst, at_s, leaves_s, part = ask
        await asyncio.sleep(at_s)
        reserved = None
        with suppress(TimeoutError):
            async with asyncio.timeout(leaves_s):
                reserved = await purse.reserve(worst, FAR_S)
        if reserved is None:
            return 0
        await asyncio.sleep(part)
        reserved.settle(cost := int(worst * part))
        return cost

    async def story() -> None:
        lender = FakeLender(money)
        lender.takes_s = takes_s
        purse = made(lender)
        costs = await asyncio.gather(*(one(purse, ask) for ask in asks))
        book = purse.wallet.book
        assert (book.held, book.spent) == (0, sum(costs))
        assert sum(costs) <= money
        await purse.close()
        assert lender.money == money - sum(costs)

    play(story())
