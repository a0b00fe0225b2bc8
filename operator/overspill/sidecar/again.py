"""The small model is asked once more: what it does not say twice alike it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from overspill.sidecar.attempt import AttemptFailed, open_upstream
from overspill.trials.grade import same
from overspill.wire.again import asked_again
from overspill.wire.said import said_in

if TYPE_CHECKING:
    from overspill.sidecar.attempt import Opened
    from overspill.sidecar.ladder import Ladder
    from overspill.wire.ask import Ask
    from overspill.wire.said import Said

SHORT_CHARS: Final = 400
"""Longer texts are never worded alike twice."""


async def says_so_again(
    ladder: Ladder, ask: Ask, opened: Opened, said: Said, until_s: float
) -> bool:
    """Whether a second answer is the same, as far as there is time and room to hear one.

    The first has been read to its end, so the second has its slot; it is asked for only while
    another one is free, so that nobody is kept waiting. `until_s` is in the loop's time.
    """
    short = bool(said.calls) or len(said.text) <= SHORT_CHARS
    if not short or not ladder.proxy.room.spare:
        return True
    second = await _second(ladder, ask, opened, until_s)
    return second is None or same(said, second)


async def _second(ladder: Ladder, ask: Ask, opened: Opened, until_s: float) -> Said | None:
    """Return what the same endpoint says to the same request; None where it fails or is late."""
    proxy, ingress, upstream = ladder.proxy, ladder.ingress, opened.upstream
    meter, tally = proxy.meters.of(upstream, ingress.operation), ladder.tally
    assert tally
    try:
        again = await open_upstream(
            proxy.pool,
            upstream,
            ingress,
            replace(ask, stream=False),
            upstream.own_headers(ladder.request.headers, native=False),
            call=replace(opened.call, body=asked_again(opened.call.body)),
            now_s=proxy.unix_s(),
            deadline_s=until_s,
            keep_raw=True,
        )
    except AttemptFailed as failure:
        if not failure.free:  # it may have worked on it all the same
            tally.discarded(None, meter)
        return None
    again.close()
    tally.discarded(again.usage, meter)
    return said_in(bytes(again.raw or b""), stream=False)
