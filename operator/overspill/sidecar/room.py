"""Room at the small tier: taken at once, or waited for in the order of priority."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from overspill.routing.queue import PriorityQueue

if TYPE_CHECKING:
    from collections.abc import Collection

    from overspill.routing.capacity import Slot, SmallCapacity


class Room:
    """Slots of the small tier, and who waits for them. All in one event loop."""

    def __init__(self, capacity: SmallCapacity) -> None:
        self._capacity = capacity
        self._now_s = asyncio.get_running_loop().time
        self._queue: PriorityQueue[asyncio.Future[None]] = PriorityQueue()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    def take(self, without: Collection[str], home: int | None, priority: int) -> Slot | None:
        """Take a slot now, unless somebody waits who goes first."""
        if self._queue and self._queue.ahead(priority):
            return None
        return self._capacity.acquire(self._now_s(), without, home)

    async def wait(self, home: int | None, priority: int, until_s: float) -> Slot | None:
        """Wait for a slot until then, in the loop's time; None where it did not come."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until_s):
                while True:
                    turn = loop.create_future()
                    ticket = self._queue.push(priority, turn)
                    try:
                        await turn
                    finally:
                        self._queue.leave(ticket)
                    slot = self._capacity.acquire(self._now_s(), (), home)
                    if slot is not None:
                        return slot
        except TimeoutError:
            return None
        finally:
            self.call_next()  # a turn that was given and not used is somebody else's

    def give_back(self, slot: Slot) -> None:
        """Free a slot, and let the next in line have it."""
        self._capacity.release(slot, self._now_s())
        self.call_next()

    def call_next(self) -> None:
        """There may be room: let the first in line look."""
        if not self._queue:
            return
        if self._capacity.has_room(self._now_s()):
            turn = self._queue.pop()
            if turn is not None and not turn.done():
                turn.set_result(None)

    def retry_after_s(self, priority: int) -> int:
        """Whole seconds after which to try again, from the rate at which slots come free."""
        ahead = self._queue.ahead(priority)
        return self._capacity.drain.retry_after_s(ahead, self._now_s())
