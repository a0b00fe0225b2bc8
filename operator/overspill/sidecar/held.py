"""An answer of the small model that is looked at before the client gets any of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from overspill.sidecar.again import says_so_again
from overspill.sidecar.attempt import AttemptFailed
from overspill.sidecar.upstream import UpstreamError
from overspill.wire.document import read_json
from overspill.wire.errors import UNREADABLE
from overspill.wire.said import said_in
from overspill.wire.verify import Check, problem

if TYPE_CHECKING:
    from overspill.sidecar.attempt import Opened
    from overspill.sidecar.ladder import Ladder
    from overspill.wire.ask import Ask

CHAT: Final = "/chat/completions"
HELD_BYTES: Final = 2 * 2**20
"""Of a stream. A longer answer goes out unchecked, as one that takes too long."""


def is_checked(opened: Opened) -> bool:
    """Whether this is an answer that can be looked at."""
    return opened.raw is not None and opened.call.endpoint == CHAT


async def checked(ladder: Ladder, ask: Ask, opened: Opened) -> Check | None:
    """Return what is wrong with an answer, once it is whole; None where it will do.

    A stream is held until then, within bounds. Raises: AttemptFailed where it breaks off meanwhile.
    """
    runtime = ladder.runtime
    until_s = min(ladder.proxy.now_s() + runtime.hold_s, ladder.deadline_s)
    if opened.stream is not None and not await whole(opened, runtime.hold_s):
        return None
    said = said_in(bytes(opened.raw or b""), stream=opened.stream is not None)
    if said is None:
        return None
    request = read_json(opened.call.body)
    wrong = problem(runtime.checks, request, said, limited=ask.max_tokens is not None)
    if wrong is not None or Check.SELF_CONSISTENCY not in runtime.checks:
        return wrong
    if await says_so_again(ladder, ask, opened, said, until_s):
        return None
    return Check.SELF_CONSISTENCY


async def whole(opened: Opened, hold_s: float) -> bool:
    """Read a stream to its end, and say whether that came in time. What came is kept.

    Raises: AttemptFailed where it breaks off.
    """
    stream, response, raw = opened.stream, opened.response, opened.raw
    assert stream is not None
    assert raw is not None
    try:
        async with asyncio.timeout(hold_s):
            while not stream.done:
                chunk = await response.read()
                opened.first += stream.feed(chunk) if chunk else stream.rest()
                raw += chunk
                if stream.failed is not None or (not chunk and not stream.done):
                    raise AttemptFailed("stream", 502)
                if len(raw) > HELD_BYTES:
                    return False
    except TimeoutError:
        return False
    except UpstreamError as error:
        raise AttemptFailed(error.kind, 502) from None
    except UNREADABLE:
        raise AttemptFailed("garbled", 502) from None
    return True
