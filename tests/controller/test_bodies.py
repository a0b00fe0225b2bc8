"""Bodies that are many, large or without an end: what they may take, and who is served then."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from overspill.controller.bodies import MOST_BYTES, SMALL_BYTES, bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio
LARGE = 2 * SMALL_BYTES


@asynccontextmanager
async def serving(arrives_s: float = 60.0) -> AsyncIterator[int]:
    """A server with room for two large bodies, which says how many bytes it was sent."""
    app = web.Application(
        client_max_size=MOST_BYTES, middlewares=[bounded(2 * LARGE, arrives_s=arrives_s)]
    )

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    app.router.add_route("*", "/", answer)
    async with TestServer(app) as server:
        assert server.port
        yield server.port


class Caller:
    """Says bytes, and hears a status and the words."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def say(self, length: int, sent: int, head: str = "content-length: {}") -> None:
        """Announce a body, and send so much of it."""
        lines = f"POST / HTTP/1.1\r\nhost: x\r\n{head.format(length)}\r\n\r\n"
        self.writer.write(lines.encode() + b"x" * sent)
        await self.writer.drain()

    async def hear(self) -> tuple[int, str]:
        """Read one answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return int(head.split()[1]), (await self._reader.readexactly(length)).decode()


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    """Connect to the server."""
    caller = Caller(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield caller
    finally:
        caller.writer.close()


async def asked(port: int, length: int) -> tuple[int, str]:
    async with calling(port) as caller:
        await caller.say(length, length)
        return await caller.hear()


async def test_large_bodies_that_never_end_leave_room_for_small_ones() -> None:
    async with serving() as port, AsyncExitStack() as held:
        for _ in range(2):
            caller = await held.enter_async_context(calling(port))
            await caller.say(LARGE, 1)
            assert await asked(port, SMALL_BYTES) == (200, str(SMALL_BYTES))
        assert await asked(port, LARGE) == (503, "too many large requests at once; try again")
        assert await asked(port, SMALL_BYTES) == (200, str(SMALL_BYTES))


async def test_whose_body_came_makes_room_for_the_next() -> None:
    async with serving() as port:
        assert [await asked(port, LARGE) for _ in range(4)] == [(200, str(LARGE))] * 4


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with serving(arrives_s=0.05) as port, calling(port) as caller:
        await caller.say(LARGE, 1)
        assert await caller.hear() == (408, "the body took more than 0.05 s")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param("transfer-encoding: chunked", 411, id="of unknown length"),
        pytest.param(f"content-length: {MOST_BYTES + 1}", 413, id="too large"),
    ],
)
async def test_what_cannot_be_bounded_is_refused(head: str, status: int) -> None:
    async with serving() as port, calling(port) as caller:
        await caller.say(0, 0, head)
        assert (await caller.hear())[0] == status


async def test_what_has_no_body_is_answered() -> None:
    async with serving() as port, calling(port) as caller:
        await caller.say(0, 0, "x: y")
        assert await caller.hear() == (200, "0")
