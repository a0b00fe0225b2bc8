"""What servers send beside the specification: said in the client's words, or no answer at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from overspill.wire import sse
from overspill.wire.ask import Target
from overspill.wire.errors import UNREADABLE, Wire
from overspill.wire.ingress import INGRESSES
from tests.wire.streams import ASKED, body_for

if TYPE_CHECKING:
    from overspill.wire.stream import EventStream

GLM: Final = Target(wire=Wire.OPENAI, model="glm", open_model=True)
CLAUDE: Final = Target(wire=Wire.ANTHROPIC, model="claude")
TRANSLATING: Final = ["/v1/messages", "/v1/responses"]
translating = pytest.mark.parametrize("path", TRANSLATING)


def opened(path: str, target: Target) -> EventStream:
    ingress = INGRESSES[path]
    return ingress.stream(ingress.read(body_for(path, usage=True)), target, 1.0)


def whole(path: str, target: Target, answer: dict[str, Any]) -> dict[str, Any]:
    ingress = INGRESSES[path]
    ask = ingress.read(json.dumps({"model": "m", **ASKED[path]}).encode())
    found: dict[str, Any] = json.loads(
        ingress.answer(ask, target, json.dumps(answer).encode(), 1.0).body
    )
    return found


def completion(finish: str | None = "stop", **said: object) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": finish}
    return {"id": "c", "model": "glm", "choices": [choice]}


def chunk(finish: str | None = None, **delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse.event(json.dumps({"id": "c", "model": "glm", "choices": [choice]}).encode())


def datas(raw: bytes) -> list[Any]:
    found = [sse.data_of(event) for event in sse.EventFramer().feed(raw)]
    return [json.loads(data) for data in found if data != b"[DONE]"]


# -- from OpenAI's wire
@translating
@pytest.mark.parametrize("finish", ["abort", "error", "insufficient_system_resource"])
def test_an_answer_that_the_server_gave_up_never_ends_well(path: str, finish: str) -> None:
    stream = opened(path, GLM)
    stream.feed(chunk(content="ye") + chunk(finish) + sse.DONE)
    stream.rest()
    assert not stream.done
    assert finish in json.loads(stream.failed or b"")["error"]["message"]
    with pytest.raises(UNREADABLE):
        whole(path, GLM, completion(finish, content="ye"))


@translating
def test_the_end_marker_ends_a_stream_that_tells_no_reason(path: str) -> None:
    stream = opened(path, GLM)
    stream.feed(chunk(content="yes"))
    assert stream.feed(sse.DONE)
    assert stream.done


@translating
def test_an_end_marker_alone_is_no_answer(path: str) -> None:
    stream = opened(path, GLM)
    assert stream.feed(sse.DONE) + stream.rest() == b""
    assert not stream.done


def test_a_whole_answer_without_a_reason_is_an_answer() -> None:
    made = whole("/v1/responses", GLM, completion(None, content="yes"))
    assert (made["status"], made["output"][0]["content"][0]["text"]) == ("completed", "yes")
    assert whole("/v1/messages", GLM, completion(None, content="y"))["stop_reason"] == "end_turn"


@translating
def test_text_in_parts_is_text(path: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert '"ab"' in json.dumps(whole(path, GLM, completion(content=parts)))


THOUGHT: Final = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]


@translating
def test_thoughts_among_the_content_are_no_part_of_the_text(path: str) -> None:
    """Source: https://docs.mistral.ai/capabilities/reasoning"""
    made = whole(path, GLM, completion(content=[*THOUGHT, {"type": "text", "text": "ab"}]))
    assert '"ab"' in json.dumps(made)
    assert "hm" not in json.dumps(made)
    told = opened(path, GLM).feed(chunk(content=THOUGHT) + chunk(content="ab") + sse.DONE)
    assert b'"ab"' in told
    assert b"hm" not in told


def test_thoughts_among_the_content_are_shown_to_who_asked_for_them() -> None:
    asked = {"model": "m", **ASKED["/v1/messages"], "thinking": {"type": "adaptive"}}
    ingress = INGRESSES["/v1/messages"]
    ask = ingress.read(json.dumps(asked).encode())
    said = completion(content=[*THOUGHT, {"type": "text", "text": "ab"}])
    made = json.loads(ingress.answer(ask, GLM, json.dumps(said).encode(), 1.0).body)
    assert [(one["type"], one[one["type"]]) for one in made["content"]] == [
        ("thinking", "hm"),
        ("text", "ab"),
    ]
    told = ingress.stream(ask, GLM, 1.0).feed(chunk(content=THOUGHT))
    assert b'"thinking":"hm"' in told


@translating
@pytest.mark.parametrize("content", [5, {"text": "a"}, [{"type": "audio"}], [5]])
def test_content_that_is_no_text_is_no_answer(path: str, content: object) -> None:
    with pytest.raises(UNREADABLE):
        whole(path, GLM, completion(content=content))
    with pytest.raises(UNREADABLE):
        opened(path, GLM).feed(chunk(content=content))


def test_white_space_alone_is_no_text_that_anthropic_would_take_back() -> None:
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    for text, kinds in ("\n\n", ["tool_use"]), ("\n\nLet me see", ["text", "tool_use"]):
        made = whole("/v1/messages", GLM, completion(content=text, tool_calls=[call]))
        assert [block["type"] for block in made["content"]] == kinds
        stream = opened("/v1/messages", GLM)
        parts = [chunk(content=part) for part in (text[:1], text[1:2], text[2:])]
        told = datas(stream.feed(b"".join([*parts, chunk(tool_calls=[call]), sse.DONE])))
        begun = [one["content_block"]["type"] for one in told if "content_block" in one]
        assert begun == kinds
        said = [one["delta"].get("text", "") for one in told if "delta" in one]
        assert "".join(said) == ("" if kinds == ["tool_use"] else text)


def test_ids_are_in_the_characters_that_anthropics_wire_has() -> None:
    call = {"id": "functions.f:0", "function": {"name": "f", "arguments": "{}"}}
    (block,) = whole("/v1/messages", GLM, completion(tool_calls=[call]))["content"]
    assert block["id"] == "functions_f_0"


def test_an_error_keeps_its_kind() -> None:
    stream = opened("/v1/messages", GLM)
    stream.feed(sse.event(b'{"error":{"message":"busy","code":503}}'))
    error = json.loads(stream.failed or b"")["error"]
    assert error == {"type": "overloaded_error", "message": "busy"}


# -- from Anthropic's wire
START: Final[dict[str, Any]] = {
    "type": "message_start",
    "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 1}},
}
STOP: Final[list[dict[str, Any]]] = [
    {"type": "message_delta", "delta": {"stop_reason": "brand_new"}, "usage": {}},
    {"type": "message_stop"},
]


def told(*events: dict[str, Any]) -> bytes:
    return b"".join(sse.event(json.dumps(event).encode(), event["type"]) for event in events)


def test_a_stop_reason_without_a_word_is_told_beside_the_nearest() -> None:
    found = datas(opened("/v1/chat/completions", CLAUDE).feed(told(START, *STOP)))
    answer = {"id": "m", "model": "c", "content": [], "stop_reason": "brand_new"}
    for last in (found[-2], whole("/v1/chat/completions", CLAUDE, answer)):
        (choice,) = last["choices"]
        assert (choice["finish_reason"], choice["native_finish_reason"]) == ("stop", "brand_new")


@pytest.mark.parametrize(("given", "arguments"), [({}, "{}"), ({"x": 1}, '{"x":1}')])
@pytest.mark.parametrize("closed", [True, False])
def test_a_call_told_at_its_start_has_its_arguments(
    given: dict[str, Any], arguments: str, closed: bool
) -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": given}
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    stop = [{"type": "content_block_stop", "index": 0}] if closed else []
    found = datas(opened("/v1/chat/completions", CLAUDE).feed(told(START, start, *stop, *STOP)))
    pieces = [
        call["function"]["arguments"]
        for one in found
        for choice in one["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    assert "".join(pieces) == arguments


@pytest.mark.parametrize("error", ["busy", {"type": "future_error", "message": "busy"}, None])
def test_an_error_event_of_any_shape_breaks_the_stream_off(error: object) -> None:
    stream = opened("/v1/chat/completions", CLAUDE)
    stream.feed(told(START, {"type": "error", "error": error}, *STOP))
    assert not stream.done
    assert json.loads(stream.failed or b"")["error"]["type"] == "server_error"
