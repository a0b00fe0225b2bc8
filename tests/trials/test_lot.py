"""The lot: who goes to the frontier, who is watched, and with what chances."""

from __future__ import annotations

from math import inf

import pytest

from overspill.trials.lot import UNSEEN, Plan, careful, draw

PLAN = Plan(limit=0.5, trial_rate=0.1, shadow_rate=0.25)


@pytest.mark.parametrize(
    ("gain", "up", "dice", "to_frontier", "paid", "watched", "sent", "seen"),
    [
        pytest.param(0.6, False, 0.2, True, False, True, 1.0, 0.25, id="above the limit, watched"),
        pytest.param(0.6, False, 0.3, True, False, False, 1.0, 0.25, id="above it, not watched"),
        pytest.param(0.5, False, 0.9, True, False, False, 1.0, 0.25, id="at the limit"),
        pytest.param(
            0.4, True, 0.2, True, False, True, 1.0, 0.25, id="below, up for other reasons"
        ),
        pytest.param(0.4, False, 0.05, True, True, True, 0.1, 0.1, id="below, drawn"),
        pytest.param(0.4, False, 0.1, False, False, False, 0.1, 0.1, id="below, not drawn"),
    ],
)
def test_the_lot(  # noqa: PLR0917 - a table's columns
    gain: float,
    up: bool,
    dice: float,
    to_frontier: bool,
    paid: bool,
    watched: bool,
    sent: float,
    seen: float,
) -> None:
    found = draw(PLAN, gain, up=up, dice=dice)
    assert (found.to_frontier, found.paid, found.watched) == (to_frontier, paid, watched)
    assert (found.gain, found.sent, found.seen) == (gain, sent, seen)


def test_the_careful_plan_sends_all() -> None:
    assert draw(careful(0.1), -5.0, up=False, dice=0.99).to_frontier


def test_without_a_limit_only_the_lot_sends_anything() -> None:
    plan = Plan(limit=inf, trial_rate=0.1, shadow_rate=1.0)
    assert not draw(plan, 99.0, up=False, dice=0.5).to_frontier


def test_without_trials_what_the_small_model_answers_is_seen_by_nobody() -> None:
    assert draw(Plan(limit=0.5, trial_rate=0.0, shadow_rate=1.0), 0.1, up=False, dice=0.0) is UNSEEN
