"""Guesses give way to what was seen: start-up times, and the work of replicas that are full."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.scaling.physics import (
    FULL_KEPT,
    STARTS_KEPT,
    Learned,
    Load,
    Sight,
    Stretch,
    capacity_tokens_per_s,
    observe,
    started,
    startup_s,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WINDOW_S = 60.0
LOOK_S = 15.0
HOUR_LOOKS = 240
TRUE_TOKENS_PER_S = 2500.0

# -- start-up
STARTS = [
    pytest.param([], 180.0, id="nothing seen: the guess"),
    pytest.param([60], 180.0, id="one start is no proof"),
    pytest.param([60, 62, 58], 62.0, id="three starts overrule it"),
    pytest.param([60, 62, 58, 61, 59, 1500, 2400], 62.0, id="two slow nodes change nothing"),
    pytest.param([60] * 9 + [240] * 9, 240.0, id="a slower image is learned"),
    pytest.param([60, 60, 60, 7201, -5], 60.0, id="what cannot be a start is left out"),
    pytest.param([0.2, 0.2, 0.2], 1.0, id="never below a second"),
]


@pytest.mark.parametrize(("seen_s", "learned_s"), STARTS)
def test_startup_is_the_median_of_starts_and_guess(seen_s: list[float], learned_s: float) -> None:
    learned = Learned()
    for took_s in seen_s:
        learned = started(learned, took_s)
    assert startup_s(learned, 180.0) == learned_s
    assert len(learned.startups_s) <= STARTS_KEPT


@given(st.lists(st.floats(1, 7200), max_size=30), st.floats(1, 7200))
def test_startup_lies_between_what_was_seen_and_guessed(
    seen_s: list[float], guess_s: float
) -> None:
    learned = Learned()
    for took_s in seen_s:
        learned = started(learned, took_s)
    known = (guess_s, *learned.startups_s)
    assert min(known) <= startup_s(learned, guess_s) <= max(known)


# -- capacity: single windows
FULL = Load(served_tokens_per_s=5000.0, occupancy=0.97, no_room_per_s=2.0)
CALM = Load(served_tokens_per_s=5000.0, occupancy=0.8, no_room_per_s=0.0)
IDLE = Load(served_tokens_per_s=0.0, occupancy=0.0, no_room_per_s=0.0)


def seen(
    loads: Sequence[Load | None],
    *,
    ready: Callable[[int], int | None] = lambda _: 2,
    guess: float = 2500.0,
    learned: Learned | None = None,
) -> Learned:
    """Show one look after another, every 15 s, to somebody who knows nothing."""
    learned, stretch = learned or Learned(), None
    for index, load in enumerate(loads):
        sight = Sight(now_s=index * LOOK_S, window_s=WINDOW_S, ready=ready(index), load=load)
        learned, stretch = observe(learned, stretch, sight, guess)
    return learned


WINDOWS = [
    pytest.param([FULL] * 41, {}, (2500,) * 9, id="one window a minute, after two minutes"),
    pytest.param([FULL] * 8, {}, (), id="what was before the replicas came does not count"),
    pytest.param([FULL] * 41, {"ready": lambda i: 2 + i // 7 % 2}, (), id="replicas that change"),
    pytest.param([FULL] * 41, {"ready": lambda _: None}, (), id="a replica on its way out"),
    pytest.param([FULL] * 41, {"ready": lambda _: 0}, (), id="no replica"),
    pytest.param([None] * 41, {}, (), id="metrics that are missing"),
    pytest.param([CALM] * 41, {}, (), id="not full"),
    pytest.param([replace(FULL, occupancy=0.4)] * 41, {}, (), id="full for a moment only"),
    pytest.param([replace(FULL, no_room_per_s=0.0)] * 41, {}, (), id="full and nobody turned away"),
    pytest.param(
        [replace(FULL, served_tokens_per_s=500.0)] * 41, {}, (), id="full and doing nothing: ill"
    ),
    pytest.param([IDLE] * 41, {}, (), id="idle"),
]


@pytest.mark.parametrize(("loads", "how", "measured"), WINDOWS)
def test_only_full_replicas_that_stay_the_same_are_measured(
    loads: list[Load | None],
    how: dict[str, Callable[[int], int | None]],
    measured: tuple[int, ...],
) -> None:
    learned = seen(loads, **how)  # type: ignore[arg-type]
    assert learned.full_tokens_per_s == measured
    assert capacity_tokens_per_s(learned, 2500.0) == 2500.0


def test_an_idle_tier_teaches_nothing_at_all() -> None:
    before = Learned(full_tokens_per_s=(900,) * 5, at_least_tokens_per_s=1100)
    assert seen([IDLE] * HOUR_LOOKS, learned=before) == before


def test_a_gap_in_the_metrics_neither_counts_nor_starts_anew() -> None:
    assert len(seen([*[FULL] * 13, *[None] * 20, FULL]).full_tokens_per_s) == 3


def test_windows_are_kept_up_to_a_number() -> None:
    assert len(seen([FULL] * HOUR_LOOKS).full_tokens_per_s) == FULL_KEPT


def test_a_replica_that_is_not_full_can_do_at_least_what_it_does() -> None:
    learned = seen([CALM] * 41, guess=1000.0)
    assert (learned.full_tokens_per_s, learned.at_least_tokens_per_s) == ((), 2500)
    assert capacity_tokens_per_s(learned, 1000.0) == 2500.0


def test_answers_that_end_together_are_not_taken_for_speed() -> None:
    lumps = [replace(CALM, served_tokens_per_s=9000.0 if i // 4 % 3 else 0.0) for i in range(120)]
    assert capacity_tokens_per_s(seen(lumps), 2500.0) == 2500.0


def test_a_full_replica_refutes_what_one_that_was_not_full_had_shown() -> None:
    hopeful = Learned(at_least_tokens_per_s=4000)
    assert seen([FULL] * 9, learned=hopeful).at_least_tokens_per_s == 2500


def test_no_measure_is_less_than_a_token_per_second() -> None:
    slow = seen([replace(FULL, served_tokens_per_s=0.6)] * 41, guess=1.0)
    assert slow.full_tokens_per_s == (1,) * 9


def test_two_measures_are_no_more_than_the_guess() -> None:
    calm = replace(CALM, occupancy=0.3, served_tokens_per_s=2000.0)
    twice = Learned(full_tokens_per_s=(1000,) * 2)
    assert seen([calm] * HOUR_LOOKS, guess=1000.0, learned=twice).at_least_tokens_per_s > 1000


def test_a_measured_capacity_is_not_raised_for_slots_that_are_free() -> None:
    calm = replace(CALM, occupancy=0.3, served_tokens_per_s=2000.0)
    measured = Learned(full_tokens_per_s=(1000,) * 5)
    assert seen([calm] * HOUR_LOOKS, guess=1000.0, learned=measured) == measured


loads = st.builds(
    Load,
    served_tokens_per_s=st.floats(0, 1e6),
    occupancy=st.floats(0, 1.5),
    no_room_per_s=st.sampled_from([0.0, 1.0]),
)


@given(st.lists(st.none() | loads, max_size=60), st.integers(1, 10_000_000))
def test_whatever_is_seen_a_replica_is_never_believed_to_do_nothing(
    shown: list[Load | None], guess: int
) -> None:
    learned = seen(shown, guess=guess)
    assert capacity_tokens_per_s(learned, guess) >= min(1, guess)
    most = max((load.served_tokens_per_s for load in shown if load), default=0.0)
    assert learned.at_least_tokens_per_s <= max(1.5 * guess, 1.5 * most) + 1


# -- capacity: an hour of traffic
@dataclass
class Tier:
    """Replicas of `TRUE_TOKENS_PER_S` each, that serve what they can and turn away the rest."""

    guess: float
    learned: Learned = field(default_factory=Learned)
    stretch: Stretch | None = None
    chance: Random = field(default_factory=lambda: Random(7))

    @property
    def believed(self) -> float:
        return capacity_tokens_per_s(self.learned, self.guess)

    def look(self, now_s: float, demand_tokens_per_s: float, ready: int) -> None:
        most = ready * TRUE_TOKENS_PER_S * self.chance.gauss(1.0, 0.07)
        served = min(demand_tokens_per_s, most)
        load = Load(
            served_tokens_per_s=served * self.chance.gauss(1.0, 0.05),
            occupancy=min(1.0, demand_tokens_per_s / most) * self.chance.uniform(0.95, 1.0),
            no_room_per_s=max(0.0, demand_tokens_per_s - most) / 300.0,
        )
        sight = Sight(now_s=now_s, window_s=WINDOW_S, ready=ready, load=load)
        self.learned, self.stretch = observe(self.learned, self.stretch, sight, self.guess)


WRONG = [
    pytest.param(TRUE_TOKENS_PER_S * 3, id="guessed three times too high"),
    pytest.param(TRUE_TOKENS_PER_S / 3, id="guessed three times too low"),
    pytest.param(TRUE_TOKENS_PER_S, id="guessed right"),
]


@pytest.mark.parametrize("guess", WRONG)
def test_an_hour_with_more_work_than_four_replicas_can_do_corrects_the_guess(guess: float) -> None:
    tier = Tier(guess)
    for index in range(HOUR_LOOKS):
        tier.look(index * LOOK_S, 1.3 * 4 * TRUE_TOKENS_PER_S, ready=4)
    assert tier.believed == pytest.approx(TRUE_TOKENS_PER_S, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("guess", WRONG)
def test_an_hour_in_which_the_guess_sets_the_replicas_corrects_it_too(
    guess: float, seed: int
) -> None:
    """Too low a guess keeps so many replicas that none is full; too high a one, too few."""
    tier, wanted, requested = Tier(guess, chance=Random(seed)), [1] * 20, [1] * 12
    for index in range(HOUR_LOOKS):
        wave = 1.0 + 0.25 * math.sin(index / 20) + tier.chance.gauss(0.0, 0.03)
        demand = 4.5 * TRUE_TOKENS_PER_S * wave
        tier.look(index * LOOK_S, demand, ready=min(requested[-12:]))  # three minutes to start
        wanted.append(max(1, math.ceil(demand / tier.believed)))
        requested.append(max(wanted[-20:]))  # five to stop
    assert tier.believed == pytest.approx(TRUE_TOKENS_PER_S, rel=0.25)


def test_an_idle_hour_leaves_a_wrong_guess_as_it_is() -> None:
    for guess in (800.0, 8000.0):
        tier = Tier(guess)
        for index in range(HOUR_LOOKS):
            tier.look(index * LOOK_S, 0.05 * TRUE_TOKENS_PER_S, ready=4)
        assert tier.believed == guess
