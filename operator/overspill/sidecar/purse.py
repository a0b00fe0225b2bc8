"""The sidecar's money: reservations on the hot path, and the task that renews the lease ahead."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import ceil, inf
from typing import TYPE_CHECKING, Final

from overspill.budget.lease import Grant, Report
from overspill.sidecar.link import NotAnswered

if TYPE_CHECKING:
    from overspill.budget.wallet import Book, Wallet

WAIT_S: Final = 1.0
"""The longest that a request waits for money."""
EXCHANGE_S: Final = 5.0
"""The longest that the lender may take."""
RETRY_S: Final = 1.0
APART_S: Final = 0.05
"""Between two renewals, however much one is wanted."""
LEAVE_S: Final = 2.0
"""The longest that giving the lease back may keep a sidecar that leaves."""
SETTLING_S: Final = 3600.0
"""So long a purse that is not used any more waits for its last requests."""
log = logging.getLogger(__name__)

AskLender = Callable[[tuple[Report, ...]], Awaitable[tuple[Grant, ...]]]
"""Sends reports, and returns one grant for each. Raises: NotAnswered."""


class Reservation:
    """What one attempt may cost, taken from the lease until it is known. Ends exactly once."""

    __slots__ = ("_book", "_purse", "worst_usd_micros")

    def __init__(self, purse: Purse, book: Book, worst_usd_micros: int) -> None:
        self._purse, self._book = purse, book
        self.worst_usd_micros = worst_usd_micros

    def settle(self, cost_usd_micros: int, *, metered: bool = True) -> None:
        """Pay, and give the rest back."""
        self._purse.settle(self._book, self.worst_usd_micros, cost_usd_micros, metered=metered)

    def give_back(self) -> None:
        """Nothing was bought."""
        self.settle(0)


class Purse:
    """One wallet, who waits for it, and the task that renews its lease. All in one event loop."""

    def __init__(
        self,
        wallet: Wallet,
        ask_lender: AskLender,
        *,
        offered_usd_micros: Callable[[], float] = float,
        start: bool = True,
    ) -> None:
        """It renews from now on, or from `start()`.

        `offered_usd_micros` says what all traffic so far would have cost if it had been paid for.
        """
        self._loop = asyncio.get_running_loop()
        self.wallet, self.ask_lender = wallet, ask_lender
        self._offered_usd_micros = offered_usd_micros
        self._now_s = self._loop.time
        self._waiting: deque[tuple[int, asyncio.Future[Book | None]]] = deque()
        self._wake = asyncio.Event()
        self._trouble = ""
        """Why the last exchange failed; empty where it did not."""
        self._not_before_s = float("-inf")
        self._task: asyncio.Task[None] | None = None
        if start:
            self.start()

    @property
    def problem(self) -> str:
        """Why nobody lends; empty where somebody does."""
        return self._trouble

    def start(self) -> None:
        """Renew from now on."""
        self._task = self._task or self._loop.create_task(self._renew_for_ever())

    # -- the hot path
    def resets_in_s(self) -> int:
        """Return whole seconds until the period ends, 1 where nobody has told."""
        left_s = self.wallet.resets_s - self._now_s()
        return max(1, ceil(left_s)) if left_s < inf else 1

    def debit(self, worst_usd_micros: int) -> Book | None:
        """Reserve the worst case; None where it does not fit."""
        wallet = self.wallet
        book = wallet.debit(worst_usd_micros, self._now_s())
        if wallet.low:
            self._wake.set()
        return book

    async def wait_for(self, worst_usd_micros: int, until_s: float) -> Book | None:
        """Ask for what does not fit, and wait, in line, for a second at most; None in vain."""
        now_s = self._now_s()
        until_s = min(until_s, now_s + WAIT_S)
        if self._trouble or until_s <= now_s or self.wallet.hopeless(worst_usd_micros, now_s):
            return None
        turn: asyncio.Future[Book | None] = self._loop.create_future()
        entry = (worst_usd_micros, turn)
        self._waiting.append(entry)
        timer = self._loop.call_later(until_s - now_s, _turn_away, turn)
        self._wake.set()
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and (book := turn.result()) is not None:
                self.settle(book, worst_usd_micros, 0)  # its turn had come as it left
            raise
        finally:
            timer.cancel()
            with suppress(ValueError):
                self._waiting.remove(entry)

    async def reserve(self, worst_usd_micros: int, until_s: float) -> Reservation | None:
        """Reserve it, at once where it fits."""
        book = self.debit(worst_usd_micros)
        if book is None:
            book = await self.wait_for(worst_usd_micros, until_s)
        return None if book is None else Reservation(self, book, worst_usd_micros)

    def settle(self, book: Book, worst: int, cost: int, *, metered: bool = True) -> None:
        """Give a reservation back, and take what the request did cost, in micro-dollars."""
        self.wallet.settle(book, worst, cost, metered=metered)
        if self._waiting:
            self._serve()
        if book is not self.wallet.book:  # a lease that is over waits for this alone
            self._wake.set()

    def _serve(self) -> None:
        """Hand out what there is, to the first in line first; who waits in vain goes at once."""
        now_s = self._now_s()
        for worst, turn in self._waiting:
            if turn.done():
                continue
            book = self.wallet.debit(worst, now_s)
            if book is not None or self.wallet.hopeless(worst, now_s):
                turn.set_result(book)

    # -- renewal
    async def _renew_for_ever(self) -> None:
        while True:
            await self._until_due()
            self._wake.clear()
            await self.renew()

    async def _until_due(self) -> None:
        while True:
            now_s = self._now_s()
            due_s = now_s if self._waits() else self.wallet.due_s(now_s)
            due_s = max(due_s, self._not_before_s)
            if due_s <= now_s:
                return
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(due_s - now_s):
                    await self._wake.wait()

    def _waits(self) -> tuple[int, ...]:
        return tuple(worst for worst, turn in self._waiting if not turn.done())

    async def renew(self, *, leaving: bool = False) -> bool:
        """Tell the lender how it stands, and take its answer; say whether it came."""
        wallet, now_s = self.wallet, self._now_s()
        reports = wallet.reports(
            now_s,
            waiting=self._waits(),
            leaving=leaving,
            offered_usd_micros=self._offered_usd_micros(),
        )
        try:
            async with asyncio.timeout(LEAVE_S if leaving else EXCHANGE_S):
                grants = await self.ask_lender(reports)
        except (NotAnswered, TimeoutError) as error:
            wallet.failed()
            self._failed(str(error) or "it did not answer in time")
        except Exception as error:  # a fault of ours, and no reason never to ask again
            wallet.failed()
            self._failed(repr(error))
        except BaseException:
            wallet.failed()
            raise
        else:
            self._trouble = ""
            wallet.apply(grants, self._now_s())
            self._not_before_s = self._now_s() + APART_S
        self._serve()
        return not self._trouble

    def _failed(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning(json.dumps({"event": "the lease was not renewed", "problem": trouble}))
        self._trouble = trouble
        self._not_before_s = self._now_s() + RETRY_S

    # -- leaving
    async def close(self) -> None:
        """Give back what is not spent, once all requests have ended."""
        await self._stop()
        if self.wallet.book.seq or not self.wallet.settled:
            await self.renew(leaving=True)

    async def retire(self) -> None:
        """No request begins with it any more: give back now, and the rest as its requests end."""
        await self._stop()
        end_s = self._now_s() + SETTLING_S
        while self.wallet.book.seq or not self.wallet.settled:
            self._wake.clear()
            await self.renew(leaving=True)
            if self.wallet.settled or self._now_s() >= end_s:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S if self._trouble else EXCHANGE_S):
                    await self._wake.wait()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        self._trouble = self._trouble or "the sidecar leaves"
        for _, turn in self._waiting:
            _turn_away(turn)


def _turn_away(turn: asyncio.Future[Book | None]) -> None:
    if not turn.done():
        turn.set_result(None)
