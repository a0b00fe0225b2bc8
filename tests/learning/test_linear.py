"""Learning the score: what it finds, what the prior adds, and that bytes say the same."""

from __future__ import annotations

import numpy as np
import pytest

from overspill.learning.design import COLUMNS, design_of
from overspill.learning.linear import Linear, learn, linear_of, score_of

HARD = [f"prove the theorem of {name} in full" for name in ("gauss", "noether", "galois", "abel")]
EASY = [f"name the capital of {name} please" for name in ("france", "peru", "chad", "laos")]
PROMPTS = HARD * 5 + EASY * 5
GAINS = np.array([1.0] * 20 + [0.0] * 20)
NEW = ["prove the theorem of riemann in full", "name the capital of spain please"]


def test_what_was_learned_is_true_of_prompts_that_were_not_seen() -> None:
    hard, easy = learn(design_of(PROMPTS), GAINS).gains(design_of(NEW))
    assert hard > easy


def test_without_any_difference_the_mean_is_said() -> None:
    linear = learn(design_of(PROMPTS), np.full(40, 0.3))
    assert linear.gains(design_of(NEW)) == pytest.approx([0.3, 0.3])


def test_examples_without_a_word_on_it_leave_the_prior_as_it_is() -> None:
    prior = learn(design_of(PROMPTS), GAINS)
    once = design_of(["good morning to you"])
    hard, easy = learn(once, np.array([0.5]), prior=prior).gains(design_of(NEW))
    wide, narrow = prior.gains(design_of(NEW))
    assert hard - easy == pytest.approx(wide - narrow)


def test_examples_that_contradict_the_prior_win() -> None:
    prior = learn(design_of(PROMPTS), GAINS)
    hard, easy = learn(design_of(PROMPTS * 3), np.tile(1 - GAINS, 3), prior=prior).gains(
        design_of(NEW)
    )
    assert hard < easy


def test_the_sidecars_bytes_say_what_was_learned() -> None:
    linear = learn(design_of(PROMPTS), GAINS)
    score = score_of(linear, ["mine"], 40)
    assert [score.gain(prompt) for prompt in NEW] == pytest.approx(
        linear.gains(design_of(NEW)), abs=0.01
    )
    assert linear_of(score).gains(design_of(NEW)) == pytest.approx(
        [score.gain(prompt) for prompt in NEW], abs=1e-9
    )


def test_no_words_at_all_can_be_written() -> None:
    nothing = Linear(weights=np.zeros(COLUMNS), base=0.2)
    assert score_of(nothing, [], 0).gain("hello there") == pytest.approx(0.2)
