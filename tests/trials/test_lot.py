"""The lot: who goes to the frontier, who is watched, and with what chances."""

from __future__ import annotations

import pytest

from overspill.trials.lot import UNSEEN, Plan, draw

PLAN = Plan(limit=0.5, trial_rate=0.1, shadow_rate=0.25)


@pytest.mark.parametrize(
    ("up", "dice", "to_frontier", "paid", "watched", "sent", "seen"),
    [
        pytest.param(True, 0.2, True, False, True, 1.0, 0.25, id="up anyway, watched"),
        pytest.param(True, 0.3, True, False, False, 1.0, 0.25, id="up anyway, not watched"),
        pytest.param(False, 0.05, True, True, True, 0.1, 0.1, id="drawn"),
        pytest.param(False, 0.1, False, False, False, 0.1, 0.1, id="not drawn"),
    ],
)
def test_the_lot(
    up: bool,
    dice: float,
    to_frontier: bool,
    paid: bool,
    watched: bool,
    sent: float,
    seen: float,
) -> None:
    found = draw(PLAN, 0.4, up=up, dice=dice)
    assert (found.to_frontier, found.paid, found.watched) == (to_frontier, paid, watched)
    assert (found.gain, found.sent, found.seen) == (0.4, sent, seen)


def test_without_trials_what_the_small_model_answers_is_seen_by_nobody() -> None:
    assert draw(Plan(limit=0.5, trial_rate=0.0, shadow_rate=1.0), 0.1, up=False, dice=0.0) is UNSEEN


def test_what_is_watched_with_no_chance_is_not_watched() -> None:
    """It would stand for infinitely many."""
    found = draw(Plan(limit=0.5, trial_rate=0.1, shadow_rate=0.0), 0.9, up=True, dice=0.0)
    assert (found.watched, found.seen) == (False, 0.0)
