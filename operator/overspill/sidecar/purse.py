"""The sidecar's money: a wallet, and the talk with whoever lends that keeps it filled."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from overspill.api.errors import OverspillError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from overspill.budget.lease import Grant, Report
    from overspill.budget.wallet import Book, Wallet

WAIT_S: Final = 1.0
"""The longest that a request waits for money that it does not have yet."""
RETRY_S: Final = 1.0
"""After nobody answered."""
PAUSE_S: Final = 0.02
"""Between two exchanges at least: requests that come together are asked for together."""
FAREWELL_S: Final = 2.0
log = logging.getLogger(__name__)


class NotAnswered(OverspillError):
    """Who lends did not answer, or answered no; the message says why."""


class Purse:
    """Debits at once where it can, and else waits a moment for more. In one event loop."""

    def __init__(
        self,
        wallet: Wallet,
        ask: Callable[[tuple[Report, ...]], Awaitable[Sequence[Grant]]],
    ) -> None:
        self.wallet = wallet
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._now_s = self._loop.time
        self._waiting: list[tuple[int, asyncio.Future[Book | None]]] = []
        self._woken = asyncio.Event()
        self._task = self._loop.create_task(self._keep_filled(), name="leases")
        self.problem = ""
        """Why nobody lends; empty where somebody does."""

    def debit(self, worst_usd_micros: int) -> Book | None:
        """Reserve a request's worst case; None where it does not fit now."""
        wallet = self.wallet
        book = wallet.debit(worst_usd_micros, self._now_s())
        if wallet.low and not self._woken.is_set():
            self._woken.set()
        return book

    async def wait_for(self, worst_usd_micros: int, until_s: float) -> Book | None:
        """Wait for room for a request that does not fit; None where there is none."""
        now_s = self._now_s()
        if self.wallet.hopeless(worst_usd_micros, now_s):
            return None
        turn: asyncio.Future[Book | None] = self._loop.create_future()
        entry = (worst_usd_micros, turn)
        self._waiting.append(entry)
        self._woken.set()
        timer = self._loop.call_at(min(until_s, now_s + WAIT_S), _turn_away, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and (book := turn.result()) is not None:
                self.wallet.settle(book, worst_usd_micros, 0)  # its turn had come, and it left
            raise
        finally:
            timer.cancel()
            with suppress(ValueError):
                self._waiting.remove(entry)

    async def close(self) -> None:
        """Give everything back that no request under way may need. Best effort, and bounded."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for _, turn in self._waiting:
            _turn_away(turn)
        self.wallet.failed()
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._exchange(leaving=True)
        except (NotAnswered, TimeoutError) as error:
            log.warning(json.dumps({"event": "lease not returned", "problem": str(error)}))

    # -- the talk
    async def _keep_filled(self) -> None:
        while True:
            await self._until_due()
            try:
                await self._exchange()
                self._complain("")
            except NotAnswered as error:
                self.wallet.failed()
                self._complain(str(error))
                await asyncio.sleep(RETRY_S)
            self._serve()
            await asyncio.sleep(PAUSE_S)

    async def _until_due(self) -> None:
        now_s = self._now_s()
        due_s = self.wallet.due_s(now_s)
        if not self._waiting and due_s > now_s:
            with suppress(TimeoutError):
                async with asyncio.timeout(due_s - now_s):
                    await self._woken.wait()
        self._woken.clear()

    async def _exchange(self, *, leaving: bool = False) -> None:
        waiting = [worst for worst, turn in self._waiting if not turn.done()]
        reports = self.wallet.reports(self._now_s(), waiting=waiting, leaving=leaving)
        if reports:
            self.wallet.apply(await self._ask(reports), self._now_s())

    def _serve(self) -> None:
        """Let those through who fit now, in the order in which they came."""
        now_s = self._now_s()
        for worst, turn in list(self._waiting):
            if turn.done():
                continue
            book = self.wallet.debit(worst, now_s)
            if book is not None or self.wallet.hopeless(worst, now_s):
                turn.set_result(book)

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            if problem:
                log.warning(json.dumps({"event": "nobody lends", "problem": problem}))
            else:
                log.info(json.dumps({"event": "somebody lends again"}))


def _turn_away(turn: asyncio.Future[Book | None]) -> None:
    if not turn.done():
        turn.set_result(None)
