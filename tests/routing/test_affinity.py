"""Conversations have a home, spread evenly, and mostly keep it when endpoints come and go."""

from __future__ import annotations

from collections import Counter
from random import Random
from zlib import crc32

import pytest

from overspill.routing.affinity import Ring
from overspill.routing.capacity import Slot, SmallCapacity

CONVERSATIONS = [crc32(str(number).encode()) for number in range(10_000)]
FOUR = [f"10.0.0.{number}:8000" for number in range(4)]


def test_conversations_spread_evenly() -> None:
    ring = Ring(FOUR)
    counts = Counter(ring.home(conversation) for conversation in CONVERSATIONS)
    assert max(counts.values()) < 1.4 * min(counts.values())


def test_a_new_endpoint_takes_its_share_and_moves_nobody_else() -> None:
    before, after = Ring(FOUR), Ring([*FOUR, "10.0.0.9:8000"])
    moved = [number for number in CONVERSATIONS if before.home(number) != after.home(number)]
    assert 0.1 < len(moved) / len(CONVERSATIONS) < 0.3
    assert {after.home(number) for number in moved} == {"10.0.0.9:8000"}


def test_all_sidecars_agree() -> None:
    assert Ring(FOUR).home(7) == Ring(reversed(FOUR)).home(7)


def test_nobody_has_a_home_where_there_is_none() -> None:
    assert Ring(()).home(7) is None


def test_a_home_takes_nobody_for_whom_it_has_no_room() -> None:
    room = SmallCapacity()
    room.configure(FOUR, 1)
    assert all(room.acquire(0.0, (), 7) for _ in FOUR)
    assert room.acquire(0.0, (), 7) is None


def test_a_home_that_is_out_of_favour_is_left() -> None:
    room = SmallCapacity()
    room.configure(FOUR, 20)
    slot = room.acquire(0.0, (), 7)
    assert slot
    room.failed(slot, 0.0)
    room.release(slot, 0.0)
    other = room.acquire(0.5, (), 7)
    assert other
    assert other.address != slot.address


def test_a_busy_home_lets_its_guests_go_where_there_is_room() -> None:
    room = SmallCapacity()
    room.configure(FOUR, 20)
    held = [room.acquire(0.0, (), 7) for _ in range(40)]
    taken = Counter(slot.address for slot in held if slot)
    home = Ring(FOUR).home(7)
    assert len(taken) == 4
    assert home
    assert taken[home] == max(taken.values())
    assert max(taken.values()) <= 1.5 * min(taken.values())


def share_at_home(in_flight: int, *, turns: int = 5_000) -> float:
    """The share of turns that go home: four endpoints of eight slots, so many in flight; one ends
    at random before another conversation's next begins.
    """
    room, ring, chance = SmallCapacity(), Ring(FOUR), Random(7)
    room.configure(FOUR, 8)
    held: list[Slot] = []
    at_home = 0
    for _ in range(turns):
        if len(held) == in_flight:
            room.release(held.pop(chance.randrange(in_flight)), 0.0)
        conversation = chance.choice(CONVERSATIONS)
        slot = room.acquire(0.0, (), conversation)
        assert slot
        at_home += slot.address == ring.home(conversation)
        held.append(slot)
    return at_home / turns


@pytest.mark.parametrize(
    ("in_flight", "share"),
    [(1, 0.99), (2, 0.99), (4, 0.99), (8, 0.9), (12, 0.75), (16, 0.75), (24, 0.8)],
)
def test_nearly_every_turn_goes_home_while_most_slots_are_free(
    in_flight: int, share: float
) -> None:
    assert share_at_home(in_flight) >= share
