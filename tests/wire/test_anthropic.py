"""OpenAI requests in Anthropic's words, and Anthropic's answers in OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from overspill.wire import sse
from overspill.wire.ask import Target
from overspill.wire.errors import BadRequest, Untranslatable, Wire
from overspill.wire.from_anthropic import ChatStream, completion
from overspill.wire.ingress import INGRESSES
from overspill.wire.usage import NO_USAGE

CHAT = INGRESSES["/v1/chat/completions"]
CLAUDE = Target(wire=Wire.ANTHROPIC, model="claude", max_output_tokens=4096)
USER = {"role": "user", "content": "hi"}
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
}


def translate(**body: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    raw = json.dumps({"model": "gpt-4o", "messages": [USER], **body}).encode()
    call = CHAT.call(CHAT.read(raw), CLAUDE)
    assert call.endpoint == "/messages"
    made: dict[str, Any] = json.loads(call.body)
    return made


REQUESTS = [
    pytest.param({}, {"model": "claude", "max_tokens": 4096}, id="model and the needed limit"),
    pytest.param({"max_tokens": 7}, {"max_tokens": 7}, id="limit"),
    pytest.param({"max_completion_tokens": 7}, {"max_tokens": 7}, id="newer limit"),
    pytest.param({"stream": True}, {"stream": True}, id="stream"),
    pytest.param({"temperature": 1.7}, {"temperature": 1.0}, id="temperature ends at 1"),
    pytest.param({"stop": "x"}, {"stop_sequences": ["x"]}, id="stop"),
    pytest.param({"stop": ["x", "y"]}, {"stop_sequences": ["x", "y"]}, id="stops"),
    pytest.param({"user": "u"}, {"metadata": {"user_id": "u"}}, id="user"),
    pytest.param(
        {"messages": [{"role": "system", "content": "s"}, USER]}, {"system": "s"}, id="system"
    ),
    pytest.param(
        {
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "developer", "content": [{"type": "text", "text": "d"}]},
                USER,
            ]
        },
        {"system": "s\n\nd"},
        id="system and developer",
    ),
    pytest.param(
        {"tools": [TOOL]},
        {"tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]},
        id="tools",
    ),
    pytest.param(
        {"tools": [TOOL], "tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}, id="auto"
    ),
    pytest.param(
        {"tools": [TOOL], "tool_choice": "required"}, {"tool_choice": {"type": "any"}}, id="any"
    ),
    pytest.param(
        {"tools": [TOOL], "tool_choice": "none"}, {"tool_choice": {"type": "none"}}, id="none"
    ),
    pytest.param(
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "tool", "name": "f"}},
        id="forced tool",
    ),
    pytest.param(
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        id="no parallel calls",
    ),
    pytest.param(
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "1", "function": {"name": "f", "arguments": '{"a":1}'}},
                        {"id": "2", "function": {"name": "g", "arguments": ""}},
                    ],
                },
                {"role": "tool", "tool_call_id": "1", "content": "one"},
                {"role": "tool", "tool_call_id": "2", "content": "two"},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
                        {"type": "tool_use", "id": "2", "name": "g", "input": {}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "1",
                            "content": [{"type": "text", "text": "one"}],
                        },
                        {
                            "type": "tool_result",
                            "tool_use_id": "2",
                            "content": [{"type": "text", "text": "two"}],
                        },
                    ],
                },
            ]
        },
        id="parallel tool results share one turn",
    ),
    pytest.param(
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
                        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                    ],
                }
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "AA"},
                        },
                        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    ],
                }
            ]
        },
        id="images",
    ),
]


@pytest.mark.parametrize(("asked", "expected"), REQUESTS)
def test_a_request_is_translated(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    made = translate(**asked)
    assert {name: made.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"guided_json": {"type": "object"}}, "guided_json"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"functions": [{}]}, "functions"),
        ({"tools": [{"type": "custom"}]}, "tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages"),
    ],
)
def test_what_has_no_word_there_is_refused_by_name(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as refusal:
        translate(**asked)
    assert refusal.value.param == field
    assert refusal.value.message.startswith(field)


def test_broken_tool_arguments_stay_on_the_wire_where_they_are_a_text() -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": "{"}}
    with pytest.raises(Untranslatable, match="arguments are not a JSON object"):
        translate(messages=[USER, {"role": "assistant", "tool_calls": [call]}])


def test_neutral_values_are_no_reason_to_refuse() -> None:
    translate(n=1, logprobs=False, response_format={"type": "text"}, modalities=["text"])


def answer(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "yes"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
        **more,
    }


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
    ],
)
def test_stop_reasons(stop: str, finish: str) -> None:
    made, _ = completion(json.dumps(answer(stop_reason=stop)).encode(), 1, NO_USAGE)
    assert made["choices"][0]["finish_reason"] == finish


def test_a_whole_answer_is_translated() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": "\u20ac"}},
    ]
    raw = json.dumps(answer(content=content)).encode()
    made, usage = completion(raw, 7, NO_USAGE)
    message = made["choices"][0]["message"]
    assert (made["id"], made["object"], made["created"]) == ("msg_1", "chat.completion", 7)
    assert (message["content"], message["reasoning_content"]) == ("ab", "hm")
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"x": "\u20ac"}
    assert (usage.input_tokens, usage.output_tokens) == (3, 2)


def frames(*events: dict[str, Any]) -> list[bytes]:
    return [sse.event(json.dumps(event).encode(), event["type"]) for event in events]


START = {"type": "message_start", "message": answer(content=[], usage={"input_tokens": 9})}
STOP: list[dict[str, Any]] = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use"},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop"},
]


def tool_block(index: int, name: str) -> list[dict[str, Any]]:
    block = {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}}
    delta = {"type": "input_json_delta", "partial_json": f'{{"i":{index}}}'}
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        {"type": "content_block_delta", "index": index, "delta": delta},
        {"type": "content_block_stop", "index": index},
    ]


def translated(events: list[bytes], *, wants_usage: bool) -> tuple[ChatStream, list[Any]]:
    stream = ChatStream(wants_usage=wants_usage, created_s=1)
    out = b"".join(map(stream.feed, events))
    datas = [sse.data_of(event) for event in sse.EventFramer().feed(out)]
    return stream, [data if data == b"[DONE]" else json.loads(data) for data in datas]


def test_a_stream_is_translated_in_order_with_ids_and_indices() -> None:
    text = {"type": "text_delta", "text": "yes"}
    events = frames(
        START,
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": text},
        {"type": "content_block_stop", "index": 0},
        *tool_block(1, "f"),
        *tool_block(2, "g"),
        *STOP,
    )
    stream, chunks = translated(events, wants_usage=True)
    *body, finish, usage, done = chunks
    deltas = [chunk["choices"][0]["delta"] for chunk in body]
    assert deltas[:2] == [{"role": "assistant", "content": ""}, {"content": "yes"}]
    calls = [delta["tool_calls"][0] for delta in deltas[2:]]
    assert [(call["index"], call.get("id")) for call in calls] == [
        (0, "t1"),
        (0, None),
        (1, "t2"),
        (1, None),
    ]
    assert [call["function"]["arguments"] for call in calls] == ["", '{"i":1}', "", '{"i":2}']
    assert finish["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["choices"] == []
    assert (usage["usage"]["prompt_tokens"], usage["usage"]["completion_tokens"]) == (9, 5)
    assert done == b"[DONE]"
    assert {chunk["id"] for chunk in chunks[:-1]} == {"msg_1"}
    assert stream.done


def test_exactly_one_end_marker_and_no_usage_unless_asked() -> None:
    _, chunks = translated(frames(START, *STOP), wants_usage=False)
    assert chunks.count(b"[DONE]") == 1
    assert all("usage" not in chunk for chunk in chunks[:-1])


def test_a_stream_without_its_end_is_not_done() -> None:
    stream, chunks = translated(frames(START), wants_usage=False)
    assert not stream.done
    assert b"[DONE]" not in chunks


def test_a_providers_error_event_is_kept_for_the_client() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    stream, chunks = translated(frames(START, error), wants_usage=False)
    assert stream.failed
    assert json.loads(stream.failed)["error"]["message"] == "busy"
    assert len(chunks) == 1


def test_thinking_stays_apart_from_the_text() -> None:
    events = frames(
        START,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "hm"},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta"}},
        {"type": "content_block_stop", "index": 0},
    )
    _, chunks = translated(events, wants_usage=False)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas == [{"role": "assistant", "content": ""}, {"reasoning_content": "hm"}]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"reasoning_effort": "minimal"}, {"effort": "low"}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}},
                }
            },
            {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        ),
    ],
)
def test_output_is_configured(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    assert translate(**asked)["output_config"] == expected


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}),
        ({"temperature": 0.2, "top_p": 1}, {"temperature": 0.2}),
        ({"temperature": 1, "top_p": 0.9}, {"top_p": 0.9}),
        ({"temperature": 1.0, "top_p": 1.0}, {"temperature": 1.0}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
    ],
)
def test_of_temperature_and_top_p_one_is_sent_for_both_are_refused(
    asked: dict[str, float], sent: dict[str, float]
) -> None:
    made = translate(**asked)
    assert {name: made[name] for name in ("temperature", "top_p") if name in made} == sent


def test_a_cache_mark_keeps_its_block() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    system = {"role": "system", "content": [{"type": "text", "text": "s", **mark}]}
    made = translate(messages=[system, USER])
    assert made["system"] == [{"type": "text", "text": "s", **mark}]


def test_nudges_are_left_out_and_told() -> None:
    raw = json.dumps({"model": "m", "messages": [USER], "seed": 1, "temperature": 1.5}).encode()
    assert CHAT.call(CHAT.read(raw), CLAUDE).lossy == ("seed", "temperature")


IMAGE = "data:image/png;base64,AA"
ASSISTANT = {"role": "assistant", "content": "a"}


def part(**value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"messages": [{"role": "user", "content": [value]}]}


def file(**value: str) -> dict[str, Any]:
    return part(type="file", file=value)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        pytest.param({"web_search_options": {}}, "web_search_options", id="an empty object asks"),
        pytest.param({"skip_special_tokens": False}, "skip_special_tokens", id="false says no"),
        pytest.param({"unknown": 0}, "unknown", id="a nought of an unknown field"),
        pytest.param({"reasoning_effort": "huge"}, "reasoning_effort", id="effort"),
        pytest.param(
            {"messages": [{**USER, "audio": {"id": "x"}}]}, "messages", id="a field of a message"
        ),
        pytest.param(
            {"messages": [USER, {"role": "assistant", "function_call": {"name": "f"}}]},
            "messages",
            id="the older call",
        ),
        pytest.param(part(type="text", text="a", of_the_future=1), "messages", id="of a part"),
        pytest.param(
            {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {
                "url": IMAGE}}]}, USER]},
            "messages",
            id="an image in the system prompt",
        ),
        pytest.param({"messages": [USER, ASSISTANT]}, "messages", id="an answer begun"),
        pytest.param({"messages": [{"role": "system", "content": "s"}]}, "messages", id="no turn"),
        pytest.param(file(file_id="f"), "messages", id="a file kept at the provider"),
        pytest.param(file(file_data="AAAA"), "messages", id="a file without its type"),
        pytest.param(file(file_data="data:text/plain;base64,AA"), "messages", id="a text file"),
        pytest.param(
            part(type="image_url", image_url={"url": "data:image/png,AA"}),
            "messages",
            id="no base64",
        ),
        pytest.param(
            {"tools": [{**TOOL, "function": {**TOOL["function"], "future": 1}}]},  # type: ignore[dict-item]
            "tools",
            id="a field of a tool",
        ),
    ],
)  # fmt: skip
def test_nothing_vanishes_on_the_way_to_anthropic(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as refusal:
        translate(**asked)
    assert refusal.value.param == field
    assert refusal.value.message.startswith(field)


@pytest.mark.parametrize(
    "asked",
    [
        {"temperature": "hot"},
        {"temperature": True},
        {"top_p": []},
        {"stop": 5},
        {"stop": [5]},
        {"user": 5},
        {"tools": {}},
        {"tools": [{"type": "function", "function": {"name": None}}]},
        {"parallel_tool_calls": "no"},
        {"response_format": "json"},
        {"response_format": {"type": "json_schema"}},
        {"reasoning_effort": []},
        {"messages": [5]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [USER, {"role": "assistant", "tool_calls": 5}]},
        {"messages": [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]},
        {"messages": [USER, {"role": "tool", "content": "x"}]},
    ],
)
def test_a_value_of_the_wrong_kind_is_the_clients_fault(asked: dict[str, Any]) -> None:
    (field,) = asked
    with pytest.raises(BadRequest) as refusal:
        translate(**asked)
    assert refusal.value.param == field
    assert not isinstance(refusal.value, Untranslatable)


@pytest.mark.parametrize(
    ("asked", "lossy"),
    [
        pytest.param({"seed": 0}, ("seed",), id="a seed of 0 is a seed"),
        pytest.param({"temperature": 0.2, "top_p": 0.9}, ("top_p",), id="of two one"),
        pytest.param({"temperature": 0.2, "top_p": 1}, (), id="a top_p of 1 is none"),
        pytest.param({"user": "a", "safety_identifier": "b"}, ("user",), id="two users"),
        pytest.param(
            part(type="image_url", image_url={"url": IMAGE, "detail": "low"}),
            ("image_url.detail",),
            id="detail",
        ),
        pytest.param(
            {"messages": [USER, {**ASSISTANT, "reasoning_content": "hm", "annotations": []}, USER]},
            ("messages.reasoning_content",),
            id="thoughts of another model",
        ),
        pytest.param(
            {"messages": [USER, {"role": "system", "content": "s"}, USER]},
            ("messages.system",),
            id="a system prompt between turns",
        ),
        pytest.param({"messages": [{**USER, "name": "n"}] * 2}, ("messages.name",), id="names"),
        pytest.param(
            {"response_format": {"type": "json_schema", "json_schema": {
                "name": "n", "description": "d", "schema": {}}}},
            ("response_format.json_schema.description",),
            id="what a schema is for",
        ),
        pytest.param({"presence_penalty": 0, "store": False, "min_p": 0.0}, (), id="nothing"),
    ],
)  # fmt: skip
def test_what_only_nudges_is_told(asked: dict[str, Any], lossy: tuple[str, ...]) -> None:
    raw = json.dumps({"model": "m", "messages": [USER], **asked}).encode()
    assert CHAT.call(CHAT.read(raw), CLAUDE).lossy == lossy


def test_a_file_keeps_its_name_and_a_mark_its_place() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    asked = file(file_data="DATA:application/pdf;base64,AA", filename="a.pdf")
    asked["messages"][0] |= mark
    made = translate(**asked, tools=[{**TOOL, **mark}])
    source = {"type": "base64", "media_type": "application/pdf", "data": "AA"}
    assert made["messages"][0]["content"] == [
        {"type": "document", "source": source, "title": "a.pdf", **mark}
    ]
    assert made["tools"][0]["cache_control"] == mark["cache_control"]


def test_ids_are_in_the_characters_that_anthropics_wire_has_and_still_match() -> None:
    call = {"id": "functions.f:0", "function": {"name": "f", "arguments": "{}"}}
    made = translate(
        messages=[
            USER,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "functions.f:0", "content": ""},
        ]
    )
    _, called, result = made["messages"]
    assert called["content"][0]["id"] == "functions_f_0"
    assert result["content"] == [
        {"type": "tool_result", "tool_use_id": "functions_f_0", "content": []}
    ]


def test_empty_text_is_left_out_for_the_wire_refuses_it() -> None:
    content = [{"type": "text", "text": ""}, {"type": "text", "text": "hi"}]
    made = translate(messages=[{"role": "user", "content": content}])
    assert made["messages"][0]["content"] == [{"type": "text", "text": "hi"}]


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"type": "object", "$defs": {}}, {"type": "object", "$defs": {}}),
    ],
)
def test_what_a_tool_takes_is_an_object(parameters: object, schema: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    assert translate(tools=[tool])["tools"][0]["input_schema"] == schema


@pytest.mark.parametrize("blank", ["\n\n", " ", [{"type": "text", "text": "\t"}]])
def test_white_space_before_a_call_is_left_out_for_the_wire_refuses_it(blank: object) -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
    said = {"role": "assistant", "content": blank, "tool_calls": [call]}
    made = translate(messages=[USER, said])
    assert [block["type"] for block in made["messages"][1]["content"]] == ["tool_use"]


def test_arguments_keep_numbers_of_any_size() -> None:
    call = {
        "id": "a",
        "function": {"name": "f", "arguments": '{"n":123456789012345678901234567890}'},
    }
    raw = json.dumps(
        {"model": "m", "messages": [USER, {"role": "assistant", "tool_calls": [call]}]}
    )
    body = CHAT.call(CHAT.read(raw.encode()), CLAUDE).body
    assert b'"n":123456789012345678901234567890' in body


def test_an_answer_as_the_official_client_keeps_it_can_be_sent_back() -> None:
    nulls = dict.fromkeys(["refusal", "annotations", "audio", "function_call", "tool_calls"])
    kept = {**nulls, "role": "assistant", "content": "{}", "parsed": {"x": 1}}
    raw = json.dumps({"model": "m", "messages": [USER, kept, USER]}).encode()
    assert CHAT.call(CHAT.read(raw), CLAUDE).lossy == ()
