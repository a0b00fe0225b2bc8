"""Like prompts do not stand on both sides of a test."""

from __future__ import annotations

import numpy as np
import pytest

from overspill.learning.likeness import folds, marks, sketch

QUESTION = "What does the second law of thermodynamics say about closed systems?"


def test_numbers_case_and_white_space_make_no_other_prompt() -> None:
    assert sketch("Add 12 and  34 please") == sketch("add 56 and 78 please")
    assert sketch("Add 12 and 34 please") != sketch("Multiply 12 by 34 please")


def test_the_same_question_with_other_choices_shares_a_mark() -> None:
    one = f"{QUESTION}\nA. heat\nB. work\nAnswer:"
    other = f"{QUESTION}\nA. nothing\nB. entropy\nC. energy\nD. mass"
    assert sketch(one) != sketch(other)
    assert marks(one) & marks(other)


def test_a_short_opening_is_no_mark() -> None:
    assert not marks("Choose one:\nred or green") & marks("Choose one:\nbirds or bees")


@pytest.mark.parametrize("many", [2, 5])
def test_each_row_is_tested_once_and_like_ones_together(many: int) -> None:
    prompts = [f"question about {word}" for word in "abcdefghij"] * 2
    parts = folds(prompts, many, seed=3)
    assert len(parts) == many
    assert sorted(np.concatenate([tested for _, tested in parts])) == list(range(20))
    for seen, tested in parts:
        assert not {prompts[row] for row in seen} & {prompts[row] for row in tested}


def test_fewer_kinds_than_folds_give_as_many_folds() -> None:
    assert len(folds(["one", "two", "one"], 5, seed=0)) == 2
