"""What a small tier has shown of itself: seconds to start, and the work that a replica can do.

A policy's numbers are first guesses. Observations overrule them by a median in which the guess
counts as two: three are believed, and a few odd ones among many, such as a node that pulls its
image slowly, change nothing.

Capacity is measured where a replica is full and turns work away. One that is not full shows less:
that it can do at least what it does. Idle replicas show nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import Final

GUESS_WEIGHT: Final = 2
"""Observations that a guess counts as."""
STARTS_KEPT: Final = 9
LONGEST_START_S: Final = 7200
"""What took longer, a person repaired."""
FULL_KEPT: Final = 15
FULL: Final = 0.9
"""Mean share of slots taken at which replicas count as full, if they turned work away as well."""
BROKEN: Final = 8.0
"""A full replica that does less than this part of the guess is ill, which is no measure of it."""
AT_LEAST_WINDOWS: Final = 3
"""Answers are counted when they end: one window can show more than was done in it."""
ROOMY: Final = 0.75
"""Mean share of slots taken below which a replica could take more."""
AT_BELIEVED: Final = 0.75
"""A replica that does this share of what it is believed to be able to do is well used."""
RAISE: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Observations, newest last; whole numbers, so that they can be written down."""

    startups_s: tuple[int, ...] = ()
    full_tokens_per_s: tuple[int, ...] = ()
    """Work of one replica, in windows in which it was full."""
    at_least_tokens_per_s: int = 0
    """Most that a replica has been seen to be good for without being full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What ready replicas did over one window."""

    served_tokens_per_s: float
    """Of all replicas together."""
    occupancy: float
    """Mean share of their slots that was taken."""
    no_room_per_s: float
    """Requests that spilled, waited or were turned away because they had no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The small tier at one look."""

    now_s: float
    window_s: float
    """Length of the window that ends now."""
    ready: int | None
    """None while a replica is on its way out."""
    load: Load | None
    """None where it could not be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Time in which the replicas stayed the same."""

    ready: int
    due_s: float
    """When the next window may count: they do not overlap."""
    rates_tokens_per_s: tuple[float, ...] = ()
    """What each replica did in the last windows, without being full."""


def startup_s(learned: Learned, guess_s: float) -> float:
    """Seconds from a place for a replica to its first answer."""
    return median((*(guess_s,) * GUESS_WEIGHT, *learned.startups_s))


def capacity_tokens_per_s(learned: Learned, guess: float) -> float:
    """Work that one replica can do, tokens per second."""
    measured = median((*(guess,) * GUESS_WEIGHT, *learned.full_tokens_per_s))
    return max(measured, learned.at_least_tokens_per_s)


def started(learned: Learned, took_s: float) -> Learned:
    """Take in one start. Time in which no node had room for the replica is not part of it."""
    if not 0 <= took_s <= LONGEST_START_S:
        return learned
    kept = (*learned.startups_s, max(1, round(took_s)))[-STARTS_KEPT:]
    return replace(learned, startups_s=kept)


def observe(
    learned: Learned, stretch: Stretch | None, sight: Sight, guess: float
) -> tuple[Learned, Stretch | None]:
    """Take in one look at the work that is done; `guess` is the policy's capacity.

    Rates count for the time before them and come late, so the first window that counts ends two
    windows after the last change.
    """
    ready, load = sight.ready, sight.load
    if not ready:
        return learned, None
    if stretch is None or stretch.ready != ready:
        return learned, Stretch(ready=ready, due_s=sight.now_s + 2 * sight.window_s)
    if load is None or sight.now_s < stretch.due_s:
        return learned, stretch
    rate, due_s = load.served_tokens_per_s / ready, sight.now_s + sight.window_s
    if load.occupancy >= FULL and load.no_room_per_s > 0:
        return _measured(learned, rate, guess), Stretch(ready=ready, due_s=due_s)
    rates = (*stretch.rates_tokens_per_s, rate)[-AT_LEAST_WINDOWS:]
    learned = _at_least(learned, rates, load, guess) if len(rates) == AT_LEAST_WINDOWS else learned
    return learned, Stretch(ready=ready, due_s=due_s, rates_tokens_per_s=rates)


def _measured(learned: Learned, rate: float, guess: float) -> Learned:
    if rate * BROKEN < guess:
        return learned
    kept = (*learned.full_tokens_per_s, max(1, round(rate)))[-FULL_KEPT:]
    at_least = min(learned.at_least_tokens_per_s, round(rate))
    return replace(learned, full_tokens_per_s=kept, at_least_tokens_per_s=at_least)


def _at_least(learned: Learned, rates: tuple[float, ...], load: Load, guess: float) -> Learned:
    believed = capacity_tokens_per_s(learned, guess)
    guessed = len(learned.full_tokens_per_s) <= GUESS_WEIGHT
    shown = max(min(rates), _raised(believed, rates, load) if guessed else 0.0)
    return replace(learned, at_least_tokens_per_s=round(shown)) if shown > believed else learned


def _raised(believed: float, rates: tuple[float, ...], load: Load) -> float:
    """Raise a belief that was hardly measured and looks too low; 0 where it does not.

    A guess that is too low keeps more replicas than are needed, so that none is ever full and
    measured. But a replica that does what it is believed to be able to do, with slots to spare, can
    do more. How much more is not known: go up by a part and look again, until one is full. Work
    grows no faster than concurrency, so the share of slots taken bounds what can be left.
    """
    roomy = 0 < load.occupancy <= ROOMY and load.no_room_per_s == 0
    if not roomy or min(rates) < AT_BELIEVED * believed:
        return 0.0
    return min(RAISE * believed, min(rates) / load.occupancy)
