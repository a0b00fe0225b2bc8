"""Trials of live traffic: what waits for the small tier to have little to do.

Nothing here is on a request's way: it begins when the client has its answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from overspill.routing.decide import Tier
from overspill.routing.features import features
from overspill.routing.prompt import prompt_of
from overspill.sidecar.shadow import NotGraded, Watched, tried
from overspill.sidecar.telling import Teller
from overspill.telemetry import names
from overspill.trials.lot import UNSEEN
from overspill.trials.record import Trial, features_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from overspill.routing.capacity import Slot
    from overspill.sidecar.attempt import Opened
    from overspill.sidecar.exchange import Exchange
    from overspill.sidecar.proxy import Proxy
    from overspill.sidecar.runtime import Runtime
    from overspill.trials.grade import Verdict
    from overspill.trials.lot import Draw

WAITING: Final = 64
WAITING_BYTES: Final = 4 * 2**20
"""Of requests and answers that wait; what comes on top is no trial."""
WAITS_S: Final = 600.0
"""The longest that one waits for the small tier to have little to do."""
LOOK_S: Final = 0.25
"""How often it is looked whether it has."""
AT_ONCE: Final = 4
log = logging.getLogger(__name__)


class Trials:
    """All trials of one sidecar. In one event loop."""

    def __init__(self, proxy: Proxy, new_name: Callable[[], str]) -> None:
        self._proxy, self.teller = proxy, Teller(new_name)
        self._waiting: deque[Watched] = deque()
        self._bytes = 0
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def configure(self, runtime: Runtime, folder: Path) -> None:
        """Go on under this configuration. Raises: ValueError where a certificate is none."""
        if not self.teller.configure(runtime, folder):
            self._waiting.clear()
            self._bytes = 0
        if self.teller.listens and not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [
                loop.create_task(self._work_for_ever()),
                loop.create_task(self.teller.tell_for_ever()),
            ]

    @property
    def waiting(self) -> int:
        """How many wait for the small tier."""
        return len(self._waiting)

    # -- what requests tell
    def note(self, exchange: Exchange, drawn: Draw, opened: Opened | None) -> None:
        """Take in how a request ended; `opened` is the answer that its client got in whole.

        What the frontier did not answer is not lost, unless the lot had sent it there: nothing may
        stand for it, as if the frontier had.
        """
        if not self.teller.listens or exchange.runtime.subject != self.teller.subject:
            return
        answered, count = exchange.tier if opened is not None else Tier.NONE, self.teller.count
        if answered is Tier.FRONTIER:
            if drawn.to_frontier:  # else it overflowed, which is no worse than was promised
                count.at_frontier += 1
        elif opened is not None:
            if drawn is UNSEEN or drawn.to_frontier:
                count.unseen += 1
            else:
                count.alone += 1
        if drawn.watched and answered is Tier.FRONTIER:
            self._watch(exchange, drawn, opened)
        elif drawn.paid:  # others stand for what it would have told of the small model
            self._lose(drawn, "unanswered")

    def judged(self, usd_micros: int) -> None:
        """Count what a judge was paid."""
        self.teller.count.spent_usd_micros += usd_micros
        self._proxy.metrics.cell(names.JUDGES_USD).value += usd_micros / 1e6

    def _watch(self, exchange: Exchange, drawn: Draw, opened: Opened | None) -> None:
        watched = self._watched(exchange, drawn, opened)
        if watched is None:
            self._lose(drawn, "no_room")
            return
        self._waiting.append(watched)
        self._bytes += watched.size
        self._wake.set()

    def _watched(self, exchange: Exchange, drawn: Draw, opened: Opened | None) -> Watched | None:
        """Return what is kept of a request; None where there is no room for it."""
        if opened is None or not opened.raw or exchange.asked is None:
            return None
        size = len(opened.call.body) + len(opened.raw)
        full = len(self._waiting) >= WAITING or self._bytes + size > WAITING_BYTES
        if full:
            return None
        return Watched(
            ingress=exchange.ingress,
            ask=exchange.asked,
            runtime=exchange.runtime,
            draw=drawn,
            raw=bytes(opened.raw),
            wire=opened.upstream.target.wire,
            size=size,
            since_s=self._proxy.now_s(),
        )

    def _lose(self, drawn: Draw, why: str) -> None:
        self.teller.count.lost[drawn.paid] += 1
        self.teller.count.missed[drawn.paid] += 1.0 / drawn.seen
        self._proxy.metrics.cell(names.TRIALS, outcome=why).value += 1

    # -- work
    async def _work_for_ever(self) -> None:
        while True:
            self._wake.clear()
            while self._waiting and len(self._running) < AT_ONCE:
                if not self._begin():
                    break
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if self._waiting else None):
                    await self._wake.wait()

    def _begin(self) -> bool:
        """Begin with what has waited longest; False where the small tier has other things to do."""
        proxy, watched = self._proxy, self._waiting[0]
        task: asyncio.Task[None] | None = None
        slot = proxy.room.borrow(lambda: task and task.cancel())
        late = proxy.now_s() - watched.since_s > WAITS_S
        if slot is None and not late:
            return False
        self._waiting.popleft()
        self._bytes -= watched.size
        if slot is None:
            self._lose(watched.draw, "no_room")
            return True
        task = asyncio.get_running_loop().create_task(self._try(watched, slot))
        self._running.add(task)
        task.add_done_callback(partial(self._ended, watched, slot))
        return True

    def _ended(self, watched: Watched, slot: Slot, task: asyncio.Task[None]) -> None:
        """Clean up here: a task that is called off before it began never runs a line."""
        self._running.discard(task)
        self._proxy.room.give_back_loan(slot)
        ours = watched.runtime.subject == self.teller.subject
        if ours and task.cancelled():  # its room was needed: another time, if there is one
            self._waiting.appendleft(watched)
            self._bytes += watched.size
        self._wake.set()

    async def _try(self, watched: Watched, slot: Slot) -> None:
        proxy, lost = self._proxy, ""
        try:
            verdict = await tried(proxy, watched, slot)
        except NotGraded as error:
            lost = str(error)
        except Exception:
            log.exception(json.dumps({"event": "a trial came to nothing"}))
            lost = "error"
        if watched.runtime.subject != self.teller.subject:
            return
        if lost:
            self._lose(watched.draw, lost)
            return
        self.teller.graded(_trial(watched, verdict))
        proxy.metrics.cell(names.TRIALS, outcome="graded").value += 1

    async def stop(self) -> None:
        """End what is under way: what still waits is no trial, and nothing is paid any more."""
        tasks = [*self._tasks, *self._running]
        self._tasks = []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        while self._waiting:
            self._lose(self._waiting.popleft().draw, "no_room")

    async def close(self) -> None:
        """Tell the last of it."""
        await self.stop()
        await self.teller.close()


def _trial(watched: Watched, verdict: Verdict) -> Trial:
    ask, drawn = watched.ask, watched.draw
    words, shape = features_of(features(prompt_of(ask.document, ask.opening)))
    return Trial(
        words=words,
        shape=shape,
        score=drawn.gain,
        small=verdict.small,
        frontier=verdict.frontier,
        sent=drawn.sent,
        seen=drawn.seen,
    )
