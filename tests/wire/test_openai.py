"""OpenAI requests and streams: what is read, what is passed on, what is hidden."""

from __future__ import annotations

import json
from typing import Any

import pytest

from overspill.wire import sse
from overspill.wire.ask import Target
from overspill.wire.errors import BadRequest, Wire, message_in, openai_error
from overspill.wire.ingress import INGRESSES
from overspill.wire.openai import PassedStream, is_own

CHAT = INGRESSES["/v1/chat/completions"]
GLM = Target(wire=Wire.OPENAI, model="glm", open_model=True)
MESSAGES = [{"role": "user", "content": "hi"}]


def body(**more: object) -> bytes:
    return json.dumps({"model": "gpt-4o", "messages": MESSAGES, **more}).encode()


def test_the_fields_we_need_are_read() -> None:
    chat = CHAT.read(body(stream=True, max_tokens=7, stream_options={"include_usage": True}))
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
        (body(stream=1), "stream: true or false is required"),
        (body(stream="true"), "stream"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_bad_body_is_refused_by_name(raw: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        CHAT.read(raw)


def test_only_the_model_changes_on_the_way_to_the_small_tier() -> None:
    raw = body(temperature=0.3, tools=[{"x": "\u20ac"}], vendor_field={"a": [1, None]})
    sent = json.loads(CHAT.call(CHAT.read(raw), GLM).body)
    assert sent == {**json.loads(raw), "model": "glm"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"max_tokens": 9}, {"max_completion_tokens": 9}),
        ({"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        ({"max_tokens": 9, "max_completion_tokens": 7}, {"max_completion_tokens": 7}),
        ({"max_tokens": 9, "max_completion_tokens": None}, {"max_completion_tokens": 9}),
        ({"max_tokens": None}, {}),
    ],
)
def test_openai_is_told_a_limit_by_the_name_that_all_its_models_know(
    given: dict[str, Any], sent: dict[str, Any]
) -> None:
    ask = CHAT.read(body(**given))
    told = json.loads(CHAT.call(ask, Target(wire=Wire.OPENAI, model="gpt")).body)
    assert {name: told[name] for name in told if name.startswith("max_")} == sent
    open_model = json.loads(CHAT.call(ask, GLM).body)
    assert {name: open_model[name] for name in given} == given


@pytest.mark.parametrize("given", [{"max_tokens": 9}, {"max_completion_tokens": 9}])
def test_other_hosts_are_told_it_by_the_name_that_all_of_them_know(given: dict[str, Any]) -> None:
    """Mistral answers 422 to the newer one, and DeepSeek takes no notice of it."""
    told = CHAT.call(
        CHAT.read(body(**given)), Target(wire=Wire.OPENAI, model="m", older_limit=True)
    )
    assert json.loads(told.body) == {"model": "m", "messages": MESSAGES, "max_tokens": 9}


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("api.openai.com", True),
        ("eu.api.openai.com", True),
        ("acme.openai.azure.com", True),
        ("api.mistral.ai", False),
        ("openai.com.example", False),
        ("notopenai.com", False),
        ("", False),
    ],
)
def test_openais_own_models_are_known_by_their_host(host: str, own: bool) -> None:
    assert is_own(host) is own


def test_openai_is_not_told_how_open_models_draw_words() -> None:
    asked = {"top_k": 20, "min_p": 0.1, "repetition_penalty": None, "temperature": 0.5}
    ask = CHAT.read(body(**asked))
    call = CHAT.call(ask, Target(wire=Wire.OPENAI, model="gpt"))
    assert json.loads(call.body) == {"model": "gpt", "messages": MESSAGES, "temperature": 0.5}
    assert call.lossy == ("top_k", "min_p")
    untouched = CHAT.call(ask, GLM)
    assert json.loads(untouched.body) == {"model": "glm", "messages": MESSAGES, **asked}
    assert untouched.lossy == ()


def test_usage_is_always_asked_of_a_stream() -> None:
    raw = body(stream=True, stream_options={"other": 1})
    sent = json.loads(CHAT.call(CHAT.read(raw), GLM).body)
    assert sent["stream_options"] == {"other": 1, "include_usage": True}


def chunk(**more: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return sse.event(json.dumps(more).encode())


TEXT = chunk(choices=[{"delta": {"content": "a"}}])
USAGE = chunk(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2})


@pytest.mark.parametrize(("wants", "seen"), [(True, USAGE), (False, b"")])
def test_usage_is_metered_and_shown_only_to_who_asked(wants: bool, seen: bytes) -> None:
    stream = PassedStream(wants_usage=wants)
    out = [stream.feed(raw) for raw in (TEXT, USAGE, sse.DONE)]
    assert out == [TEXT, seen, sse.DONE]
    assert stream.usage
    assert (stream.usage.input_tokens, stream.usage.output_tokens, stream.done) == (3, 2, True)


def test_a_null_usage_in_every_chunk_hides_nothing() -> None:
    raw = chunk(choices=[{"delta": {"content": "a"}}], usage=None)
    assert PassedStream(wants_usage=False).feed(raw) == raw


def test_text_that_talks_of_usage_is_passed_on() -> None:
    raw = chunk(choices=[{"delta": {"content": '"usage"'}}])
    assert PassedStream(wants_usage=False).feed(raw) == raw


def test_what_no_event_needs_is_not_cut_and_still_counted() -> None:
    stream = PassedStream(wants_usage=False)
    assert stream.feed(TEXT * 3) == TEXT * 3
    assert stream.events == 3


def test_an_error_within_a_stream_ends_it_and_what_follows_is_not_passed_on() -> None:
    stream = PassedStream(wants_usage=True)
    error = chunk(error={"message": "out of memory", "type": "server_error"})
    assert stream.feed(TEXT + error + sse.DONE) == TEXT
    assert not stream.done
    assert stream.failed is not None
    assert json.loads(stream.failed)["error"]["message"] == "out of memory"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "m", "code": 503}, "overloaded_error"),
        ({"message": "m", "code": 429}, "rate_limit_error"),
        ({"message": "m", "type": "rate_limit_error"}, "rate_limit_error"),
        ({"message": "m", "code": 7}, "server_error"),
        ("m", "server_error"),
    ],
)
def test_an_error_within_a_stream_keeps_its_kind(error: object, kind: str) -> None:
    told = {"type": "error", "error": error}  # not quite OpenAI's words
    stream = PassedStream(wants_usage=True)
    stream.feed(chunk(**told))
    assert json.loads(stream.failed or b"")["error"]["type"] == kind


def test_a_key_that_stands_twice_reaches_the_upstream_once() -> None:
    raw = b'{"model":"a","messages":[{"role":"user","content":"x"}],"n":1,"n":2}'
    assert CHAT.call(CHAT.read(raw), GLM).body.count(b'"n"') == 1


def test_values_go_on_as_they_were_written() -> None:
    raw = b'{"model":"m","messages":[ {"role":"user","content":"\\u00e9"} ],"temperature":1.50e-1}'
    sent = CHAT.call(CHAT.read(raw), GLM).body
    assert sent == (
        b'{"model":"glm","messages":[ {"role":"user","content":"\\u00e9"} ],"temperature":1.50e-1}'
    )


@pytest.mark.parametrize("words", [1, 1_000, 10_000])
def test_turns_of_a_conversation_have_the_same_number_and_others_have_not(words: int) -> None:
    """However long what they all begin with: a system prompt, an instruction, each of `words`."""

    def number(*texts: str) -> int:
        turns = [{"role": "system", "content": "be kind " * words}]
        turns += [
            {"role": "assistant" if index % 2 else "user", "content": text}
            for index, text in enumerate(texts)
        ]
        return CHAT.read(json.dumps({"model": "m", "messages": turns}).encode()).conversation()

    assert number("hi") == number("hi", "yes?") == number("hi", "yes?", "bye")
    assert number("hi") != number("ho")
    told = "answer this: " * words
    assert number(f"{told}hi") == number(f"{told}hi", "yes?")
    assert number(f"{told}hi") != number(f"{told}ho")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (openai_error(429, "slow down"), "slow down"),
        (b'{"type":"error","error":{"type":"x","message":"busy"}}', "busy"),
        (b'{"error":"plain"}', "plain"),
        (b'{"object":"error","message":"too long","type":"BadRequestError"}', "too long"),
        (b"<html>", "<html>"),
        (b"", "no message"),
        (b"[" * 9999, "[" * 200),
    ],
)
def test_a_providers_message_is_found(raw: bytes, message: str) -> None:
    assert message_in(raw) == message
