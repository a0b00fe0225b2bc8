"""An endpoint that failed is asked by one request before all others come back to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.clock import play, until
from tests.sidecar import replies
from tests.sidecar.faulty import Asked, How, Script, client, post
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS, asking, scene

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ROADS[0]
GOOD = replies.good_whole(Wire.OPENAI)
OTHER = replies.good_whole(Wire.OPENAI, "other")
EJECTED_S = 1.5


def test_one_request_probes_and_one_that_leaves_makes_way_for_the_next(tmp_path: Path) -> None:
    calls = 0

    def says(_: Asked) -> Script:
        nonlocal calls
        calls += 1
        return Script(then=How.RST) if calls == 1 else Script(says=(3.0, GOOD))

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(), other=OTHER) as made:
            made.first.script = says
            await made.ask(stream=False)
            await asyncio.sleep(EJECTED_S)
            async with client(made.stage.port) as probe:
                await probe.say(post(SMALL.path, asking(stream=False)))
                await until(lambda: calls == 2)
                others = await asyncio.gather(*(made.ask(stream=False) for _ in range(5)))
                assert all(b"other" in got.body for got in others)
                assert calls == 2
                probe.leave()
                await until(lambda: made.stage.proxy.capacity.in_flight == 0)
            assert b"other" not in (await made.ask(stream=False)).body

    play(story(), patient=True)
