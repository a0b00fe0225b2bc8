"""Who waits for room, in which order, and how long that may take. Time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import ceil, exp
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
MEMORY_S: Final = 10.0
SHORTEST_RETRY_S: Final = 1
LONGEST_RETRY_S: Final = 30


class PriorityQueue(Generic[T]):
    """Waiters: the highest priority first, and among equals the first come."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, T]] = []
        self._order = count()
        self._gone: set[int] = set()

    def __len__(self) -> int:
        return len(self._heap) - len(self._gone)

    def __iter__(self) -> Iterator[T]:
        gone = self._gone
        return (waiter for _, ticket, waiter in self._heap if ticket not in gone)

    def push(self, priority: int, waiter: T) -> int:
        """Let somebody wait; return the ticket with which to leave."""
        ticket = next(self._order)
        heappush(self._heap, (-priority, ticket, waiter))
        return ticket

    def leave(self, ticket: int) -> None:
        """Stop waiting; nothing where it was popped already."""
        if any(entry[1] == ticket for entry in self._heap):
            self._gone.add(ticket)
            self._tidy()

    def first(self) -> T | None:
        """Return the next in line, who stays in line; None where nobody waits."""
        return self._heap[0][2] if self._heap else None

    def pop(self) -> T | None:
        """Return the next in line, None where nobody waits."""
        if not self._heap:
            return None
        waiter = heappop(self._heap)[2]
        self._tidy()
        return waiter

    def ahead(self, priority: int) -> int:
        """How many would be served before a newcomer of this priority."""
        gone = self._gone
        return sum(-rank >= priority and ticket not in gone for rank, ticket, _ in self._heap)

    def _tidy(self) -> None:
        while self._heap and self._heap[0][1] in self._gone:
            self._gone.discard(heappop(self._heap)[1])


@dataclass(slots=True)
class DrainRate:
    """Slots that came free lately: a decaying count over some ten seconds."""

    _count: float = 0.0
    _at_s: float = field(default=0.0)

    def freed(self, now_s: float) -> None:
        """Count a slot that came free."""
        self._count = self._decayed(now_s) + 1.0
        self._at_s = now_s

    def per_s(self, now_s: float) -> float:
        """Slots per second."""
        return self._decayed(now_s) / MEMORY_S

    def retry_after_s(self, ahead: int, now_s: float) -> int:
        """Whole seconds after which a request behind that many others may find room."""
        rate = self.per_s(now_s)
        if rate * LONGEST_RETRY_S <= ahead + 1:
            return LONGEST_RETRY_S
        return max(SHORTEST_RETRY_S, ceil((ahead + 1) / rate))

    def _decayed(self, now_s: float) -> float:
        return self._count * exp((self._at_s - now_s) / MEMORY_S)
