"""How good a ranking is."""

from __future__ import annotations

import numpy as np
import pytest

from overspill.learning.measures import apgr, cpt, recovered, threshold

GAINS = np.array([1.0, 0.0, 0.0, 1.0])


def curve(*scores: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    found = recovered(np.array(scores), GAINS)
    assert found is not None
    return found.reshape(-1)


RANKINGS = [
    pytest.param((9, 2, 1, 8), 0.75, 0.25, id="best first"),
    pytest.param((1, 2, 2, 1), 0.25, 0.75, id="best last"),
    pytest.param((5, 5, 5, 5), 0.5, 0.5, id="all the same is random"),
]


@pytest.mark.parametrize(("scores", "mean", "half"), RANKINGS)
def test_a_ranking_is_worth_what_it_recovers(
    scores: tuple[float, ...], mean: float, half: float
) -> None:
    assert apgr(curve(*scores)) == pytest.approx(mean)
    assert cpt(curve(*scores), 0.5) == pytest.approx(half)


def test_without_a_gap_there_is_nothing_to_recover() -> None:
    assert recovered(np.array([1.0, 2.0]), np.array([1.0, -1.0])) is None


def test_what_rounding_leaves_is_no_gap() -> None:
    small, frontier = np.array([0.1, 0.7, 0.2, 0.6, 0.3]), np.array([0.7, 0.1, 0.6, 0.2, 0.3])
    gains = np.tile(frontier - small, 20)
    assert gains.sum() > 0.0
    assert recovered(np.arange(100.0), gains) is None


def test_what_scores_alike_goes_the_same_way_at_a_limit_too() -> None:
    """Of the two with a score of 2 the first alone would do, and no limit sends it alone."""
    scores = np.array([2.0, 2.0, 1.0, 0.0])
    small, frontier = np.array([0.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 1.0])
    limit = threshold(scores, small, frontier, 0.6)
    assert np.where(scores >= limit, frontier, small).sum() >= 0.6 * frontier.sum()
    assert limit == 1.0


LIMITS = [
    pytest.param(0.5, np.inf, id="the small tier holds it alone"),
    pytest.param(0.75, 9.0, id="one is enough"),
    pytest.param(1.0, 8.0, id="two"),
    pytest.param(1.1, -np.inf, id="more than the frontier has"),
]


@pytest.mark.parametrize(("floor", "limit"), LIMITS)
def test_the_highest_limit_that_holds_the_floor(floor: float, limit: float) -> None:
    small, frontier = np.array([0.0, 1.0, 1.0, 0.0]), np.ones(4)
    assert threshold(np.array([9.0, 2.0, 1.0, 8.0]), small, frontier, floor) == limit
