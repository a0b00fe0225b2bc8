"""Examples as live traffic: careful first, then as little of the frontier as the floor allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from overspill.learning.design import design_of
from overspill.learning.examples import Examples, read_examples
from overspill.learning.promise import CAREFUL, FEWEST
from overspill.learning.replay import Replay, replay, share_by_lot
from tests.learning.test_trial import examples

FILE = Path(__file__).parents[1] / "data" / "routing" / "mmlu_excerpt.jsonl"


def played(rows: Examples, floor: float, seed: int = 1, sample_rate: float = 0.5) -> Replay:
    return replay(rows, None, floor=floor, confidence=0.95, sample_rate=sample_rate, seed=seed)


def greetings(small: float, many: int = 50) -> Examples:
    rows = [(f"say hello to number {word} of them", small, 1.0) for word in "abcdefgh"] * many
    return examples(*rows)


def test_all_goes_to_the_frontier_until_trials_show_that_the_floor_holds() -> None:
    done = played(greetings(small=1.0), floor=0.5)
    assert done.served.frontier[:FEWEST].all()
    assert done.served.frontier[FEWEST:].mean() < 0.2
    assert done.plan.trial_rate > 0


def test_a_floor_that_the_small_tier_breaks_keeps_all_at_the_frontier() -> None:
    done = played(greetings(small=0.0), floor=0.999)
    assert done.served.frontier.all()
    assert done.plan == CAREFUL


def test_without_paid_trials_nothing_is_left_to_the_small_tier() -> None:
    assert played(greetings(small=1.0), floor=0.5, sample_rate=0.0).served.frontier.all()


def test_the_small_model_answers_in_the_background_what_the_frontier_answers() -> None:
    done = played(greetings(small=1.0), floor=0.5)
    assert done.served.small.all()


@pytest.mark.parametrize("seed", range(5))
def test_what_was_achieved_is_about_what_is_said(seed: int) -> None:
    rows = read_examples(FILE)
    rows = rows.take(np.random.default_rng(seed).permutation(len(rows)))
    done = played(rows, floor=0.9, seed=seed)
    got = np.where(done.served.frontier, rows.frontier, rows.small).sum() / rows.frontier.sum()
    estimate, low, high = done.bank.quality(0.9, 0.999)
    assert low <= estimate <= high
    assert low <= got <= high


def test_each_look_says_how_it_stood() -> None:
    done = played(greetings(small=1.0), floor=0.5)
    assert [look.requests for look in done.looks][:2] == [FEWEST, FEWEST + 10]
    assert done.looks[-1].requests == len(done.served.frontier)
    begins = [0, *(look.requests for look in done.looks)]
    sent = sum(
        look.share * (end - begin)
        for look, begin, end in zip(done.looks, begins, begins[1:], strict=False)
    )
    assert sent == pytest.approx(done.served.frontier.sum())
    assert {look.quality for look in done.looks} == {1.0}


def lot(rows: Examples, floor: float) -> float:
    design = design_of(rows.prompts)
    return share_by_lot(rows, floor=floor, confidence=0.95, seed=1, design=design)


def test_what_tells_requests_apart_saves_against_a_lot() -> None:
    rows = examples(*[("say hello to them", 1.0, 1.0), ("prove it by induction", 0.0, 1.0)] * 500)
    order = np.random.default_rng(1).permutation(len(rows))
    told = played(rows.take(order), floor=0.9)
    assert told.served.frontier.mean() < lot(rows.take(order), floor=0.9) < 1.0


def test_a_lot_knows_nothing_of_prompts() -> None:
    rows = read_examples(FILE)
    others = Examples(prompts=rows.prompts[::-1], small=rows.small, frontier=rows.frontier)
    assert lot(rows, floor=0.8) == lot(others, floor=0.8)


def test_the_same_seed_plays_the_same() -> None:
    rows = read_examples(FILE)
    one, other = played(rows, floor=0.9), played(rows, floor=0.9)
    assert (one.served.frontier == other.served.frontier).all()
