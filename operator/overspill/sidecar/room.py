"""Room at the small tier: taken at once, or waited for in the order of priority."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overspill.routing.queue import PriorityQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from overspill.routing.capacity import Slot, SmallCapacity

LITTLE: Final = 0.5
"""Of its slots taken, and the tier is no longer idle."""
TICK_S: Final = 0.001
"""The loop's clock is good to this: a timer may come so much early."""


@dataclass(frozen=True, slots=True)
class _Waiter:
    turn: asyncio.Future[Slot | None]
    """Its slot; None where it waits in vain."""
    home: int | None
    until_s: float


class Room:
    """Slots of the small tier, and who waits for them. All in one event loop.

    A slot that comes free is handed to the first in line, so nobody takes it in between.
    """

    def __init__(self, capacity: SmallCapacity) -> None:
        self._capacity = capacity
        self._loop = asyncio.get_running_loop()
        self._now_s = self._loop.time
        self._queue: PriorityQueue[_Waiter] = PriorityQueue()
        self._on_loan: list[tuple[Slot, Callable[[], object]]] = []
        """Slots of work that gives way, and how it is ended."""
        self._look: asyncio.TimerHandle | None = None
        self._look_s = float("inf")

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def spare(self) -> bool:
        """Whether a slot is free and nobody waits: there is time for what need not be done."""
        return not self._queue and self._capacity.has_room(self._now_s())

    def take(self, without: Collection[str], home: int | None, priority: int) -> Slot | None:
        """Take a slot now, unless somebody waits who goes first."""
        if self._queue and self._queue.ahead(priority):
            return None
        slot = self._capacity.acquire(self._now_s(), without, home)
        while slot is None and self._on_loan:
            self._call_in()
            slot = self._capacity.acquire(self._now_s(), without, home)
        return slot

    def borrow(self, end: Callable[[], object]) -> Slot | None:
        """Take a slot for work that can wait, while the tier has little to do; None where not.

        Where somebody else has no room, `end` is called, and the slot is gone at once.
        """
        capacity = self._capacity
        if self._queue or capacity.in_flight >= LITTLE * capacity.slots:
            return None
        slot = capacity.acquire(self._now_s())
        if slot is not None:
            self._on_loan.append((slot, end))
        return slot

    def _call_in(self) -> None:
        slot, end = self._on_loan.pop()
        self._capacity.release(slot, self._now_s())
        end()

    async def wait(self, home: int | None, priority: int, until_s: float) -> Slot | None:
        """Wait for a slot until then, in the loop's time; None where none can or did come."""
        turn: asyncio.Future[Slot | None] = self._loop.create_future()
        ticket = self._queue.push(priority, _Waiter(turn, home, until_s))
        timer = self._loop.call_at(until_s, _turn_away, turn)
        self.call_next()
        slot = None
        try:
            slot = await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn had come, and it left before it knew
                slot = turn.result()
            if slot is not None:
                self.give_back(slot)
            raise
        finally:
            timer.cancel()
            if slot is None:
                self._queue.leave(ticket)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Free a slot, and let the next in line have it."""
        self._capacity.release(slot, self._now_s())
        self.call_next()

    def give_back_loan(self, slot: Slot) -> None:
        """Free a borrowed slot, if it was not called in."""
        for place, (lent, _) in enumerate(self._on_loan):
            if lent is slot:
                del self._on_loan[place]
                self.give_back(slot)
                return

    def call_next(self) -> None:
        """There may be room: hand it out, to the first in line first."""
        while (waiter := self._queue.first()) is not None:
            if not waiter.turn.done():
                slot = self._capacity.acquire(self._now_s(), (), waiter.home)
                if slot is None:
                    self._expect_room()
                    return
                waiter.turn.set_result(slot)
            self._queue.pop()

    def _expect_room(self) -> None:
        """Look again when the next endpoint comes back; who cannot wait so long goes at once."""
        now_s = self._now_s()
        back_s = self._capacity.next_return_s(now_s)
        if not self._capacity.has_healthy(now_s):
            for waiter in self._queue:
                if waiter.until_s < back_s:
                    _turn_away(waiter.turn)
        if back_s != self._look_s:
            if self._look is not None:
                self._look.cancel()
            self._look_s = back_s
            if back_s < float("inf"):
                self._look = self._loop.call_at(back_s + TICK_S, self.call_next)

    def retry_after_s(self, priority: int) -> int:
        """Whole seconds after which to try again, from the rate at which slots come free."""
        ahead = self._queue.ahead(priority)
        return self._capacity.drain.retry_after_s(ahead, self._now_s())


def _turn_away(turn: asyncio.Future[Slot | None]) -> None:
    if not turn.done():
        turn.set_result(None)
