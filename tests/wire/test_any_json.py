"""Whatever stands where a value is expected: a request is worded or refused, an answer read or not.

Nothing else may be raised: it would be a broken connection instead of an error.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.wire import sse
from overspill.wire.ask import Target
from overspill.wire.errors import UNREADABLE, BadRequest, Wire
from overspill.wire.ingress import INGRESSES
from tests.wire.streams import ASKED, body_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overspill.wire.ask import Ask, Call

TARGETS: Final = [
    Target(wire=Wire.OPENAI, model="glm", open_model=True),
    Target(wire=Wire.OPENAI, model="gpt"),
    Target(wire=Wire.ANTHROPIC, model="claude"),
]
SCHEMA: Final = {"type": "object", "properties": {}}
MARK: Final = {"cache_control": {"type": "ephemeral"}}
IMAGE: Final = "data:image/png;base64,AA"
CHAT: Final[dict[str, Any]] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s", **MARK}]},
        {
            "role": "user",
            "name": "n",
            "content": [
                {"type": "text", "text": "q"},
                {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
                {"type": "file", "file": {"file_data": IMAGE, "filename": "f"}},
            ],
        },
        {
            "role": "assistant",
            "content": "a",
            "refusal": "no",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "x"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
    ],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "reasoning_effort": "low",
    "stop": ["x"],
    "temperature": 1.5,
    "max_tokens": 9,
    "user": "u",
    "stream": True,
    "stream_options": {"include_usage": True},
    "seed": 1,
}
MESSAGES: Final[dict[str, Any]] = {
    "model": "m",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "s", **MARK}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "q"},
                {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                {"type": "document", "source": {"type": "text", "data": "d"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": ""},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "1",
                    "is_error": True,
                    "content": [{"type": "text", "text": "r"}],
                }
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA, **MARK}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["x"],
    "metadata": {"user_id": "u"},
    "top_k": 4,
    "stream": True,
}
RESPONSES: Final[dict[str, Any]] = {
    "model": "m",
    "instructions": "i",
    "input": [
        {"role": "developer", "content": "d"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "q"},
                {"type": "input_image", "image_url": IMAGE, "detail": "low"},
                {"type": "input_file", "file_data": IMAGE, "filename": "f"},
            ],
        },
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "max_output_tokens": 9,
    "include": ["reasoning.encrypted_content"],
    "stream": True,
}
REQUESTS: Final = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": MESSAGES,
    "/v1/responses": RESPONSES,
    "/v1/completions": {"model": "m", "prompt": "p", "max_tokens": 9, "stream": True},
    "/v1/embeddings": {"model": "m", "input": ["a"]},
    "/v1/messages/count_tokens": {"model": "m", "messages": MESSAGES["messages"]},
}
ODD: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [None, True, False, 0, -1, 1.5, 10**30, "", "x", [], ["x"], [None], {}, {"type": []}, [[{}]]]
)


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """All paths to a value within a value."""
    inner = value if isinstance(value, dict) else {}
    inner = dict(enumerate(value)) if isinstance(value, list) else inner
    for key, one in inner.items():
        yield (*path, key)
        yield from places(one, (*path, key))


def changed(source: dict[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    """A copy with another value at a place."""
    made = copy.deepcopy(source)
    at: Any = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return made


@st.composite
def changes(draw: st.DrawFn, sources: dict[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(sorted(sources)))
    made = sources[name]
    for _ in range(draw(st.integers(1, 3))):
        made = changed(made, draw(st.sampled_from(list(places(made)))), draw(ODD))
    return name, made


@pytest.mark.parametrize("path", REQUESTS)
def test_the_requests_themselves_are_fine(path: str) -> None:
    ask = INGRESSES[path].read(json.dumps(REQUESTS[path]).encode())
    assert any(worded(path, ask, target)[1] for target in TARGETS)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(changes(REQUESTS))
def test_a_request_is_worded_or_refused(made: tuple[str, dict[str, Any]]) -> None:
    path, body = made
    try:
        ask = INGRESSES[path].read(json.dumps(body).encode())
        ask.conversation()
    except BadRequest:
        return
    for target in TARGETS:
        refused, call = worded(path, ask, target)
        if refused is not None:
            assert refused.param in {None, *REQUESTS[path], *body}
            assert refused.message.startswith(refused.param or "")
        if call is not None:
            assert isinstance(json.loads(call.body), dict)
            assert all(name.isascii() and name.isprintable() for name in call.lossy)


def worded(path: str, ask: Ask, target: Target) -> tuple[BadRequest | None, Call | None]:
    try:
        return None, INGRESSES[path].call(ask, target)
    except BadRequest as refusal:
        return refusal, None


COMPLETION: Final[dict[str, Any]] = {
    "id": "c",
    "model": "glm",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "a",
                "reasoning_content": "t",
                "refusal": "r",
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
            },
            "delta": {
                "content": "a",
                "tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": ""}}],
            },
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
}
MESSAGE: Final[dict[str, Any]] = {
    "id": "m",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "t"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}},
    ],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
ANSWERS: Final = {"openai": COMPLETION, "anthropic": MESSAGE}
EVENTS: Final = {
    "events": {
        "events": [
            {"type": "message_start", "message": {**MESSAGE, "content": []}},
            {"type": "content_block_start", "index": 0, "content_block": MESSAGE["content"][2]},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": "{}"},
            },
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": MESSAGE["usage"]},
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            {"type": "message_stop"},
        ]
    }
}
ROADS: Final = ["/v1/chat/completions", "/v1/messages", "/v1/responses"]


@settings(max_examples=800, deadline=None, derandomize=True)
@given(changes(ANSWERS), st.sampled_from(ROADS))
def test_an_answer_is_read_or_unreadable(made: tuple[str, dict[str, Any]], path: str) -> None:
    wire, answer = made
    target = TARGETS[0] if wire == "openai" else TARGETS[2]
    ingress = INGRESSES[path]
    ask = ingress.read(json.dumps({"model": "m", **ASKED[path]}).encode())
    try:
        body = ingress.answer(ask, target, json.dumps(answer).encode(), 1.0).body
    except UNREADABLE:
        return
    assert isinstance(json.loads(body), dict)


@settings(max_examples=800, deadline=None, derandomize=True)
@given(changes({"openai": COMPLETION, **EVENTS}), st.sampled_from(ROADS))
def test_a_stream_is_read_or_unreadable(made: tuple[str, dict[str, Any]], path: str) -> None:
    wire, told = made
    target = TARGETS[0] if wire == "openai" else TARGETS[2]
    ingress = INGRESSES[path]
    stream = ingress.stream(ingress.read(body_for(path, usage=True)), target, 1.0)
    found = [told] if wire == "openai" else told["events"]
    try:
        for event in found if isinstance(found, list) else []:
            stream.feed(sse.event(json.dumps(event).encode()))
        stream.rest()
    except UNREADABLE:
        return
    assert stream.failed is None or isinstance(json.loads(stream.failed), dict)
