"""Learning scores anew from trials: in a thread, one at a time, and never on a look's way."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from overspill.controller.segments import Corrupt, unpacked
from overspill.learning.book import Book
from overspill.learning.lesson import lesson_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from overspill.controller.keys import PolicyKey
    from overspill.controller.plans import Segment
    from overspill.learning.lesson import Lesson

log = logging.getLogger(__name__)


class Tutor:
    """Gives lessons. `run` does the work; looks ask, and collect when they come again."""

    def __init__(self, on_done: Callable[[PolicyKey], None] = lambda _: None) -> None:
        self._on_done = on_done
        self._asked: asyncio.Queue[PolicyKey] = asyncio.Queue()
        self._wanted: dict[PolicyKey, tuple[str, Mapping[str, Segment], str | None]] = {}
        self._given: dict[PolicyKey, tuple[str, Lesson]] = {}
        self._at: PolicyKey | None = None
        """Whose lesson is under way; None where that policy has gone meanwhile."""

    def ask(
        self, key: PolicyKey, subject: str, segments: Mapping[str, Segment], begin_with: str | None
    ) -> None:
        """Ask for a lesson on these trials; a later one takes the place of one that waits."""
        if key not in self._wanted:
            self._asked.put_nowait(key)
        self._wanted[key] = (subject, segments, begin_with)

    def has_taught(self, key: PolicyKey) -> bool:
        """Whether there is something to collect."""
        return key in self._given

    def collect(self, key: PolicyKey, subject: str) -> Lesson | None:
        """Return what was learned of this subject since the last time."""
        told, lesson = self._given.pop(key, ("", None))
        return lesson if told == subject else None

    def forget(self, key: PolicyKey) -> None:
        """A policy is gone."""
        self._wanted.pop(key, None)
        self._given.pop(key, None)
        if self._at == key:
            self._at = None

    async def run(self) -> None:
        """Give lessons for ever."""
        while True:
            await self._give(await self._asked.get())

    async def work_off(self) -> None:
        """Give the lessons that were asked for."""
        while not self._asked.empty():
            await self._give(self._asked.get_nowait())

    async def _give(self, key: PolicyKey) -> None:
        if key not in self._wanted:
            return
        subject, segments, begin_with = self._wanted.pop(key)
        self._at = key
        try:
            lesson = await asyncio.to_thread(_lesson, segments, begin_with)
        except Exception:
            log.exception("nothing was learned from the trials of %s", key)
            return
        if self._at != key:
            return  # it was of a policy that is gone: another by its name has its own trials
        self._given[key] = (subject, lesson)
        self._on_done(key)


def book_of(segments: Mapping[str, Segment]) -> tuple[Book, frozenset[str]]:
    """Read segments, the oldest first; and return the names of those that cannot be read."""
    batches, corrupt = [], set()
    for name, segment in segments.items():
        try:
            batches += unpacked(segment.raw) if segment.raw else []
        except Corrupt as error:
            log.warning("ConfigMap %s is left out: %s", name, error)
            corrupt.add(name)
    return Book.of(batches), frozenset(corrupt)


def _lesson(segments: Mapping[str, Segment], begin_with: str | None) -> Lesson:
    book, _ = book_of(segments)
    return lesson_of(book, begin_with)
