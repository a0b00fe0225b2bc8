"""The artefact: what it says, and that a broken one is refused with what to do."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import pytest

from overspill.learning.prior import shipped
from overspill.routing.features import KNOTS, MEASURES, SHAPE, WORDS, features
from overspill.routing.score import MIDDLE, InvalidScore, Score

CONFIGMAP_BYTES = 500_000


def score(**changes: Any) -> Score:  # noqa: ANN401 - fields of several types
    plain: dict[str, Any] = {
        "base": 0.1,
        "shape": (0.0,) * (MEASURES * KNOTS),
        "words": bytes([MIDDLE]) * WORDS,
        "words_unit": 0.01,
    }
    return Score(**{**plain, **changes})


def test_without_weights_the_base_is_said_of_everything() -> None:
    assert score().gain("anything") == pytest.approx(0.1)
    assert score().gain("") == pytest.approx(0.1)


def test_words_count_by_the_root_of_how_many_there_are() -> None:
    words = bytearray([MIDDLE]) * WORDS
    for place in features("prove it").words:
        words[place] = MIDDLE + 10
    assert len(features("prove it").words) == 3
    found = score(words=bytes(words)).gain("prove it")
    assert found == pytest.approx(0.1 + 0.01 * 30 / 3**0.5)


def test_measures_are_drawn_between_their_knots() -> None:
    shape = [0.0] * (MEASURES * KNOTS)
    first = SHAPE.index("questions") * KNOTS
    shape[first : first + KNOTS] = [0.1 * knot for knot in range(KNOTS)]
    assert score(shape=tuple(shape)).gain("Who? Why?") == pytest.approx(0.1 + 0.4)


def test_what_is_written_reads_the_same() -> None:
    one = score(trained_on=("mine",), examples=7)
    assert Score.load(one.dump()) == one


def broken(**changes: object) -> str:
    return json.dumps({**json.loads(score().dump()), **changes})


BROKEN = [
    pytest.param("{", "no JSON", id="cut off"),
    pytest.param("[]", "no JSON object", id="another shape"),
    pytest.param(broken(format=2), "format is 2", id="another format"),
    pytest.param(broken(features=0), "features is 0", id="other features"),
    pytest.param(broken(base=0.2), "sha256", id="an altered number"),
    pytest.param(score(words=b"short").dump(), "5 words", id="too few words"),
    pytest.param("[" * 100_000, "nested too deeply", id="nested"),
    pytest.param(score(base=10**400).dump(), "cannot be read", id="a number without bounds"),
]


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_a_broken_score_is_refused_with_what_to_do(text: str, said: str) -> None:
    with pytest.raises(InvalidScore, match=said) as refused:
        Score.load(text)
    assert "anew" in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"base": nan}, id="base"),
        pytest.param({"words_unit": inf}, id="unit"),
        pytest.param({"shape": (0.0,) * (MEASURES * KNOTS - 1) + (nan,)}, id="shape"),
    ],
)
def test_a_score_that_is_no_number_is_refused(changes: dict[str, Any]) -> None:
    """NaN is above no limit, be it that of a plan by which all goes to the frontier."""
    with pytest.raises(InvalidScore, match="train it anew"):
        Score.load(score(**changes).dump())


def test_words_that_unpack_to_very_many_are_not_unpacked() -> None:
    with pytest.raises(InvalidScore, match=f"{WORDS + 1} words"):
        Score.load(score(words=bytes(100 * WORDS)).dump())


def test_the_prior_fits_a_configmap_with_room() -> None:
    assert len(shipped().score.dump().encode()) < CONFIGMAP_BYTES


def test_the_prior_finds_a_proof_harder_than_a_capital() -> None:
    easy = shipped().score.gain("What is the capital of France?")
    hard = shipped().score.gain(
        "Find the degree of the field extension Q(sqrt(2), sqrt(3)) over Q and prove it."
    )
    assert hard > easy
