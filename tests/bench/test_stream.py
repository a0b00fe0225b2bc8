"""What hindsight knows: the best plan whose own trials prove the floor, and the best lot."""

from __future__ import annotations

import numpy as np
import pytest

from bench.stream import by_lot, proved
from overspill.learning.examples import Examples


def answered(right: float, many: int) -> Examples:
    """The frontier is always right, the small model of the first so many of each hundred."""
    small = (np.arange(many) % 100 < 100 * right).astype(float)
    return Examples(prompts=("?",) * many, small=small, frontier=np.ones(many))


def share(examples: Examples, scores: np.ndarray | None = None, floor: float = 0.9) -> float:
    blind = np.random.default_rng(0).random(len(examples))
    return proved(examples, blind if scores is None else scores, floor, 0.95)


def test_a_small_model_that_is_always_right_leaves_the_least_rate_of_trials() -> None:
    assert share(answered(1.0, 1_000)) == pytest.approx(0.01)


def test_one_that_is_never_right_gets_what_the_floor_leaves() -> None:
    assert share(answered(0.0, 1_000)) == pytest.approx(0.9, abs=0.01)


def test_to_know_takes_a_larger_part_of_less_traffic() -> None:
    assert share(answered(0.85, 1_000)) > share(answered(0.85, 10_000)) > 1 / 3


def test_a_score_that_knows_saves_most() -> None:
    one = answered(0.85, 1_000)
    assert share(one, 1.0 - one.small) < share(one)


def test_by_lot_the_floor_is_held_on_the_mean_by_what_is_missing() -> None:
    assert by_lot(answered(0.8, 1_000), 0.9) == pytest.approx(0.5, abs=1e-4)
    assert by_lot(answered(0.95, 1_000), 0.9) == 0.0


def test_a_lot_holds_the_floor_as_surely_as_is_asked() -> None:
    examples, dice = answered(0.8, 1_000), np.random.default_rng(0)
    draws = dice.random((4_000, 1_000)) < by_lot(examples, 0.9, confidence=0.95)
    held = np.where(draws, examples.frontier, examples.small).mean(axis=1) >= 0.9
    assert held.mean() == pytest.approx(0.95, abs=0.02)
