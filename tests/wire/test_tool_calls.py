"""Pieces of tool calls, as one server or another cuts and numbers them, are told apart."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.wire.tool_calls import ToolCalls, calls_in, pieces_in


def piece(arguments: str | None, name: str | None = None, **more: object) -> dict[str, Any]:
    return {**more, "function": {"name": name, "arguments": arguments}}


STREAMS = [
    pytest.param(
        [
            piece("", "f", index=0, id="a"),
            piece(None, "g", index=1, id="b"),
            piece("1", index=0),
            piece("2", index=1),
        ],
        [("a", "f", "1"), ("b", "g", "2")],
        id="in turns",
    ),
    pytest.param(
        [piece("1", "f", index=0, id="a"), piece("2", "g", index=0, id="b")],
        [("a", "f", "1"), ("b", "g", "2")],
        id="every index 0",
    ),
    pytest.param(
        [piece("1", "f", id="a"), piece("2", "g", id="b"), piece("3")],
        [("a", "f", "1"), ("b", "g", "23")],
        id="no index",
    ),
    pytest.param(
        [piece("1", "f", index=0, id="a"), piece("2", index=0, id="x"), piece("3", "f", index=0)],
        [("a", "f", "123")],
        id="an id or a name in every piece",
    ),
    pytest.param(
        [piece("1", "f", index=0), piece("2", "g", index=1, id="")],
        [("call_n_0", "f", "1"), ("call_n_1", "g", "2")],
        id="no ids",
    ),
    pytest.param(
        pieces_in({"function_call": {"name": "f", "arguments": "1"}, "tool_calls": None}),
        [("call_n_0", "f", "1")],
        id="the older word",
    ),
]


@pytest.mark.parametrize(("pieces", "expected"), STREAMS)
def test_a_piece_belongs_to_its_call(
    pieces: list[dict[str, Any]], expected: list[tuple[str, str, str]]
) -> None:
    calls = ToolCalls("n")
    found: dict[int, tuple[str, str, str]] = {}
    for one in pieces:
        call, arguments = calls.take(one)
        before = found.get(call.number, ("", "", ""))[2]
        found[call.number] = (call.call_id, call.name, before + arguments)
    assert found == dict(enumerate(expected))


def test_calls_of_a_whole_message_are_never_one() -> None:
    twins = [piece("{}", "f", id="a", index=0), piece("{}", "f", id="a", index=0)]
    assert [call.number for call, _ in calls_in({"tool_calls": twins}, "n")] == [0, 1]


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        pytest.param({"index": 0, "id": "a"}, "names no function", id="nothing but an id"),
        pytest.param({"function": {"name": ""}}, "names no function", id="an empty name"),
        pytest.param(
            {"function": {"name": "f", "arguments": {"a": 1}}}, "not text", id="arguments parsed"
        ),
    ],
)
def test_a_call_that_cannot_be_made_is_no_answer(piece: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ToolCalls("n").take(piece)
