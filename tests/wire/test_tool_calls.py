"""Pieces of tool calls, as one server or another cuts and numbers them, are told apart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from overspill.wire.ask import Target
from overspill.wire.errors import Wire
from overspill.wire.ingress import INGRESSES
from overspill.wire.tool_calls import (
    LONGEST_ID,
    ToolCalls,
    calls_in,
    pieces_in,
    with_short_ids,
    without_empty_calls,
)


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


LONG = "chatcmpl-tool-" + "0123456789abcdef" * 2
OTHER = "chatcmpl-tool-" + "fedcba9876543210" * 2
FUNCTION = {"name": "f", "arguments": "{}"}
TURNS: dict[str, list[dict[str, Any]]] = {
    "/v1/chat/completions": [
        {"role": "user", "content": f'{LONG} "id":"{LONG}"'},
        {
            "role": "assistant",
            "audio": {"id": "a" * 50},
            "tool_calls": [
                {"id": one, "type": "function", "function": FUNCTION} for one in (LONG, OTHER, "c")
            ],
        },
        *({"role": "tool", "tool_call_id": one, "content": one} for one in (LONG, OTHER, "c")),
    ],
    "/v1/messages": [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": LONG, "name": "f", "input": {}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": LONG, "content": "x"}],
        },
    ],
    "/v1/responses": [
        {"type": "function_call", "call_id": LONG, "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": LONG, "output": "x"},
    ],
}


@pytest.mark.parametrize("path", TURNS)
@pytest.mark.parametrize("open_model", [True, False], ids=["open", "OpenAI"])
def test_ids_are_no_longer_than_openai_takes_and_still_match(path: str, open_model: bool) -> None:
    field = "input" if path == "/v1/responses" else "messages"
    asked = {"model": "m", field: TURNS[path], "max_tokens": 9}
    if path == "/v1/responses":
        del asked["max_tokens"]
    ingress = INGRESSES[path]
    target = Target(wire=Wire.OPENAI, model="m", open_model=open_model)
    sent = json.loads(ingress.call(ingress.read(json.dumps(asked).encode()), target).body)
    calls = [one["id"] for turn in sent["messages"] for one in turn.get("tool_calls") or ()]
    results = [turn["tool_call_id"] for turn in sent["messages"] if turn["role"] == "tool"]
    assert calls == results
    assert len(set(calls)) == len(calls)
    assert (LONG in calls) is open_model
    assert open_model or max(map(len, calls)) <= LONGEST_ID


def test_nothing_but_long_ids_of_calls_is_touched() -> None:
    body = json.dumps({"messages": TURNS["/v1/chat/completions"]}).encode()
    told, asked = (json.loads(one)["messages"] for one in (with_short_ids(body), body))
    for turn in (*told, *asked):
        turn.pop("tool_call_id", None)
        turn["tool_calls"] = [one["function"] for one in turn.get("tool_calls", ())]
    assert told == asked
    assert with_short_ids(with_short_ids(body)) == with_short_ids(body)
    short = body.replace(LONG.encode(), b"a").replace(OTHER.encode(), b"b")
    assert with_short_ids(short) is short


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (
            '{"role":"assistant","tool_calls":[],"content":"a"}',
            '{"role":"assistant","content":"a"}',
        ),
        ('{ "tool_calls" : [ ] , "role":"assistant"}', '{ "role":"assistant"}'),
        ('{"role":"assistant", "tool_calls": []}', '{"role":"assistant"}'),
        ('{"content":",\\"tool_calls\\":[]"}', '{"content":",\\"tool_calls\\":[]"}'),
        ('{"role":"assistant","tool_calls":[{}]}', '{"role":"assistant","tool_calls":[{}]}'),
    ],
)
def test_no_calls_are_no_empty_list_of_them(given: str, left: str) -> None:
    assert without_empty_calls(given.encode()).decode() == left


@pytest.mark.parametrize("open_model", [True, False], ids=["open", "OpenAI"])
def test_an_answer_as_vllm_gave_it_can_be_sent_to_openai(open_model: bool) -> None:
    said = {"role": "assistant", "content": "a", "tool_calls": []}
    ingress = INGRESSES["/v1/chat/completions"]
    ask = ingress.read(json.dumps({"model": "m", "messages": [said]}).encode())
    target = Target(wire=Wire.OPENAI, model="m", open_model=open_model)
    (sent,) = json.loads(ingress.call(ask, target).body)["messages"]
    assert sent == (said if open_model else {"role": "assistant", "content": "a"})
