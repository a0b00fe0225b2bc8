"""OpenAI requests and streams: what is read, what is passed on, what is hidden."""

from __future__ import annotations

import json
from typing import Any

import pytest

from overspill.wire import sse
from overspill.wire.errors import BadRequest, message_in, openai_error
from overspill.wire.openai import StreamFilter, read_chat, upstream_body

MESSAGES = [{"role": "user", "content": "hi"}]


def body(**more: object) -> bytes:
    return json.dumps({"model": "gpt-4o", "messages": MESSAGES, **more}).encode()


def test_the_fields_we_need_are_read() -> None:
    chat = read_chat(body(stream=True, max_tokens=7, stream_options={"include_usage": True}))
    assert (chat.model, chat.stream, chat.wants_usage, chat.max_tokens) == ("gpt-4o", True, True, 7)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b"{}", "messages"),
        (body(messages=[]), "messages"),
        (body(model=4), "model"),
        (body(max_tokens=0), "max_tokens: a positive integer is required, not 0"),
        (body(max_tokens="9"), "max_tokens"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_bad_body_is_refused_by_name(raw: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_chat(raw)


def test_only_the_model_changes_on_the_way_to_the_small_tier() -> None:
    raw = body(temperature=0.3, tools=[{"x": "\u20ac"}], vendor_field={"a": [1, None]})
    sent = json.loads(upstream_body(read_chat(raw), "glm"))
    assert sent == {**json.loads(raw), "model": "glm"}


def test_usage_is_always_asked_of_a_stream() -> None:
    raw = body(stream=True, stream_options={"other": 1})
    sent = json.loads(upstream_body(read_chat(raw), "glm"))
    assert sent["stream_options"] == {"other": 1, "include_usage": True}


def chunk(**more: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return sse.event(json.dumps(more).encode())


TEXT = chunk(choices=[{"delta": {"content": "a"}}])
USAGE = chunk(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2})


@pytest.mark.parametrize(("wants", "seen"), [(True, USAGE), (False, b"")])
def test_usage_is_metered_and_shown_only_to_who_asked(wants: bool, seen: bytes) -> None:
    stream = StreamFilter(wants_usage=wants)
    out = [stream.pass_on(raw, sse.data_of(raw)) for raw in (TEXT, USAGE, sse.DONE)]
    assert out == [TEXT, seen, sse.DONE]
    assert stream.usage
    assert (stream.usage.input_tokens, stream.usage.output_tokens, stream.done) == (3, 2, True)


def test_a_null_usage_in_every_chunk_hides_nothing() -> None:
    raw = chunk(choices=[{"delta": {"content": "a"}}], usage=None)
    assert StreamFilter(wants_usage=False).pass_on(raw, sse.data_of(raw)) == raw


def test_text_that_talks_of_usage_is_passed_on() -> None:
    raw = chunk(choices=[{"delta": {"content": '"usage"'}}])
    assert StreamFilter(wants_usage=False).pass_on(raw, sse.data_of(raw)) == raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (openai_error(429, "slow down"), "slow down"),
        (b'{"type":"error","error":{"type":"x","message":"busy"}}', "busy"),
        (b'{"error":"plain"}', "plain"),
        (b"<html>", "<html>"),
        (b"", "no message"),
    ],
)
def test_a_providers_message_is_found(raw: bytes, message: str) -> None:
    assert message_in(raw) == message
