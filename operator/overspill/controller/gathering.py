"""Writing for many at once: what waits while a write is under way goes into the next one."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from overspill.api.errors import OverspillError
from overspill.controller import credentials
from overspill.controller.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from overspill.controller.credentials import Bearer
    from overspill.controller.keys import Manifest, PolicyKey

TRIES: Final = 8
"""Of one write: a rival replica can win some of them."""
GATHER_S: Final = 0.01
"""Before a write: what comes meanwhile goes with it."""
log = logging.getLogger(__name__)

Said = TypeVar("Said")
Answer = TypeVar("Answer")


class NoSuchPolicy(OverspillError):
    """There is no such policy, or it has no use for what a sidecar sends (404)."""


@dataclass(frozen=True, slots=True)
class Waiter(Generic[Said, Answer]):
    """A sidecar that has said something and waits for the answer."""

    bearer: Bearer
    said: Said
    turn: asyncio.Future[Answer]

    def answer(self, answer: Answer) -> None:
        """Let it go on."""
        if not self.turn.done():
            self.turn.set_result(answer)

    def refuse(self, error: Exception) -> None:
        """Turn it away."""
        if not self.turn.done():
            self.turn.set_exception(error)


class Gathering(Generic[Said, Answer]):
    """Hands what has gathered to `commit`, which answers each; policy by policy, in turn.

    What `commit` raises, all hear who still wait. In one event loop.
    """

    def __init__(
        self,
        what: str,
        commit: Callable[[PolicyKey, list[Waiter[Said, Answer]]], Awaitable[None]],
        gather_s: float = GATHER_S,
    ) -> None:
        self._what, self._commit, self._gather_s = what, commit, gather_s
        self._waiting: dict[PolicyKey, list[Waiter[Said, Answer]]] = {}

    async def ask(self, key: PolicyKey, bearer: Bearer, said: Said) -> Answer:
        """Wait for one's turn, and return the answer. Raises: Foreign, and what `commit` raises."""
        credentials.check_label(bearer, key)
        turn: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiter = Waiter(bearer, said, turn)
        if key in self._waiting:
            self._waiting[key].append(waiter)
        else:
            self._waiting[key] = [waiter]
            task = asyncio.create_task(self._serve(key), name=f"{self._what} of {key}")
            turn.add_done_callback(lambda _: task)  # a task that nobody holds may vanish
        return await turn

    async def _serve(self, key: PolicyKey) -> None:
        """Work off what waits, one write for all that has gathered."""
        while self._waiting[key]:
            await asyncio.sleep(self._gather_s)
            batch, self._waiting[key] = self._waiting[key], []
            try:
                await self._commit(key, batch)
            except Exception as error:
                if not isinstance(error, OverspillError):
                    log.exception("%s of %s", self._what, key)
                for waiter in batch:
                    waiter.refuse(_told(error))
        del self._waiting[key]


def belonging(
    waiters: list[Waiter[Said, Answer]], key: PolicyKey, policy: Manifest
) -> list[Waiter[Said, Answer]]:
    """Turn away whom the policy does not select, and return the others."""
    ours = []
    for waiter in waiters:
        try:
            credentials.check(waiter.bearer, key, policy)
        except credentials.Foreign as error:
            waiter.refuse(error)
        else:
            ours.append(waiter)
    return ours


def _told(error: Exception) -> OverspillError:
    if isinstance(error, OverspillError):
        return error
    return Unavailable("internal error of the operator; its log says more")
