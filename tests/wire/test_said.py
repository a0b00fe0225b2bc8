"""What an answer says, whichever wire it came over, and whether whole or in events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.wire.errors import Wire
from overspill.wire.said import Said, said_in

CALL = {"index": 0, "function": {"name": "weigh", "arguments": '{"name"'}}
REST = {"index": 0, "function": {"arguments": ': "Ada"}'}}


def _events(*deltas: dict[str, Any], finish: str = "stop") -> bytes:
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": one}]} for one in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append({"choices": [], "usage": {}})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return ("".join(lines) + "data: [DONE]\n\n").encode()


def test_a_stream_says_what_its_parts_say_together() -> None:
    raw = _events({"content": "Hel"}, {"content": "lo"}, {"tool_calls": [CALL]},
                  {"tool_calls": [REST]}, finish="tool_calls")  # fmt: skip
    assert said_in(raw, stream=True) == Said(
        text="Hello", finish="tool_calls", calls=(("weigh", '{"name": "Ada"}'),)
    )


def test_a_whole_answer_is_read() -> None:
    message = {"content": "Hello", "refusal": None}
    raw = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    assert said_in(raw, stream=False) == Said(text="Hello", finish="stop")


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b'{"choices":[]}', b'{"choices":[1]}'])
def test_what_cannot_be_read_is_nothing(raw: bytes) -> None:
    assert said_in(raw, stream=False) is None


def test_several_choices_are_not_judged() -> None:
    one = {"message": {"content": "a"}}
    assert said_in(json.dumps({"choices": [one, one]}).encode(), stream=False) is None


# -- Anthropic's messages
WEIGHS = {"type": "tool_use", "id": "t1", "name": "weigh", "input": {"name": "Ada"}}
THINKS = {"type": "thinking", "thinking": "hm", "signature": "s"}


def message(*blocks: dict[str, Any], stop_reason: str | None = "end_turn") -> bytes:
    return json.dumps({"content": blocks, "stop_reason": stop_reason}).encode()


def messages(*events: dict[str, Any]) -> bytes:
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events).encode()


def begins(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def goes_on(index: int, kind: str, **more: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def ends(stop_reason: str) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {}}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            message({"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}),
            Said(text="Hello", finish="stop"),
            id="texts",
        ),
        pytest.param(
            message(THINKS, WEIGHS, stop_reason="tool_use"),
            Said(finish="tool_calls", calls=(("weigh", '{"name":"Ada"}'),)),
            id="a call, and a thought that is not said",
        ),
        pytest.param(message(stop_reason="refusal"), Said(finish="content_filter"), id="refusal"),
        pytest.param(message(stop_reason="max_tokens"), Said(finish="length"), id="cut"),
        pytest.param(message(stop_reason="new_reason"), Said(finish="stop"), id="unknown reason"),
        pytest.param(message(stop_reason=None), Said(), id="nothing"),
    ],
)
def test_a_whole_message_is_read(raw: bytes, expected: Said) -> None:
    assert said_in(raw, stream=False, wire=Wire.ANTHROPIC) == expected


def test_a_stream_of_a_message_says_what_its_parts_say_together() -> None:
    raw = messages(
        {"type": "message_start", "message": {"id": "m", "content": []}},
        begins(0, {"type": "thinking", "thinking": ""}),
        goes_on(0, "thinking_delta", thinking="hm"),
        begins(1, {"type": "text", "text": "H"}),
        {"type": "ping"},
        goes_on(1, "text_delta", text="ello"),
        begins(2, {**WEIGHS, "input": {}}),
        goes_on(2, "input_json_delta", partial_json=""),
        goes_on(2, "input_json_delta", partial_json='{"name"'),
        goes_on(2, "input_json_delta", partial_json=': "Ada"}'),
        begins(3, {**WEIGHS, "name": "go"}),
        begins(4, {"type": "server_tool_use", "name": "web_search", "input": {}}),
        goes_on(4, "input_json_delta", partial_json='{"query": "x"}'),
        ends("tool_use"),
        {"type": "message_stop"},
    )
    assert said_in(raw, stream=True, wire=Wire.ANTHROPIC) == Said(
        text="Hello",
        finish="tool_calls",
        calls=(("weigh", '{"name": "Ada"}'), ("go", '{"name":"Ada"}')),
    )


def test_a_stream_that_refuses_says_so() -> None:
    raw = messages(begins(0, {"type": "text", "text": ""}), ends("refusal"))
    assert said_in(raw, stream=True, wire=Wire.ANTHROPIC) == Said(finish="content_filter")


def test_a_stream_that_broke_off_is_nothing() -> None:
    raw = messages(begins(0, {"type": "text", "text": "Hel"}), {"type": "error", "error": {}})
    assert said_in(raw, stream=True, wire=Wire.ANTHROPIC) is None


def test_arguments_that_are_no_text_are_nothing() -> None:
    call = {"function": {"name": "weigh", "arguments": {}}}
    raw = json.dumps({"choices": [{"message": {"tool_calls": [call]}}]}).encode()
    assert said_in(raw, stream=False) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(answer=json_values, stream=st.booleans(), wire=st.sampled_from(Wire))
def test_no_answer_is_a_fault(answer: object, stream: bool, wire: Wire) -> None:
    raw = json.dumps(answer).encode()
    said_in(b"data: " + raw + b"\n\n" if stream else raw, stream=stream, wire=wire)
