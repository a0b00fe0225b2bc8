"""A level-triggered work queue: a key says "look at this again", never what happened to it.

`Schedule` is the whole logic, a plain object to which time is an argument. `WorkQueue` runs it
with a handful of workers.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long a key that keeps failing rests, doubling each time."""

    first_s: float = 1.0
    longest_s: float = 120.0

    def after(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))


@dataclass(slots=True)
class Schedule(Generic[K]):
    """Which keys are due when. A key is worked on by one worker at a time and queued once."""

    backoff: Backoff = field(default_factory=Backoff)
    due_s: dict[K, float] = field(default_factory=dict)
    working: set[K] = field(default_factory=set)
    failures: dict[K, int] = field(default_factory=dict)

    def add(self, key: K, at_s: float) -> None:
        """Have a look at `key` no later than `at_s`."""
        self.due_s[key] = min(at_s, self.due_s.get(key, at_s))

    def take(self, now_s: float) -> K | None:
        """Hand out the longest-due key that nobody works on."""
        ready = [(due, i) for i, (key, due) in enumerate(self.due_s.items()) if self._free(key)]
        if not ready or min(ready)[0] > now_s:
            return None
        key = list(self.due_s)[min(ready)[1]]
        del self.due_s[key]
        self.working.add(key)
        return key

    def done(self, key: K, now_s: float, *, failed: bool) -> None:
        """Give a key back; one that failed comes again after its backoff."""
        self.working.discard(key)
        if not failed:
            self.failures.pop(key, None)
            return
        self.failures[key] = self.failures.get(key, 0) + 1
        self.add(key, now_s + self.backoff.after(self.failures[key]))

    def next_s(self) -> float | None:
        """When the next key that nobody works on is due."""
        return min((due for key, due in self.due_s.items() if self._free(key)), default=None)

    def _free(self, key: K) -> bool:
        return key not in self.working


class WorkQueue(Generic[K]):
    """Workers over a schedule. `run` owns every task it starts and ends with them."""

    def __init__(
        self,
        work: Callable[[K], Awaitable[None]],
        *,
        workers: int = 8,
        backoff: Backoff | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._work = work
        self._workers = workers
        self._schedule: Schedule[K] = Schedule(backoff or Backoff())
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._changed = asyncio.Event()

    def add(self, key: K, delay_s: float = 0.0) -> None:
        """Have `key` looked at within `delay_s` seconds."""
        self._schedule.add(key, self._clock() + delay_s)
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled; a look that is under way at that moment is cancelled too."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            key = await self._next()
            failed = True
            try:
                await self._work(key)
                failed = False
            except Exception:
                log.exception("%s failed; it is tried again", key)
            finally:
                self._schedule.done(key, self._clock(), failed=failed)
                self._changed.set()

    async def _next(self) -> K:
        while (key := self._schedule.take(self._clock())) is None:
            due_s = self._schedule.next_s()
            wait_s = None if due_s is None else max(0.0, due_s - self._clock())
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), wait_s)
            except TimeoutError:
                continue
        return key
