"""A share of the traffic goes up: those with the most to gain."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.routing.complexity import CONVERSATIONS, KEPT, MostUseful


def sent(most: MostUseful, gains: list[float], *, goes_on: bool = False) -> list[bool]:
    dice = random.Random(1)
    return [
        most.admits(gain, dice.randrange(2**32), size_bytes=9, goes_on=goes_on) for gain in gains
    ]


def normal(many: int, seed: int = 0, mean: float = 0.0) -> list[float]:
    dice = random.Random(seed)
    return [dice.gauss(mean, 0.1) for _ in range(many)]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_the_share_is_kept(share: float) -> None:
    ups = sent(MostUseful(share), normal(5_000))
    assert sum(ups) / len(ups) == pytest.approx(share, abs=0.02)


def test_they_are_those_with_the_most_to_gain() -> None:
    gains = normal(5_000)
    ups = sent(MostUseful(0.2), gains)
    high = sorted(gains)[4_000]
    right = sum(up == (gain >= high) for up, gain in zip(ups, gains, strict=True))
    assert right / len(gains) > 0.97


def test_where_all_gain_alike_conversations_draw_lots() -> None:
    ups = sent(MostUseful(0.2), [0.25] * 5_000)
    assert sum(ups) / len(ups) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("kinds", [1, 2, 3, 8])
def test_the_share_is_kept_where_the_same_few_requests_come_again_and_again(kinds: int) -> None:
    most = MostUseful(0.2)
    ups = [
        most.admits(turn % kinds / 8, turn % kinds, size_bytes=9, goes_on=False)
        for turn in range(5_000)
    ]
    assert sum(ups) / len(ups) == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("turns", [1, 3, 10, 40])
def test_the_share_is_kept_of_long_conversations_too(turns: int) -> None:
    """What stays up for its conversation's sake leaves less to others."""
    most, dice, live, ups = MostUseful(0.2), random.Random(turns), dict[int, float](), 0
    for now in range(20_000):
        conversation, began = dice.randrange(2**32), len(live) < 50
        if began:
            live[conversation] = dice.gauss(0.0, 0.1)
        else:
            conversation = dice.choice([*live])
        gain = live[conversation] + dice.gauss(0.0, 0.1)
        ups += most.admits(gain, conversation, size_bytes=now, goes_on=not began)
        if dice.random() < 1 / turns:
            del live[conversation]
    assert ups / 20_000 == pytest.approx(0.2, abs=0.03)


def test_the_share_is_kept_when_traffic_changes() -> None:
    most = MostUseful(0.2)
    sent(most, normal(3_000))
    sent(most, normal(KEPT, seed=1, mean=5.0))
    ups = sent(most, normal(3_000, seed=2, mean=5.0))
    assert sum(ups) / len(ups) == pytest.approx(0.2, abs=0.02)


def test_another_share_holds_from_the_next_request_on() -> None:
    most = MostUseful(0.2)
    sent(most, normal(1_000))
    most.share = 0.0
    assert not any(sent(most, normal(200, seed=3)))


def test_a_conversation_that_went_up_stays_there_and_a_new_one_does_not_inherit() -> None:
    most = MostUseful(0.2)
    sent(most, normal(1_000))
    assert most.admits(9.0, 7, size_bytes=10, goes_on=False)
    assert most.admits(-9.0, 7, size_bytes=20, goes_on=True)
    assert not most.admits(-9.0, 8, size_bytes=20, goes_on=True)
    assert not most.admits(-9.0, 7, size_bytes=10, goes_on=False)
    assert most.admits(-9.0, 7, size_bytes=30, goes_on=True)


@pytest.mark.parametrize("limit", [None, 0.126])
def test_what_begins_with_the_same_examples_is_no_conversation_that_goes_on(
    limit: float | None,
) -> None:
    """An app gives examples as turns, the same with each request: all seem to have gone on."""
    most, dice = MostUseful(0.2), random.Random(1)
    ups = [
        most.admits(gain, 7, size_bytes=900 + dice.randrange(99), goes_on=True, limit=limit)
        for gain in normal(5_000, mean=0.04)
    ]
    assert sum(ups) / len(ups) == pytest.approx(0.2, abs=0.03)


def test_no_more_conversations_are_remembered_than_there_is_room_for() -> None:
    most = MostUseful(1.0)
    for number in range(CONVERSATIONS + 1):
        most.admits(0.0, number, size_bytes=1, goes_on=False)
    most.share = 0.0
    assert not most.admits(0.0, 0, size_bytes=2, goes_on=True)
    assert most.admits(0.0, CONVERSATIONS, size_bytes=2, goes_on=True)


@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 3)), max_size=200))
def test_a_rank_says_who_had_less_to_gain(seen: list[tuple[float, int]]) -> None:
    most = MostUseful(0.5)
    for gain, conversation in seen:
        most.admits(gain, conversation, size_bytes=1, goes_on=False)
    for gain, _ in seen:
        below = sum(other < gain for other, _ in seen)
        assert most.rank(gain) == pytest.approx(below / len(seen))
