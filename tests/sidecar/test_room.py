"""Waiting for room: nobody loses a turn, and room that nobody gave back is found too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from overspill.routing.capacity import Slot, SmallCapacity
from overspill.sidecar.room import Room
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
WAIT_S = 60.0


class Waiting:
    """One endpoint, and everybody who waits for it by name."""

    def __init__(self, slots: int = 1) -> None:
        self.capacity = SmallCapacity()
        self.capacity.configure(["a"], slots)
        self.room = Room(self.capacity)
        self.served: list[str] = []
        self.slots: dict[str, Slot | None] = {}

    def take(self, priority: int = 0) -> Slot | None:
        """Take a slot as a newcomer does."""
        return self.room.take((), None, priority)

    async def wait(self, name: str, priority: int = 0) -> asyncio.Task[None]:
        """Let somebody wait for a minute."""

        async def wait() -> None:
            self.slots[name] = await self.room.wait(None, priority, now_s() + WAIT_S)
            self.served.append(name)

        task = asyncio.create_task(wait())
        await settle()
        return task

    async def give_back(self, slot: Slot | None) -> None:
        """Free a slot, and let those who are called come."""
        assert slot
        self.room.give_back(slot)
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def now_s() -> float:
    return asyncio.get_running_loop().time()


# -- turns
@pytest.mark.parametrize("newcomer", [-1, 0, 1])
def test_a_newcomer_does_not_take_the_slot_of_who_was_called(newcomer: int) -> None:
    async def story() -> None:
        small = Waiting()
        held = small.take()
        assert held
        waiter = await small.wait("waiter")
        small.room.give_back(held)  # the waiter is called, and runs after what runs now
        assert small.take(newcomer) is None
        await waiter
        assert small.slots["waiter"]
        assert (small.capacity.in_flight, small.room.waiting) == (1, 0)

    play(story(), patient=True)


def test_each_slot_that_comes_free_goes_to_the_first_in_line() -> None:
    async def story() -> None:
        small = Waiting()
        slot = small.take()
        for name, priority in (("first", 0), ("second", 0), ("last", -1), ("urgent", 1)):
            await small.wait(name, priority)
        for number, name in enumerate(("urgent", "first", "second", "last"), 1):
            await small.give_back(slot)
            slot = small.slots[name]
            assert len(small.served) == number
        assert small.served == ["urgent", "first", "second", "last"]

    play(story(), patient=True)


def test_who_leaves_just_as_its_turn_comes_leaves_the_slot_to_the_next() -> None:
    async def story() -> None:
        small = Waiting()
        held = small.take()
        assert held
        leaving, staying = await small.wait("leaving"), await small.wait("staying")
        small.room.give_back(held)
        leaving.cancel()
        await staying
        assert small.served == ["staying"]
        assert (small.capacity.in_flight, small.room.waiting) == (1, 0)

    play(story(), patient=True)


def test_who_left_before_its_turn_is_passed_over() -> None:
    async def story() -> None:
        small = Waiting()
        held = small.take()
        assert held
        leaving, staying = await small.wait("leaving"), await small.wait("staying")
        leaving.cancel()  # and has not run since
        small.room.give_back(held)
        await staying
        assert small.served == ["staying"]
        assert (small.capacity.in_flight, small.room.waiting) == (1, 0)

    play(story(), patient=True)


def test_who_waits_in_vain_waits_no_longer_than_it_may_and_leaves_no_gap() -> None:
    async def story() -> None:
        small = Waiting()
        held, began_s = small.take(), now_s()
        first = await small.wait("first")
        await first
        assert small.slots["first"] is None
        assert now_s() - began_s >= WAIT_S
        assert small.room.waiting == 0
        second = await small.wait("second")
        await small.give_back(held)
        await second
        assert small.slots["second"]

    play(story(), patient=True)


# -- work that can wait
@pytest.mark.parametrize(("taken", "lent"), [(0, True), (1, True), (2, False)])
def test_a_slot_is_lent_only_while_there_is_little_to_do(taken: int, lent: bool) -> None:
    async def story() -> None:
        small = Waiting(slots=4)
        for _ in range(taken):
            assert small.take()
        assert (small.room.borrow(lambda: None) is not None) is lent
        assert small.capacity.in_flight == taken + lent

    play(story(), patient=True)


def test_a_slot_that_is_lent_is_called_in_once_somebody_has_no_room() -> None:
    async def story() -> None:
        small, ended = Waiting(slots=2), list[str]()
        lent = small.room.borrow(lambda: ended.append("lent"))
        assert lent
        assert small.take()
        assert not ended
        assert small.take()
        assert ended == ["lent"]
        small.room.give_back_loan(lent)  # it is gone: nothing to give back
        assert small.capacity.in_flight == 2
        assert small.take() is None

    play(story(), patient=True)


def test_a_slot_that_was_lent_goes_back_once() -> None:
    async def story() -> None:
        small = Waiting()
        lent = small.room.borrow(lambda: None)
        assert lent
        small.room.give_back_loan(lent)
        small.room.give_back_loan(lent)
        assert small.capacity.in_flight == 0
        assert small.room.spare

    play(story(), patient=True)


# -- room that nobody gave back
def test_who_waits_is_called_when_an_ejection_ends() -> None:
    async def story() -> None:
        small = Waiting(slots=4)
        slot = small.take()
        assert slot
        small.capacity.failed(slot, now_s())  # for a second
        await small.give_back(slot)
        probe, second = await small.wait("probe"), await small.wait("second")
        await probe
        assert small.slots["probe"]
        small.capacity.failed(small.slots["probe"], now_s())  # for two more
        await small.give_back(small.slots["probe"])
        await second
        assert small.slots["second"]

    play(story(), patient=True)


def test_who_waits_is_called_when_a_probe_succeeds_and_not_when_its_answer_ends(
    tmp_path: Path,
) -> None:
    """One endpoint fails once, and is well again: its first answer is a long stream."""
    top, *rest = replies.openai_events()
    stream = replies.head(replies.Framing.CHUNKED, kind=replies.EVENT_STREAM)
    calls = 0

    def says(asked: Asked) -> Script:
        nonlocal calls
        calls += 1
        if calls == 1:
            return Script(then=How.RST)
        if b'"stream":true' in asked.body.replace(b" ", b""):
            end = (replies.chunked(b"".join(rest)), b"0\r\n\r\n")
            return Script(says=(2.0, stream, replies.chunked(top), 100.0, *end))
        return Script(says=(GOOD,))

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(), other=OTHER) as made:
            made.first.script = says
            assert b"other" in (await made.ask(stream=False)).body
            await asyncio.sleep(2)  # of the patient clock: the ejection is over
            made.stage.configure(queueMaxWaitS=WAIT_S)
            async with client(made.stage.port) as probe, client(made.stage.port) as app:
                await probe.say(post(SMALL.path, asking(stream=True)))
                await until(lambda: calls == 2)
                began_s = now_s()
                await app.say(post(SMALL.path, asking(stream=False)))
                got = await app.answer()
            assert (got.status, got.headers["x-overspill-tier"]) == (200, "small")
            assert now_s() - began_s < 30

    play(story(), patient=True)


# -- nothing to wait for
def test_with_no_endpoint_at_all_a_request_spills_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(), other=OTHER) as made:
            base = made.stage.base["small"]
            made.stage.configure(queueMaxWaitS=WAIT_S, small={**base, "endpoints": []})
            began_s = now_s()
            got = await made.ask(stream=False)
            assert got.headers["x-overspill-reason"] == "NoEndpoints"
            assert now_s() - began_s < WAIT_S / 2

    play(story(), patient=True)


@pytest.mark.parametrize(("failures", "tier"), [(5, "small"), (6, "frontier")])
def test_a_request_waits_for_an_endpoint_only_where_it_may_live_to_see_it(
    tmp_path: Path, failures: int, tier: str
) -> None:
    """With 20 seconds to wait: five failures eject for 16, six for 30."""

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=(GOOD,)), other=OTHER) as made:
            made.stage.configure(queueMaxWaitS=20.0)
            capacity = made.stage.proxy.capacity
            for _ in range(failures):
                await asyncio.sleep(40)  # of the patient clock
                slot = capacity.acquire(now_s())
                assert slot
                capacity.failed(slot, now_s())
                capacity.release(slot, now_s())
            began_s = now_s()
            assert (await made.ask(stream=False)).headers["x-overspill-tier"] == tier
            assert (now_s() - began_s < 10) is (tier == "frontier")

    play(story(), patient=True)


def test_who_waits_goes_on_when_the_last_endpoint_is_gone() -> None:
    async def story() -> None:
        small = Waiting()
        small.take()
        waiter, began_s = await small.wait("waiter"), now_s()
        small.capacity.configure([], 1)
        small.room.call_next()
        await waiter
        assert small.slots["waiter"] is None
        assert now_s() - began_s < WAIT_S / 2

    play(story(), patient=True)
