"""A new configuration comes while requests are under way or wait."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from overspill.telemetry import names
from tests.clock import play, until
from tests.sidecar import replies
from tests.sidecar.faulty import Script, client
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS, Scene, scene

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ROADS[0]
GOOD = replies.good_whole(Wire.OPENAI)
OTHER = replies.good_whole(Wire.OPENAI, "other")


def test_who_waits_is_served_by_the_endpoints_of_a_new_configuration(tmp_path: Path) -> None:
    async def story() -> None:
        slow = Script(says=(200.0, GOOD))  # in time: after 300 s of silence it is given up
        async with scene(tmp_path, SMALL, slow, other=OTHER) as made:
            base = {**made.stage.base["small"], "slotsPerEndpoint": 1}
            made.stage.configure(queueMaxWaitS=60.0, small=base)
            capacity, room = made.stage.proxy.capacity, made.stage.proxy.room
            under_way = asyncio.create_task(made.ask(stream=False))
            await until(lambda: capacity.in_flight == 1)
            queued = [asyncio.create_task(made.ask(stream=False)) for _ in range(3)]
            await until(lambda: room.waiting == 3)
            new = {**base, "endpoints": [made.other.address]}
            made.stage.configure(small=new)
            for got in await asyncio.gather(*queued):
                assert (got.status, got.headers["x-overspill-tier"]) == (200, "small")
            assert (capacity.in_flight, room.waiting) == (1, 0)
            made.stage.configure(small=base)  # the old one comes back, with its request
            assert (capacity.in_flight, capacity.slots) == (1, 1)
            assert b"other" not in (await under_way).body
            assert capacity.in_flight == 0

    play(story(), patient=True)


def test_reloads_under_load_drop_nothing_and_leak_no_slot(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=(0.05, GOOD)), other=GOOD) as made:
            base, addresses = made.stage.base["small"], [made.first.address, made.other.address]
            lists = [addresses, addresses[:1], [], addresses[1:], addresses]
            made.stage.configure(queueMaxWaitS=20.0)
            asks = []
            for number in range(200):
                slots = 1 + number % 3
                endpoints = lists[number % len(lists)]
                small = {**base, "endpoints": endpoints, "slotsPerEndpoint": slots}
                made.stage.configure(generation=number, small=small)
                asks.append(asyncio.create_task(made.ask(stream=False)))
                await asyncio.sleep(0.013)
                assert made.stage.proxy.capacity.in_flight >= 0
            answers = await asyncio.gather(*asks)
            assert {(got.status, got.complete) for got in answers} == {(200, True)}
            assert len(made.first.asked) + len(made.other.asked) == len(asks)
            capacity = made.stage.proxy.capacity
            assert capacity.in_flight == 0
            assert made.stage.proxy.room.waiting == 0

    play(story(), patient=True)


def test_what_is_no_longer_in_the_policy_is_told_of_no_longer(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, ROADS[1], Script(), other=OTHER) as made:
            first, second = made.stage.base["frontier"]
            made.stage.configure(frontier=[{**first, "credentialFile": "credentials/x"}, second])
            assert {'provider="first"', 'provider="second"'} == await told_of_keys(made)
            made.stage.configure(frontier=[second])
            assert {'provider="second"'} == await told_of_keys(made)

    play(story())


async def told_of_keys(made: Scene) -> set[str]:
    """Providers of whose keys /metrics tells."""
    async with client(made.stage.port) as scraper:
        await scraper.say(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        text = (await scraper.answer(b"GET")).body.decode()
    return set(re.findall(rf"^{names.CREDENTIAL_MISSING}{{.*(provider=.*)}}", text, re.MULTILINE))
