"""What all doubles share: a request is queued, worked on in ticks, and left when it ends."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from e2e.models.physics import Engine, Job, Speed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp import web

TICK_S = 0.05


class Worker:
    """Runs the engine against the clock."""

    def __init__(
        self, speed: Speed, time_scale: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._scale = clock, time_scale
        self.engine = Engine(speed, self._now_s())

    def _now_s(self) -> float:
        return self._clock() * self._scale

    @asynccontextmanager
    async def job(self, input_tokens: int, output_tokens: int) -> AsyncIterator[Job]:
        """Hold a place in the engine; it is free again however this ends."""
        self.engine.advance(self._now_s())
        number, job = self.engine.submit(input_tokens, output_tokens)
        try:
            yield job
        finally:
            self.engine.leave(number)

    async def steps(self, job: Job) -> AsyncIterator[tuple[int, int]]:
        """Ranges of tokens as they are decoded, until the last."""
        sent = 0
        while True:
            await asyncio.sleep(TICK_S / self._scale)
            self.engine.advance(self._now_s())
            if job.tokens_out > sent:
                yield sent, job.tokens_out
                sent = job.tokens_out
            if job.done:
                return

    async def finish(self, job: Job) -> None:
        """Wait for the last token."""
        async for _ in self.steps(job):
            pass


class Wire:
    """A response stream that can be told to die after some bytes."""

    def __init__(self, response: web.StreamResponse, die_after: int | None) -> None:
        self._response, self._left = response, die_after

    async def event(self, data: dict[str, Any] | str, name: str = "") -> None:
        """Write one server-sent event."""
        text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
        raw = (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()
        if self._left is not None:
            raw, self._left = raw[: self._left], self._left - len(raw)
        await self._response.write(raw)
        if self._left is not None and self._left <= 0:
            raise Died


class Died(Exception):
    """The double was told to die here."""
