"""A sidecar that outlives many examples, what it logs, and what its upstreams were asked."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

from overspill.sidecar.request import Limits
from tests.sidecar.faulty import Script, client
from tests.sidecar.scene import Road, Scene, scene

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

T = TypeVar("T")
LIMITS = Limits(body_bytes=2000, header_bytes=2000)


class Complaints(logging.Handler):
    """Everything that was logged as an error, by asyncio too."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.said.append(self.format(record))


@dataclass(repr=False)
class Theatre:
    """One scene for many examples."""

    scene: Scene
    runner: asyncio.Runner
    complaints: Complaints

    def play(self, story: Coroutine[Any, Any, T]) -> T:
        """Run one example."""
        return self.runner.run(story)

    def reset(self) -> None:
        """Forget what was asked before, and how it went."""
        stage, first = self.scene.stage, self.scene.first
        small, providers = stage.base["small"], stage.base["frontier"]
        strangers = [{**one, "name": f"not-{one['name']}"} for one in providers]
        stage.configure(small={**small, "endpoints": []}, frontier=strangers)
        stage.configure(small=small, frontier=providers)
        for upstream in (first, self.scene.other):
            upstream.asked.clear()
            upstream.illegal.clear()
        self.complaints.said.clear()

    async def converse(self, pieces: list[bytes]) -> bytes:
        """Say all this on one connection; return everything that comes back until it is closed."""
        raw = b""
        async with client(self.scene.stage.port) as app:
            talking = asyncio.create_task(app.say(*pieces))
            try:
                while data := await app.hear():
                    raw += data
            finally:
                talking.cancel()
        return raw


@contextmanager
def theatre(
    folder: Path, road: Road, *, other: bytes = b"", limits: Limits | None = LIMITS
) -> Iterator[Theatre]:
    """Open it, on the loop that production uses."""
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    stack = AsyncExitStack()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        entering = stack.enter_async_context(
            scene(folder, road, Script(), other=other, limits=limits)
        )
        try:
            yield Theatre(runner.run(entering), runner, complaints)
        finally:
            runner.run(stack.aclose())
            logging.getLogger().removeHandler(complaints)
