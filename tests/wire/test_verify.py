"""What is wrong with an answer, as far as the answer and the request tell."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.wire.said import Said
from overspill.wire.verify import LONGEST_REFUSAL, Check, problem

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}
AS_SCHEMA = {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}
AS_OBJECT = {"response_format": {"type": "json_object"}}
TOOLS: dict[str, Any] = {
    "tools": [{"type": "function", "function": {"name": "weigh", "parameters": SCHEMA}}]
}
GOOD = '{"name": "Ada", "age": 36}'


def found(request: dict[str, Any], said: Said, *, limited: bool = False) -> Check | None:
    return problem(frozenset(Check), request, said, limited=limited)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, but I can\u2019t assist with this request.",
        "I cannot provide that information.",
        "I am unable to open links.",
        "As an AI language model, I don't have access to real-time data.",
        "Unfortunately, I am not able to answer this.",
        "  Sorry, I won't do that.",
    ],
)
def test_a_refusal_is_known_by_its_words(text: str) -> None:
    assert found({}, Said(text=text, finish="stop")) is Check.REFUSAL


@pytest.mark.parametrize(
    "text",
    [
        "Paris.",
        "Sorry to hear that! Here is what you can do: call them.",
        "Unfortunately the train was late, so they missed the show.",
        "I can't believe how good this is" + "!" * LONGEST_REFUSAL,
        "You can't divide by zero.",
        "The function is unable to return None.",
    ],
)
def test_an_answer_with_such_words_in_it_is_none(text: str) -> None:
    assert found({}, Said(text=text, finish="stop")) is None


@pytest.mark.parametrize(
    ("said", "limited", "expected"),
    [
        pytest.param(Said(refusal="No."), False, Check.REFUSAL, id="the model's own refusal"),
        pytest.param(Said(text="a", finish="content_filter"), False, Check.REFUSAL, id="a filter"),
        pytest.param(Said(text="a", finish="length"), False, Check.TRUNCATION, id="cut"),
        pytest.param(Said(text="a", finish="length"), True, None, id="cut as the client wanted"),
        pytest.param(Said(text=" \n", finish="stop"), True, Check.TRUNCATION, id="empty"),
        pytest.param(Said(text="a", finish="stop"), False, None, id="good"),
    ],
)
def test_an_answer_that_ends_wrongly(said: Said, limited: bool, expected: Check | None) -> None:
    assert found({}, said, limited=limited) is expected


@pytest.mark.parametrize(
    ("request_", "text", "broken"),
    [
        pytest.param(AS_SCHEMA, GOOD, False, id="as the schema wants"),
        pytest.param(AS_SCHEMA, '{"age": 3}', True, id="a field is missing"),
        pytest.param(AS_SCHEMA, '{"name": "a", "age": -1}', True, id="a bound is broken"),
        pytest.param(AS_SCHEMA, '{"name": "a"', True, id="no JSON"),
        pytest.param(AS_SCHEMA, f"```json\n{GOOD}\n```", True, id="JSON in a fence"),
        pytest.param(AS_OBJECT, GOOD, False, id="an object"),
        pytest.param(AS_OBJECT, "[1]", True, id="no object"),
        pytest.param({}, "no JSON at all", False, id="nobody asked for JSON"),
        pytest.param({"response_format": {"type": "text"}}, "well", False, id="text"),
        pytest.param({"response_format": 7}, "well", False, id="a format that is none"),
    ],
)
def test_json_is_as_it_was_asked_for(request_: dict[str, Any], text: str, broken: bool) -> None:
    expected = Check.JSON_SCHEMA if broken else None
    assert found(request_, Said(text=text, finish="stop")) is expected


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "nonsense"}, id="no schema"),
        pytest.param({"$ref": "http://127.0.0.1:9/schema.json"}, id="elsewhere: not fetched"),
        pytest.param({"$ref": "file:///etc/passwd"}, id="a file: not read"),
        pytest.param(None, id="none"),
        pytest.param({"pattern": "("}, id="no regular expression"),
    ],
)
def test_a_schema_that_cannot_be_used_holds_nothing_back(schema: object) -> None:
    asked = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    assert found(asked, Said(text='"a"', finish="stop")) is None


def allowed(mode: str) -> dict[str, Any]:
    """Source: https://platform.openai.com/docs/guides/function-calling#tool-choice"""
    return {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": []}}}


@pytest.mark.parametrize(
    ("more", "calls", "wrong"),
    [
        pytest.param({}, (("weigh", GOOD),), False, id="as declared"),
        pytest.param({}, (("fly", GOOD),), True, id="a tool that nobody has"),
        pytest.param({}, (("weigh", "{"),), True, id="no JSON"),
        pytest.param({}, (("weigh", '{"age": 1}'),), True, id="an argument is missing"),
        pytest.param({}, (("weigh", GOOD), ("weigh", "[]")), True, id="the second of two"),
        pytest.param({}, (), False, id="no call was demanded"),
        pytest.param({"tool_choice": "required"}, (), True, id="a call was demanded"),
        pytest.param(
            {"tool_choice": {"type": "function", "function": {"name": "weigh"}}},
            (),
            True,
            id="a call of this one was demanded",
        ),
        pytest.param({"tool_choice": "auto"}, (), False, id="or left open"),
        pytest.param(allowed("auto"), (), False, id="some were allowed"),
        pytest.param(allowed("required"), (), True, id="one of some was demanded"),
    ],
)
def test_tools_are_called_as_declared(
    more: dict[str, Any], calls: tuple[tuple[str, str], ...], wrong: bool
) -> None:
    said = Said(text="" if calls else "well", finish="stop", calls=calls)
    assert found(TOOLS | more, said) is (Check.TOOL_CALLS if wrong else None)


def test_only_what_is_asked_for_is_looked_at() -> None:
    said = Said(text="I cannot help with that.", finish="length")
    assert problem({Check.TRUNCATION}, {}, said, limited=False) is Check.TRUNCATION
    assert problem((), {}, said, limited=False) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(
    request_=st.fixed_dictionaries(
        {}, optional={"tools": json_values, "response_format": json_values}
    ),
    text=st.text(max_size=20),
    calls=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=5)), max_size=2),
)
def test_no_request_is_a_fault(
    request_: dict[str, Any], text: str, calls: list[tuple[str, str]]
) -> None:
    found(request_, Said(text=text, finish="stop", calls=tuple(calls)))
