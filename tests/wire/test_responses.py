"""OpenAI Responses in terms of chat completions, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from overspill.wire import sse
from overspill.wire.ask import Target
from overspill.wire.errors import BadRequest, Untranslatable, Wire
from overspill.wire.ingress import INGRESSES
from overspill.wire.usage import Usage

RESPONSES = INGRESSES["/v1/responses"]
GLM = Target(wire=Wire.OPENAI, model="glm", open_model=True)
CLAUDE = Target(wire=Wire.ANTHROPIC, model="claude")
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}


def body(**more: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return json.dumps({"model": "gpt-5", "input": "hi", **more}).encode()


def translate(target: Target = GLM, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    made: dict[str, Any] = json.loads(RESPONSES.call(RESPONSES.read(body(**more)), target).body)
    return made


REQUESTS = [
    pytest.param({}, {"messages": [{"role": "user", "content": "hi"}]}, id="text"),
    pytest.param(
        {"instructions": "be kind"},
        {
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": "hi"},
            ]
        },
        id="instructions",
    ),
    pytest.param({"max_output_tokens": 9}, {"max_tokens": 9}, id="limit"),
    pytest.param({"stream": True}, {"stream_options": {"include_usage": True}}, id="usage asked"),
    pytest.param({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}, id="effort"),
    pytest.param(
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {}},
            }
        },
        id="schema",
    ),
    pytest.param(
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"type": "object"}, "strict": True},
                }
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        },
        id="tools",
    ),
    pytest.param(
        {
            "input": [
                {"role": "developer", "content": "d"},
                {"role": "user", "content": [{"type": "input_text", "text": "q"}]},
                {"type": "reasoning", "id": "r", "summary": []},
                {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
                {"type": "function_call", "call_id": "2", "name": "g", "arguments": ""},
                {"type": "function_call_output", "call_id": "1", "output": "one"},
                {"type": "function_call_output", "call_id": "2", "output": "two"},
            ]
        },
        {
            "messages": [
                {"role": "system", "content": "d"},
                {"role": "user", "content": "q"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "1",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        },
                        {
                            "id": "2",
                            "type": "function",
                            "function": {"name": "g", "arguments": "{}"},
                        },
                    ],
                },
                {"role": "tool", "tool_call_id": "1", "content": "one"},
                {"role": "tool", "tool_call_id": "2", "content": "two"},
            ]
        },
        id="a turn with parallel calls",
    ),
    pytest.param(
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "what is it?"},
                        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
                    ],
                }
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what is it?"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "https://x/y.png", "detail": "low"},
                        },
                    ],
                }
            ]
        },
        id="image",
    ),
]


@pytest.mark.parametrize(("asked", "expected"), REQUESTS)
def test_a_request_is_translated(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    made = translate(**asked)
    assert made["model"] == "glm"
    assert {name: made.get(name) for name in expected} == expected


@pytest.mark.parametrize("parallel", [True, False])
def test_nothing_is_said_of_tools_that_there_are_not(parallel: bool) -> None:
    """OpenAI's chat completions answer 400 to it, and Responses do not."""
    assert set(translate(parallel_tool_calls=parallel, tool_choice="auto", tools=[])) == {
        "model",
        "messages",
    }
    made = translate(parallel_tool_calls=parallel, tools=[FUNCTION])
    assert made["parallel_tool_calls"] is parallel


def test_anthropic_is_asked_in_its_own_words() -> None:
    made = translate(CLAUDE, instructions="be kind", max_output_tokens=9)
    assert (made["system"], made["max_tokens"]) == ("be kind", 9)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input"),
        ({"input": []}, "input"),
    ],
)
def test_what_needs_a_memory_or_a_tool_of_the_provider_is_refused(
    asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        translate(**asked)
    assert refused.value.param == field


def test_neutral_values_are_no_reason_to_refuse() -> None:
    translate(previous_response_id=None, background=False, truncation="disabled", store=True)
    with pytest.raises(Untranslatable):
        translate(context_management=[{"type": "compaction"}])


def test_an_answer_becomes_a_response() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {"role": "assistant", "content": "yes", "tool_calls": [call]}
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    raw = {
        "id": "c",
        "created": 7,
        "model": "glm",
        "choices": [{"message": said, "finish_reason": "tool_calls"}],
        "usage": usage,
    }
    ask = RESPONSES.read(body(metadata={"a": "b"}))
    made = json.loads(RESPONSES.answer(ask, GLM, json.dumps(raw).encode(), 0.0).body)
    text, called = made["output"]
    assert (made["object"], made["status"], made["model"]) == ("response", "completed", "glm")
    assert text["content"][0]["text"] == "yes"
    assert (called["call_id"], called["name"], called["arguments"]) == ("1", "f", "{}")
    assert made["metadata"] == {"a": "b"}
    assert made["usage"]["total_tokens"] == 7


def test_an_answer_that_was_cut_says_so() -> None:
    choice = {"message": {"content": "ye"}, "finish_reason": "length"}
    raw = json.dumps({"choices": [choice]}).encode()
    made = json.loads(RESPONSES.answer(RESPONSES.read(body()), GLM, raw, 0.0).body)
    assert made["status"] == "incomplete"
    assert made["incomplete_details"] == {"reason": "max_output_tokens"}


def chunk(**choice: Any) -> bytes:  # noqa: ANN401 - any JSON value
    whole = {"id": "c", "model": "glm", "choices": [{"index": 0, "delta": {}, **choice}]}
    return sse.event(json.dumps(whole).encode())


def call(index: int, **function: str) -> bytes:
    head = {"id": f"t{index}"} if "name" in function else {}
    return chunk(delta={"tool_calls": [{"index": index, **head, "function": function}]})


USAGE = sse.event(b'{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}')


def test_a_stream_numbers_its_events_and_ends_once() -> None:
    stream = RESPONSES.stream(RESPONSES.read(body(stream=True)), GLM, 0.0)
    raw = (
        chunk(delta={"role": "assistant", "content": ""})
        + chunk(delta={"content": "a"})
        + chunk(delta={"content": "b"})
        + call(0, name="f", arguments="")
        + call(1, name="g", arguments="{")
        + call(0, arguments="{}")
        + call(1, arguments="}")
        + chunk(finish_reason="tool_calls")
        + USAGE
        + sse.DONE
    )
    events = [json.loads(sse.data_of(event)) for event in sse.EventFramer().feed(stream.feed(raw))]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    names = [event["type"].removeprefix("response.") for event in events]
    assert names == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_item.added",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    whole = events[-1]["response"]
    assert [item.get("arguments") for item in whole["output"]] == [None, "{}", "{}"]
    assert whole["output"][0]["content"][0]["text"] == "ab"
    assert whole["usage"]["output_tokens"] == 2
    assert stream.done


def test_a_stream_of_anthropic_goes_through_both_translations() -> None:
    frames: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 3}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "yes"},
        },
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    ]
    stream = RESPONSES.stream(RESPONSES.read(body(stream=True)), CLAUDE, 0.0)
    out = b"".join(
        stream.feed(sse.event(json.dumps(frame).encode(), str(frame["type"]))) for frame in frames
    )
    assert out.count(b"event: response.completed\n") == 1
    assert stream.done
    assert stream.usage == Usage(input_tokens=3, output_tokens=2)
    assert not stream.estimated


def test_an_error_within_a_stream_is_told_in_the_protocols_own_event() -> None:
    event = RESPONSES.error_event(RESPONSES.error(503, "busy", code="x"))
    assert event.startswith(b"event: error\n")
    assert json.loads(sse.data_of(event)) == {
        "type": "error",
        "code": "x",
        "message": "busy",
        "param": None,
    }


def item(**value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"input": [value]}


SHOT = {"type": "input_image", "image_url": "data:image/png;base64,AA"}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        pytest.param({"moderation": {}}, "moderation", id="an empty object asks"),
        pytest.param({"unknown": False}, "unknown", id="false says no"),
        pytest.param({"include": ["message.output_text.logprobs"]}, "include", id="logprobs"),
        pytest.param({"text": {"x": 1}}, "text", id="of the text"),
        pytest.param({"text": {"format": {"type": "grammar"}}}, "text", id="a format"),
        pytest.param({"tools": [{**FUNCTION, "defer_loading": True}]}, "tools", id="of a tool"),
        pytest.param(
            {"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools"}},
            "tool_choice",
            id="choice",
        ),
        pytest.param({"tools": [FUNCTION], "tool_choice": "x"}, "tool_choice", id="an odd choice"),
        pytest.param(item(role="user", content="x", future=1), "input", id="of a message"),
        pytest.param(item(type="custom_tool_call", name="f"), "input", id="a call in free text"),
        pytest.param(
            item(role="user", content=[{"type": "input_file", "file_url": "https://x"}]),
            "input",
            id="a file elsewhere",
        ),
        pytest.param(
            item(role="user", content=[{**SHOT, "file_id": "f"}]), "input", id="an image kept there"
        ),
    ],
)  # fmt: skip
def test_nothing_vanishes(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        translate(**asked)
    assert refused.value.param == field


@pytest.mark.parametrize(
    "asked",
    [
        {"instructions": ["x"]},
        {"text": "json"},
        {"reasoning": "high"},
        {"include": "x"},
        {"tools": {}},
        {"tools": [{"type": "function"}]},
        item(role="user", content=5),
        item(type="function_call", name="f", arguments="{}"),
        item(type="function_call_output", output="x"),
    ],
)
def test_a_value_of_the_wrong_kind_is_the_clients_fault(asked: dict[str, Any]) -> None:
    (field,) = asked
    with pytest.raises(BadRequest) as refused:
        translate(**asked)
    assert refused.value.param == field
    assert not isinstance(refused.value, Untranslatable)


def test_an_image_as_a_result_goes_to_the_wire_that_has_it() -> None:
    called = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "1", "output": [SHOT]}
    asked: dict[str, Any] = {"input": [{"role": "user", "content": "x"}, called, result]}
    with pytest.raises(Untranslatable) as refused:
        translate(**asked)
    assert refused.value.param == "input"
    (block,) = translate(CLAUDE, **asked)["messages"][-1]["content"]
    assert block["content"][0]["type"] == "image"


def test_an_answer_as_the_official_client_keeps_it_can_be_sent_back() -> None:
    text = {"type": "output_text", "text": "{}", "annotations": [], "parsed": {"x": 1}}
    said = {"id": "m", "type": "message", "status": "completed", "role": "assistant"}
    call = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    translate(
        input=[{**said, "content": [text]}, {**call, "id": "f", "parsed_arguments": {"x": 1}}]
    )


def test_text_beside_a_call_does_not_stand_between_it_and_its_result() -> None:
    called = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}
    result = {"type": "function_call_output", "call_id": "1", "output": "x"}
    made = translate(input=[called, said, result])["messages"]
    assert [message["role"] for message in made] == ["assistant", "tool"]
    assert (made[0]["content"], len(made[0]["tool_calls"])) == ("a", 1)


def test_thoughts_of_another_model_are_left_out_and_told() -> None:
    asked = [{"type": "reasoning", "summary": []}, {"role": "user", "content": "x"}]
    call = RESPONSES.call(RESPONSES.read(body(input=asked)), GLM)
    assert call.lossy == ("input.reasoning",)


def test_anthropics_refusal_names_the_field_that_the_client_sent() -> None:
    with pytest.raises(Untranslatable, match=r"^input: .*user's turn last") as refused:
        translate(CLAUDE, input=[{"role": "assistant", "content": "x"}])
    assert refused.value.param == "input"
    shot = {"role": "user", "content": [{**SHOT, "detail": "low"}]}
    system = {"role": "system", "content": "s"}
    call = RESPONSES.call(RESPONSES.read(body(input=[shot, system])), CLAUDE)
    assert call.lossy == ("image_url.detail", "input.system")
