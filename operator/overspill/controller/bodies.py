"""What bodies of requests may take of the operator's memory, whoever sends them.

Anybody who reaches the webhooks' port may begin a large one and never end it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware

MOST_BYTES: Final = 8 * 2**20
"""Of one body. A review holds an object twice, and etcd takes 1.5 MiB of one."""
SMALL_BYTES: Final = 2**16
"""Nearly all pods, policies and leases: these are read however many large ones come."""
LARGE_BYTES: Final = 64 * 2**20
"""Of all larger ones at a time."""
ARRIVES_S: Final = 10.0
"""The longest that a body may take to come; an API server that waits longer has asked in vain."""


def bounded(large_bytes: int = LARGE_BYTES, arrives_s: float = ARRIVES_S) -> Middleware:
    """Return what reads bodies for handlers, within these bounds. In one event loop."""
    taken = 0

    @web.middleware
    async def read(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        nonlocal taken
        size = _size(request)
        if size > SMALL_BYTES and taken + size > large_bytes:
            raise web.HTTPServiceUnavailable(text="too many large requests at once; try again")
        mine = size if size > SMALL_BYTES else 0
        taken += mine
        try:
            await _arrived(request, arrives_s)
            return await handler(request)
        finally:
            taken -= mine

    return read


async def _arrived(request: web.Request, within_s: float) -> None:
    """Read the body; the request keeps it. Raises: web.HTTPException."""
    try:
        async with asyncio.timeout(within_s):
            await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body took more than {within_s:g} s") from None


def _size(request: web.Request) -> int:
    """Return the bytes of the body. Raises: web.HTTPException where they are unknown or many."""
    size = request.content_length
    if size is None:
        if request.body_exists:
            raise web.HTTPLengthRequired(text="say the body's length: content-length")
        return 0
    if size > MOST_BYTES:
        raise web.HTTPRequestEntityTooLarge(MOST_BYTES, size)
    return size
