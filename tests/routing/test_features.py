"""What a prompt looks like to the score."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.routing.features import (
    HEAD_BYTES,
    KNOTS,
    MEASURES,
    SHAPE,
    TAIL_BYTES,
    WORDS,
    features,
    spread,
)


def measure(prompt: str, name: str) -> float:
    return features(prompt).shape[SHAPE.index(name)]


@given(st.text())
def test_any_text_has_features_within_their_bounds(prompt: str) -> None:
    seen = features(prompt)
    assert all(0 <= word < WORDS for word in seen.words)
    assert len(seen.shape) == MEASURES
    assert all(0.0 <= one <= KNOTS - 1 for one in seen.shape)


def test_a_lone_surrogate_is_no_reason_to_fail() -> None:
    assert all(map(isfinite, features("half \ud800 a pair").shape))


SAME = [
    pytest.param("What is HTTP?", "what is http?", id="letter case"),
    pytest.param("add 12 and 34", "add 56 and 78", id="numbers of as many digits"),
    pytest.param("a  b\n\nc", "a b c", id="white space"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_these_are_the_same_words(one: str, other: str) -> None:
    assert features(one).words == features(other).words


def test_the_order_of_words_counts() -> None:
    assert features("dog bites man").words != features("man bites dog").words


def test_of_a_long_prompt_the_beginning_and_the_end_are_read() -> None:
    middle = "x" * 50_000
    head, tail = "a" * HEAD_BYTES, "b" * TAIL_BYTES
    one, other = features(head + middle + tail), features(head + "y" * 50_000 + tail)
    assert one == other
    assert features(head + middle + "c" * TAIL_BYTES).words != one.words


MEASURED = [
    pytest.param("choices", "Which?\nA. one\nB. two\nC. three\nAnswer:", 3.0, id="choices"),
    pytest.param("number_choices", "Which?\nA. 1\nB. 2\nC. three", 2.0, id="choices in numbers"),
    pytest.param("questions", "Who? Why?", 4.0, id="question marks"),
    pytest.param("tools", 'Go\n\n[functions] [{"parameters": {}}]', 2.0, id="tools"),
    pytest.param("tools", 'What does "parameters" mean?', 0.0, id="no tools"),
    pytest.param("turns", "so?\n\n[turn 1] hello", 2.0, id="an earlier turn"),
    pytest.param("code", "```\ndef f(): return 1\n```", 8.0, id="code"),
]


@pytest.mark.parametrize(("name", "prompt", "expected"), MEASURED)
def test_a_measure_is_what_it_says(name: str, prompt: str, expected: float) -> None:
    assert measure(prompt, name) == expected


def test_a_measure_is_spread_over_the_whole_numbers_beside_it() -> None:
    assert list(spread([2.0, 0.25])) == [(2, 1.0), (KNOTS, 0.75), (KNOTS + 1, 0.25)]


def test_the_highest_measure_stays_in_its_places() -> None:
    assert list(spread([KNOTS - 1.0])) == [(KNOTS - 1, 1.0)]
