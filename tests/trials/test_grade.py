"""Who tells how good the small model's answer was, and what is said where nobody can tell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.trials.grade import DIFFERENT, SAME, Grader, Verdict, grade, same
from overspill.wire.said import Said

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON_SCHEMA, JSON, MATCH, WEBHOOK, JUDGE = Grader
NAMED: Final = {"type": "object", "required": ["name"]}
AS_SCHEMA: Final = {"response_format": {"type": "json_schema", "json_schema": {"schema": NAMED}}}
TOOLS: Final = {"tools": [{"type": "function", "function": {"name": "weigh", "parameters": NAMED}}]}
ADA: Final = '{"name": "Ada"}'
BOB: Final = '{"name": "Bob"}'


def says(text: str) -> Said:
    return Said(text=text, finish="stop")


def calls(*arguments: str, name: str = "weigh") -> Said:
    return Said(finish="tool_calls", calls=tuple((name, one) for one in arguments))


@pytest.mark.parametrize(
    ("request_", "small", "frontier", "expected"),
    [
        pytest.param(AS_SCHEMA, says("no"), says(ADA), Verdict(0, 1), id="the small one"),
        pytest.param(AS_SCHEMA, says(ADA), says("no"), Verdict(1, 0), id="the frontier"),
        pytest.param(AS_SCHEMA, says("{}"), says("no"), Verdict(0, 0), id="both"),
        pytest.param(AS_SCHEMA, says(BOB), says(ADA), (JUDGE,), id="nobody"),
        pytest.param(TOOLS, calls("{}"), calls(ADA), Verdict(0, 1), id="an argument is missing"),
        pytest.param(TOOLS, calls(BOB), calls(ADA), (JUDGE,), id="as declared"),
        pytest.param({}, says("a"), says("b"), (JUDGE,), id="nothing is asked"),
    ],
)
def test_who_breaks_the_shape_that_was_asked_for_has_nothing(
    request_: dict[str, Any], small: Said, frontier: Said, expected: object
) -> None:
    assert grade((JSON_SCHEMA, JUDGE), request_, small, frontier) == expected


EQUAL = [
    pytest.param(says('{"a": 1, "b": [2]}'), says('{"b":[2.0],"a":1}'), id="order and numbers"),
    pytest.param(says(ADA), says(f"```json\n{ADA}\n```"), id="a fence"),
    pytest.param(calls('{"a":1}'), calls('{"a": 1.0}'), id="arguments"),
    pytest.param(calls(""), calls("{}"), id="no arguments"),
    pytest.param(calls("{}"), calls(""), id="nor beside none"),
    pytest.param(calls("{"), calls("{"), id="the same broken arguments"),
]
UNEQUAL = [
    pytest.param(says('{"a": 1}'), says('{"a": true}'), id="true is not 1"),
    pytest.param(says('{"a": "1"}'), says('{"a": 1}'), id="a text is no number"),
    pytest.param(says("[1]"), says("[true]"), id="nor is it in a list"),
    pytest.param(says(ADA), Said(text=ADA, refusal="No."), id="a refusal"),
    pytest.param(says("[1, 2]"), says("[2, 1]"), id="order of a list"),
    pytest.param(says('{"a": null}'), says("{}"), id="null is not nothing"),
    pytest.param(calls(ADA), calls(ADA, ADA), id="a call more"),
    pytest.param(calls(ADA, BOB), calls(BOB, ADA), id="order of calls"),
    pytest.param(calls(ADA), calls(ADA, name="fly"), id="another tool"),
    pytest.param(calls("{"), calls("["), id="broken arguments"),
    pytest.param(calls(ADA), says(ADA), id="a call is no text"),
    pytest.param(says("Paris."), says("paris"), id="no JSON"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_json_is_equally_good(one: Said, other: Said) -> None:
    assert grade((JSON,), {}, one, other) == SAME
    assert same(one, other)


@pytest.mark.parametrize(("one", "other"), UNEQUAL)
def test_other_json_says_nothing_of_who_is_better(one: Said, other: Said) -> None:
    assert grade((JSON, WEBHOOK, JUDGE), {}, one, other) == (WEBHOOK, JUDGE)


def test_equal_texts_are_equally_good() -> None:
    assert grade((MATCH, JUDGE), {}, says("Paris."), says("**Paris**")) == SAME
    assert grade((MATCH, JUDGE), {}, says("Rome"), says("Paris")) == (JUDGE,)
    assert same(says("Paris."), says("**Paris**"))
    assert not same(says("No."), Said(text="No.", refusal="No."))


@pytest.mark.parametrize(
    "small",
    [
        pytest.param(says("I'm sorry, but I can't help with that."), id="refused"),
        pytest.param(Said(text="a", finish="content_filter"), id="filtered"),
        pytest.param(Said(refusal="No."), id="refused by field"),
        pytest.param(says(" "), id="empty"),
    ],
)
@pytest.mark.parametrize("graders", [(), (WEBHOOK,), (MATCH, JUDGE)])
def test_no_answer_beside_one_is_nothing_worth(small: Said, graders: Sequence[Grader]) -> None:
    assert grade(graders, {}, small, says("Paris")) == DIFFERENT


def test_two_refusals_are_graded_as_any_answers() -> None:
    refusal = says("I cannot help with that.")
    assert grade((MATCH,), {}, refusal, refusal) == SAME
    assert grade((JUDGE,), {}, refusal, refusal) == (JUDGE,)


def test_where_nobody_can_tell_the_answers_differ() -> None:
    assert grade((JSON_SCHEMA, JSON, MATCH), {}, says("Rome"), says("Paris")) == DIFFERENT
    assert grade((), {}, says("Paris"), says("Paris")) == DIFFERENT


def test_values_too_deep_to_compare_are_told_apart_only_as_written() -> None:
    deep = "[" * 400 + "]" * 400
    assert same(says(deep), says(deep))


# -- properties
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)  # fmt: skip
texts = st.text(max_size=12) | values.map(json.dumps) | st.sampled_from(["B", "B) x", "1", "1.0"])
said = st.builds(
    Said,
    text=texts,
    refusal=st.sampled_from(["", "", "No."]),
    finish=st.sampled_from(["stop", "length", "content_filter"]),
    calls=st.lists(st.tuples(st.sampled_from("ab"), texts), max_size=2).map(tuple),
)


@given(one=said, other=said)
def test_same_is_reflexive_and_symmetric(one: Said, other: Said) -> None:
    assert same(one, one)
    assert same(one, other) == same(other, one)


@given(value=values, other=values)
def test_json_is_the_same_only_where_its_values_are(value: object, other: object) -> None:
    told = grade((JSON, JUDGE), {}, says(json.dumps(value)), says(json.dumps(other)))
    assert told in (SAME, DIFFERENT, (JUDGE,))
    if told == SAME:
        assert value == other


@given(small=said, frontier=said, graders=st.permutations(list(Grader)))
def test_every_pair_is_graded_or_left_to_somebody(
    small: Said, frontier: Said, graders: list[Grader]
) -> None:
    rest: Sequence[Grader] = graders
    while True:
        told = grade(rest, TOOLS, small, frontier)
        if isinstance(told, Verdict):
            assert {told.small, told.frontier} <= {0.0, 1.0}
            return
        assert told[0] in {WEBHOOK, JUDGE}
        assert len(told) <= len(rest)
        rest = told[1:]
