"""A stream, put together, is the message that the whole answer translates to: on every road."""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.wire import sse
from overspill.wire.ask import Target
from overspill.wire.errors import Wire
from overspill.wire.ingress import INGRESSES, Ingress
from tests.wire.streams import ASKED

CHAT, MESSAGES, RESPONSES = (
    INGRESSES[path] for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses")
)
GLM: Final = Target(wire=Wire.OPENAI, model="glm", open_model=True)
CLAUDE: Final = Target(wire=Wire.ANTHROPIC, model="claude")
EVERY = settings(max_examples=300, deadline=None, derandomize=True)

texts = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=12)
names = st.sampled_from(["f", "get_weather"])
inputs = st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=3)
tokens = st.integers(0, 10**6)


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """Cut a text anywhere; some pieces are empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def events(*datas: dict[str, Any]) -> bytes:
    return b"".join(sse.event(json.dumps(data).encode()) for data in datas)


def translated(ingress: Ingress, target: Target, raw: bytes) -> list[Any]:
    """What the client gets of a stream, parsed."""
    path = next(path for path, one in INGRESSES.items() if one is ingress)
    thinking = {"type": "enabled", "budget_tokens": 1024}
    more = {"stream": True, "stream_options": {"include_usage": True}, "thinking": thinking}
    ask = ingress.read(json.dumps({"model": "m", **ASKED[path], **more}).encode())
    stream = ingress.stream(ask, target, 7.0)
    out = stream.feed(raw) + stream.rest()
    assert stream.done
    found = [sse.data_of(event) for event in sse.EventFramer().feed(out)]
    return [json.loads(data) for data in found if data != b"[DONE]"]


def answered(ingress: Ingress, target: Target, answer: dict[str, Any]) -> dict[str, Any]:
    """What the client gets of the whole answer."""
    path = next(path for path, one in INGRESSES.items() if one is ingress)
    thinking = {"type": "enabled", "budget_tokens": 1024}
    ask = ingress.read(json.dumps({"model": "m", "thinking": thinking, **ASKED[path]}).encode())
    whole: dict[str, Any] = json.loads(
        ingress.answer(ask, target, json.dumps(answer).encode(), 7.0).body
    )
    return whole


# -- from OpenAI's wire
calls_made = st.lists(
    st.builds(
        lambda number, name, arguments: {
            "id": number,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        },
        st.sampled_from(["a", "b", "functions.f:0", ""]),
        names,
        st.just("") | inputs.map(json.dumps) | st.just('{"cut": "sho'),
    ),
    max_size=3,
    unique_by=lambda call: call["id"],
)


@st.composite
def of_openai(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A chat completion, and a stream of it: calls interleave, nulls and nothings stand between."""
    said: dict[str, Any] = {"role": "assistant"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "content", "refusal"):
        text = draw(st.none() | texts)
        said[name] = text
        if text is not None:
            deltas += [{name: piece} for piece in pieces(draw, text)]
            deltas.append({name: None, "tool_calls": None})
    calls = draw(calls_made)
    said["tool_calls"] = calls or None
    queues: list[list[dict[str, Any]]] = []
    for index, call in enumerate(calls):
        head = {"index": index, **call, "function": {**call["function"], "arguments": ""}}
        cut = pieces(draw, call["function"]["arguments"])
        queues.append([head, *({"index": index, "function": {"arguments": c}} for c in cut)])
        deltas.append({"tool_calls": [queues[-1].pop(0)]})
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        deltas.append({"tool_calls": [queue.pop(0)]})
    finish = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter", "new"]))
    usage = {
        "prompt_tokens": draw(tokens),
        "completion_tokens": draw(tokens),
        "prompt_tokens_details": draw(st.none() | st.just({"cached_tokens": 0})),
    }
    head = {"id": "chatcmpl-1", "model": "glm", "created": 7}
    whole = {
        **head,
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": usage,
    }
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None}
        for delta in deltas
    ]
    last = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    if draw(st.booleans()):
        chunks.append({**last, "usage": usage})
    else:
        chunks += [last, {**head, "choices": draw(st.sampled_from([[], None])), "usage": usage}]
    return whole, events(*chunks) + draw(st.sampled_from([sse.DONE, b""]))


def message_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Put an Anthropic stream together, as its clients do."""
    message: dict[str, Any] = {}
    pieces_of: list[str] = []
    for event in found:
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
        elif kind == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append(event["content_block"])
            pieces_of = []
        elif kind == "content_block_delta":
            assert event["index"] == len(message["content"]) - 1
            block, delta = message["content"][-1], event["delta"]
            if delta["type"] == "input_json_delta":
                pieces_of.append(delta["partial_json"])
            else:
                block[block["type"]] += delta[block["type"]]
        elif kind == "content_block_stop":
            block = message["content"][event["index"]]
            if block["type"] == "tool_use":
                try:
                    block["input"] = json.loads("".join(pieces_of) or "{}")
                except ValueError:
                    block["input"] = {}
        elif kind == "message_delta":
            message |= event["delta"]
            message["usage"] = event["usage"]
    assert [event["type"] for event in found].count("message_stop") == 1
    return message


@EVERY
@given(of_openai())
def test_openai_to_anthropic(made: tuple[dict[str, Any], bytes]) -> None:
    whole, raw = made
    assert message_of(translated(MESSAGES, GLM, raw)) == answered(MESSAGES, GLM, whole)


def response_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The response as the last event has it; the events before must have told the same."""
    output: list[dict[str, Any]] = []
    for event in found:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(output)
            output.append({"text": "", "item": None})
        elif kind.endswith(".delta"):
            output[event["output_index"]]["text"] += event["delta"]
        elif kind == "response.output_item.done":
            output[event["output_index"]]["item"] = event["item"]
    last: dict[str, Any] = found[-1]["response"]
    assert [one["item"] for one in output] == last["output"]
    for one in output:
        item = one["item"]
        part = item["content"][0] if item["type"] == "message" else item
        told = part.get("text", part.get("refusal", part.get("arguments")))
        assert told == one["text"]
    return last


@EVERY
@given(of_openai())
def test_openai_to_responses(made: tuple[dict[str, Any], bytes]) -> None:
    whole, raw = made
    assert response_of(translated(RESPONSES, GLM, raw)) == answered(RESPONSES, GLM, whole)


# -- from Anthropic's wire
blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, texts),
    st.just({"type": "redacted_thinking", "data": "x"}),
    st.just({"type": "of_the_future", "text": "x"}),
    st.builds(
        lambda name, value: {"type": "tool_use", "name": name, "input": value}, names, inputs
    ),
)


@st.composite
def of_anthropic(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A message, and a stream of it: a block may be told at its start, or piece by piece."""
    content = [
        {**block, "id": f"toolu_{index}"} if block["type"] == "tool_use" else block
        for index, block in enumerate(draw(st.lists(blocks, max_size=5)))
    ]
    usage = {
        "input_tokens": draw(tokens),
        "cache_read_input_tokens": draw(st.none() | tokens),
        "cache_creation_input_tokens": draw(st.none() | tokens),
        "output_tokens": draw(tokens),
    }
    stop = draw(st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal", "brand_new"]))
    head = {"id": "msg_1", "model": "claude", "type": "message", "role": "assistant"}
    whole = {**head, "content": content, "stop_reason": stop, "usage": usage}
    start: dict[str, Any] = {
        **head,
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 1},
    }
    found: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(content):
        found += told_in_pieces(draw, index, block)
    found.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage})
    found.append({"type": "message_stop"})
    return whole, events(*found)


FIELDS: Final = {"text": ("text", "text_delta"), "thinking": ("thinking", "thinking_delta")}


def told_in_pieces(draw: st.DrawFn, index: int, block: dict[str, Any]) -> list[dict[str, Any]]:
    kind = block["type"]
    start = {"type": "content_block_start", "index": index, "content_block": block}
    stop = {"type": "content_block_stop", "index": index}
    if kind not in (*FIELDS, "tool_use") or draw(st.booleans()):
        return [start, stop]
    if kind == "tool_use":
        name, delta, empty = "partial_json", "input_json_delta", {**block, "input": {}}
        told = json.dumps(block["input"]) if block["input"] else draw(st.sampled_from(["", "{}"]))
    else:
        (name, delta), empty = FIELDS[kind], {**block, FIELDS[kind][0]: ""}
        told = block[kind]
    cut = [
        {"type": "content_block_delta", "index": index, "delta": {"type": delta, name: piece}}
        for piece in pieces(draw, told)
    ]
    return [{**start, "content_block": empty}, *cut, stop]


def completion_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Put a stream of chunks together, as OpenAI's clients do."""
    *chunks, last, usage = found
    said: dict[str, Any] = {"role": None, "content": None}
    calls: list[dict[str, Any]] = []
    for chunk in chunks:
        delta = chunk["choices"][0]["delta"]
        said["role"] = delta.get("role") or said["role"]
        for name in ("content", "reasoning_content"):
            if delta.get(name):
                said[name] = (said.get(name) or "") + delta[name]
        for piece in delta.get("tool_calls") or []:
            if piece["index"] == len(calls):
                calls.append({**piece, "function": dict(piece["function"])})
                calls[-1].pop("index")
            else:
                assert {"id", "name"}.isdisjoint({*piece, *piece["function"]})
                calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    if calls:
        said["tool_calls"] = calls
    choice = {**last["choices"][0], "message": said}
    assert choice.pop("delta") == {}
    head = {name: last[name] for name in ("id", "created", "model")}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage["usage"]}


def parsed(completion: dict[str, Any]) -> dict[str, Any]:
    """With arguments as values: spaces and escapes are the provider's own."""
    for call in completion["choices"][0]["message"].get("tool_calls", []):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return completion


@EVERY
@given(of_anthropic())
def test_anthropic_to_openai(made: tuple[dict[str, Any], bytes]) -> None:
    whole, raw = made
    streamed = completion_of(translated(CHAT, CLAUDE, raw))
    assert parsed(streamed) == parsed(answered(CHAT, CLAUDE, whole))


@EVERY
@given(of_anthropic())
def test_anthropic_to_responses(made: tuple[dict[str, Any], bytes]) -> None:
    whole, raw = made
    streamed = by_kind(response_of(translated(RESPONSES, CLAUDE, raw)))
    assert streamed == by_kind(answered(RESPONSES, CLAUDE, whole))


def by_kind(response: dict[str, Any]) -> dict[str, Any]:
    """Without the order of items, which a chat completion does not keep."""
    for item in response["output"]:
        item.pop("id")
        if item["type"] == "function_call":
            item["arguments"] = json.loads(item["arguments"])
    response["output"].sort(key=lambda item: item["type"], reverse=True)
    return response
