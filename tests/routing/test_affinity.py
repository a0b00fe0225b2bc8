"""Conversations have a home, spread evenly, and mostly keep it when endpoints come and go."""

from __future__ import annotations

from collections import Counter
from zlib import crc32

from overspill.routing.affinity import Ring
from overspill.routing.capacity import SmallCapacity

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


def test_a_busy_home_lets_its_guests_go_where_there_is_room() -> None:
    room = SmallCapacity()
    room.configure(FOUR, 100)
    held = [room.acquire(0.0, (), 7) for _ in range(40)]
    taken = Counter(slot.address for slot in held if slot)
    home = Ring(FOUR).home(7)
    assert len(taken) == 4
    assert home
    assert taken[home] == max(taken.values())
    assert max(taken.values()) <= 1.5 * min(taken.values())
