"""Schemas that nobody should wait for, and those that only look like it."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.wire.said import Said
from overspill.wire.unfolding import is_endless
from overspill.wire.verify import Check, problem

Schema = dict[str, Any]


def chain(length: int, step: Any, root: str = "#/$defs/d0") -> Schema:  # noqa: ANN401 - a function
    """Definitions, each made of the next one."""
    defs = {f"d{at}": step({"$ref": f"#/$defs/d{at + 1}"}) for at in range(length)}
    return {"$defs": {**defs, f"d{length}": {"type": "object"}}, "$ref": root}


def twice(one: Schema) -> Schema:
    return {"allOf": [one, one]}


def elsewhere(_: Schema) -> Schema:
    return {"anyOf": [{"$ref": "https://example.com/a"}, {"$ref": "https://example.com/b"}]}


ENDLESS = [
    pytest.param(chain(40, twice), id="all of two"),
    pytest.param(chain(40, lambda one: {"anyOf": [{"not": one}, one]}), id="any of two"),
    pytest.param(chain(40, lambda one: {"if": one, "then": one}), id="if and then"),
    pytest.param(chain(40, lambda one: {**one, "not": one}), id="it and not it"),
    pytest.param(
        chain(40, lambda one: {"dependentSchemas": {"a": one, "b": one}}), id="both named"
    ),
    pytest.param({"items": chain(40, twice)} | chain(40, twice, "#"), id="a circle"),
    pytest.param({"properties": {"a": {"$ref": "#/$defs/d0"}}} | chain(40, twice), id="below"),
    pytest.param(
        {
            "$defs": {f"d{at}": True for at in range(41)},
            "allOf": [{"$id": "u:x", **chain(40, twice)}],
        },
        id="behind names of its own",
    ),
    pytest.param(
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "$defs": {f"d{at}": {} for at in range(41)},
            "allOf": [{"id": "u:x", **chain(40, twice)}],
        },
        id="behind names of its own, as they were",
    ),
    pytest.param(chain(40, elsewhere), id="elsewhere"),
    pytest.param(
        {"allOf": [{"$ref": "#a"}] * 30, "$defs": {"a": {"$anchor": "a"}}}, id="by anchors"
    ),
]
FINE = [
    pytest.param(chain(8, twice), id="a short chain"),
    pytest.param(chain(40, lambda one: {"properties": {"a": one, "b": one}}), id="a tree"),
    pytest.param(chain(40, lambda one: {"allOf": [one]}), id="a long line"),
    pytest.param(
        chain(40, lambda _: {"properties": {"a": {"$ref": "#"}, "b": {"anyOf": [{"$ref": "#"}]}}}),
        id="a tree without an end",
    ),
    pytest.param(
        {
            "$defs": {"a/b": {"type": "string"}, "c d": {"items": {"$ref": "#/$defs/a~1b"}}},
            "properties": {f"p{at}": {"$ref": "#/$defs/c%20d"} for at in range(60)},
        },
        id="odd names",
    ),
    pytest.param(
        {
            "$id": "https://example.com/root",
            "$defs": {"one": {"const": {"id": "x"}}},
            "properties": {f"p{at}": {"$ref": "#/$defs/one"} for at in range(60)},
        },
        id="a name for all of it",
    ),
]


@pytest.mark.parametrize("schema", ENDLESS)
def test_what_would_be_read_for_ever_passes_unread(schema: Schema) -> None:
    assert is_endless(schema)
    request = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    said = Said(text="[]", calls=(), finish="stop")
    assert problem({Check.JSON_SCHEMA}, request, said, limited=False) is None


@pytest.mark.parametrize("schema", FINE)
def test_what_an_app_might_ask_is_read(schema: Schema) -> None:
    assert not is_endless(schema)


def test_a_schema_with_many_references_is_still_checked() -> None:
    schema = {
        "$defs": {"n": {"type": "number"}},
        "type": "object",
        "properties": {f"p{at}": {"$ref": "#/$defs/n"} for at in range(60)},
    }
    request = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    wrong = Said(text='{"p59": "x"}', calls=(), finish="stop")
    right = Said(text='{"p59": 1}', calls=(), finish="stop")
    assert problem({Check.JSON_SCHEMA}, request, wrong, limited=False) is Check.JSON_SCHEMA
    assert problem({Check.JSON_SCHEMA}, request, right, limited=False) is None
