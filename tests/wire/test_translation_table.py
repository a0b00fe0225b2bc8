"""The 66 facts of OpenAI ↔ Anthropic translation, one test each.

`tests/data/conformance/translation.json` states them as shapes, gathered from the two providers'
documentation and from what other gateways test; this adapter turns each shape into a call. Where
gateways disagree (`peers_disagree`) the provider's documentation decides: see docs/wire.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from overspill.wire import sse
from overspill.wire.anthropic import PassedStream as AnthropicStream
from overspill.wire.ask import Target
from overspill.wire.errors import BadRequest, Untranslatable, Wire, message_in, status_for
from overspill.wire.from_anthropic import ChatStream, completion
from overspill.wire.from_openai import MessageStream, message
from overspill.wire.ingress import INGRESSES
from overspill.wire.openai import PassedStream as OpenAIStream
from overspill.wire.to_anthropic import messages_body
from overspill.wire.to_openai import chat_body
from overspill.wire.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from overspill.wire.stream import EventStream

TABLE = Path(__file__).parents[1] / "data" / "conformance" / "translation.json"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(TABLE.read_text())["cases"]
}
USER = {"role": "user", "content": "u"}
ESTIMATE = Usage(input_tokens=7)


def of(kind: str, direction: str, *, but: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    return [
        number
        for number, case in CASES.items()
        if (case["kind"], case["direction"]) == (kind, direction) and number not in but
    ]


def holds(found: Any, expected: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether everything expected is there; more may be."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            name in found and holds(found[name], value) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(map(holds, found, expected))
        )
    return bool(found == expected)


# -- requests
def role_of(entry: list[Any]) -> dict[str, Any]:
    role, content = entry
    if isinstance(content, str):
        return {"role": role, "content": content}
    calls = [
        {"id": number, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for number in content.get("tool_calls", [])
    ]
    return {"role": role, **content, **({"tool_calls": calls} if calls else {})}


def openai_request(given: dict[str, Any]) -> dict[str, Any]:
    body = {"messages": [USER], **given}
    if "tools" in given:
        body["tools"] = [
            {"type": "function", "function": {"name": name}} for name in given["tools"]
        ]
    if "messages" in given:
        body["messages"] = [role_of(entry) for entry in given["messages"]]
    if "part" in given:
        body["messages"] = [{"role": "user", "content": [body.pop("part")]}]
    if "message" in given:
        body["messages"] = [USER, body.pop("message")]
    return body


def to_anthropic(given: dict[str, Any]) -> dict[str, Any]:
    source = openai_request(given)
    limit = given.get("max_completion_tokens") or given.get("max_tokens") or 4096
    return messages_body(source, "claude", limit)[0]


def meets(given: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether the translated request is as expected, or is refused where that is expected."""
    if expected == {"http_status": 400}:
        with pytest.raises(BadRequest):
            to_anthropic(given)
        return True
    made = to_anthropic(given)
    special: dict[str, Callable[[Any], bool]] = {
        "absent": lambda names: not set(names) & set(made),
        "messages_roles": lambda roles: [turn["role"] for turn in made["messages"]] == roles,
        "stop_sequences_contains": lambda wanted: set(wanted) <= set(made["stop_sequences"]),
        "part": lambda part: holds(made["messages"][-1]["content"][0], part),
        "message": lambda turn: holds(made["messages"][-1]["content"], turn["content"]),
        "last_message": lambda turn: holds(made["messages"][-1], turn),
        "max_tokens": lambda _: made["max_tokens"] == 4096,
    }
    return all(
        special[name](value) if name in special else holds(made.get(name), value)
        for name, value in expected.items()
    )


@pytest.mark.parametrize("number", of("request", "openai->anthropic", but={"req.o2a.unsupported"}))
def test_requests_to_anthropic(number: str) -> None:
    given, expected = CASES[number]["given"], CASES[number]["expect"]
    if "one_of" in expected:
        chosen = expected["one_of"][0]  # documented: capped, and told; effort, as the wire has it
        assert meets(given, chosen)
    else:
        assert meets(given, expected)


def test_what_anthropic_lacks_is_left_out_and_told_or_refused() -> None:
    given = CASES["req.o2a.unsupported"]["given"]
    for name in ("n", "logprobs"):  # they change what the answer is
        with pytest.raises(Untranslatable) as refused:
            to_anthropic({name: given[name]})
        assert refused.value.param == name
    nudges = {name: value for name, value in given.items() if name not in ("n", "logprobs")}
    made, lossy = messages_body(openai_request(nudges), "claude", 4096)
    assert not set(CASES["req.o2a.unsupported"]["expect"]["absent"]) & set(made)
    assert set(lossy) == set(nudges)


@pytest.mark.parametrize("number", of("request", "anthropic->openai"))
def test_requests_to_openai(number: str) -> None:
    given, expected = CASES[number]["given"], CASES[number]["expect"]
    body: dict[str, Any] = {"max_tokens": 9, "messages": [USER], **given}
    if "tools" in given:
        body["tools"] = [{"name": name, "input_schema": {}} for name in given["tools"]]
    if "message" in given:
        body["messages"] = [USER, body.pop("message")]
    if "source" in given:
        image = {"type": "image", "source": body.pop("source")}
        body["messages"] = [{"role": "user", "content": [image]}]
    made, lossy = chat_body(body, open_model=True, limit="max_tokens")
    assert not lossy
    if "messages" in expected:
        wanted = [role_of(entry) for entry in expected["messages"]]
        assert holds(made["messages"][1:], wanted)
    elif "image_url" in expected:
        assert holds(made["messages"][0]["content"][0], expected)
    else:
        assert holds(made, expected)


# -- whole answers
@pytest.mark.parametrize("number", of("response", "anthropic->openai"))
def test_answers_of_anthropic(number: str) -> None:
    given, expected = CASES[number]["given"], CASES[number]["expect"]
    raw = {
        "id": "msg",
        "model": "claude",
        "content": [{"type": "text", "text": "x"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
        **given,
    }
    made, _ = completion(json.dumps(raw).encode(), 0, ESTIMATE)
    choice = made["choices"][0]
    wanted = {name.removeprefix("message."): value for name, value in expected.items()}
    assert wanted.pop("http_status", 200) == 200  # an answer: nothing was raised
    if wanted.pop("lossy", False):  # told beside the reason that stands in for it
        assert choice["native_finish_reason"] == given["stop_reason"]
    for name, value in wanted.items():
        assert holds(choice.get(name, choice["message"].get(name)), value), name


@pytest.mark.parametrize("number", of("response", "openai->anthropic"))
def test_answers_of_openai(number: str) -> None:
    given, expected = CASES[number]["given"], CASES[number]["expect"]
    said = {"role": "assistant", "content": None, **given.get("message", {})}
    if "tool_calls" in given:
        said["tool_calls"] = given["tool_calls"]
    choice = {"index": 0, "message": said, "finish_reason": given["finish_reason"]}
    raw = {"id": "c", "model": "glm", "choices": [choice], "usage": None}
    made, _ = message(json.dumps(raw).encode(), "glm", ESTIMATE, thinking=False)
    if number == "resp.o2a.empty_content":
        assert made["content"] == []
        return
    if number == "resp.o2a.truncated_args":
        assert made["content"][0].pop("input") == {}
        expected["content"][0].pop("input")
    assert holds(made, expected)


# -- streams
def chunks(*parts: object) -> bytes:
    """A chat completion stream; a part is a delta, a chunk or the end marker."""
    out = b""
    for part in parts:
        if part == "[DONE]":
            out += sse.DONE
            continue
        assert isinstance(part, dict)
        whole = part if "choices" in part else {"choices": [{"index": 0, "delta": {}, **part}]}
        out += sse.event(json.dumps({"id": "c", "model": "glm", **whole}).encode())
    return out


def events_of(raw: bytes) -> list[dict[str, Any]]:
    """The events of an Anthropic stream, each named as its data says."""
    found = []
    for event in sse.EventFramer().feed(raw):
        data = json.loads(sse.data_of(event))
        assert event.startswith(b"event: " + data["type"].encode() + b"\n")
        found.append(data)
    return found


def brief(event: dict[str, Any]) -> str:
    name, index = event["type"], event.get("index")
    if name == "content_block_start":
        return f"{name}({index},{event['content_block']['type']})"
    if name == "content_block_delta":
        return f"{name}({index},{event['delta']['type']})"
    if name == "content_block_stop":
        return f"{name}({index})"
    return str(name)


def message_stream(raw: bytes) -> tuple[list[dict[str, Any]], EventStream]:
    stream = MessageStream(model="glm", estimate=ESTIMATE, thinking=False)
    out = stream.feed(raw) + stream.rest()
    return events_of(out), stream


CALL_0 = {"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}}
CALL_1 = {"delta": {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g"}}]}}
ARGS_0 = {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":0}'}}]}}
ARGS_1 = {"delta": {"tool_calls": [{"index": 1, "function": {"arguments": '{"x":1}'}}]}}
END = {"finish_reason": "tool_calls"}


def test_sse_o2a_order_text() -> None:
    case = CASES["sse.o2a.order.text"]
    found, stream = message_stream(chunks(*case["given"]["chunks"]))
    *wanted, delta, stop = case["expect"]["events"]
    assert [brief(event) for event in found[:-2]] == wanted
    assert (delta, stop) == ("message_delta(end_turn,usage 5/2)", "message_stop")
    assert found[-2]["delta"]["stop_reason"] == "end_turn"
    assert found[-2]["usage"]["input_tokens"] == 5
    assert found[-2]["usage"]["output_tokens"] == 2
    assert found[-1]["type"] == "message_stop"
    assert stream.done


def test_sse_o2a_text_then_tool() -> None:
    text = {"delta": {"content": "t"}}
    found, _ = message_stream(chunks(text, CALL_0, ARGS_0, END, "[DONE]"))
    names = [brief(event) for event in found]
    at = names.index("content_block_stop(0)")
    assert names[at + 1 : at + 3] == [
        "content_block_start(1,tool_use)",
        "content_block_delta(1,input_json_delta)",
    ]
    assert found[at + 1]["content_block"]["input"] == {}


def test_sse_o2a_interleaved_tools() -> None:
    found, _ = message_stream(chunks(CALL_0, CALL_1, ARGS_0, ARGS_1, END, "[DONE]"))
    open_block, arguments, ids = None, dict[int, str](), dict[int, str]()
    for event in found:
        index = event.get("index")
        if event["type"] == "content_block_start":
            assert open_block is None
            open_block = index
            ids[event["index"]] = event["content_block"]["id"]
        elif event["type"] == "content_block_delta":
            assert index == open_block
            arguments[event["index"]] = event["delta"]["partial_json"]
        elif event["type"] == "content_block_stop":
            open_block = None
    assert (ids, arguments) == ({0: "a", 1: "b"}, {0: '{"x":0}', 1: '{"x":1}'})


@pytest.mark.parametrize("choices", [[], None])
def test_sse_o2a_usage_after_finish(choices: list[object] | None) -> None:
    case = CASES["sse.o2a.usage_after_finish"]
    finish, usage = case["given"]["chunks"]
    found, _ = message_stream(chunks(finish, {**usage, "choices": choices}, "[DONE]"))
    assert holds(found[-2]["usage"], case["expect"]["message_delta.usage"])


def test_sse_o2a_no_usage() -> None:
    case = CASES["sse.o2a.no_usage"]
    found, stream = message_stream(chunks(case["given"]["chunks"][0]))
    assert [event["type"] for event in found[-2:]] == case["expect"]["events_end"]
    assert found[-2]["usage"]["input_tokens"] == ESTIMATE.input_tokens
    assert stream.usage is None  # so that it is metered from what was delivered


START = {"id": "msg", "model": "claude", "content": [], "usage": {"input_tokens": 1}}


def frames(*events: dict[str, Any]) -> bytes:
    return b"".join(sse.event(json.dumps(event).encode(), event["type"]) for event in events)


def chat_stream(*events: dict[str, Any], usage: bool = False) -> tuple[list[Any], ChatStream]:
    stream = ChatStream(wants_usage=usage, created_s=0)
    out = stream.feed(frames({"type": "message_start", "message": START}, *events))
    datas = [sse.data_of(event) for event in sse.EventFramer().feed(out + stream.rest())]
    return [data if data == b"[DONE]" else json.loads(data) for data in datas], stream


def test_sse_a2o_ping() -> None:
    assert len(chat_stream({"type": "ping"})[0]) == len(chat_stream()[0])  # no chunk


def test_sse_a2o_tool_index() -> None:
    def block(index: int, **block: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
        return {"type": "content_block_start", "index": index, "content_block": block}

    found, _ = chat_stream(
        block(0, type="text", text=""),
        block(1, type="tool_use", id="a", name="f", input={}),
        block(2, type="tool_use", id="b", name="g", input={}),
    )
    calls = [call for chunk in found for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    wanted = CASES["sse.a2o.tool_index"]["expect"]["tool_call_indexes"]
    assert {call["id"]: call["index"] for call in calls} == wanted


DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}
STOP = {"type": "message_stop"}


def test_sse_a2o_usage_delta_corrects() -> None:
    case = CASES["sse.a2o.usage.delta_corrects"]
    start = {**START, "usage": case["given"]["message_start.usage"]}
    delta = {**DELTA, "usage": case["given"]["message_delta.usage"]}
    stream = ChatStream(wants_usage=True, created_s=0)
    passed = AnthropicStream()
    raw = frames({"type": "message_start", "message": start}, delta, STOP)
    stream.feed(raw)
    assert passed.feed(raw) == raw
    for usage in (stream.usage, passed.usage):
        assert usage is not None
        assert usage.input_tokens == case["expect"]["prompt_tokens"]
        assert usage.cached_tokens == case["expect"]["cached_tokens"]


def test_sse_a2o_include_usage_true() -> None:
    found, _ = chat_stream(DELTA, STOP, usage=True)
    *others, totals, done = found
    assert done == b"[DONE]"
    assert totals["choices"] == []
    assert totals["usage"]["total_tokens"] == 1
    assert all(chunk.get("usage") is None for chunk in others)


def test_sse_a2o_error_event() -> None:
    text = {"type": "text_delta", "text": "a"}
    found, stream = chat_stream(
        {"type": "content_block_delta", "index": 0, "delta": text},
        {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
    )
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in found)
    assert not stream.done
    assert stream.failed is not None
    last = INGRESSES["/v1/chat/completions"].error_event(stream.failed)
    assert last.startswith(b'data: {"error":')


STREAMS = [
    pytest.param(
        lambda: OpenAIStream(wants_usage=True),
        chunks({"delta": {"content": "żółw"}}, {"finish_reason": "stop"}, "[DONE]"),
        id="openai passed",
    ),
    pytest.param(
        lambda: MessageStream(model="glm", estimate=ESTIMATE, thinking=True),
        chunks({"delta": {"content": "żółw"}}, {"finish_reason": "stop"}, "[DONE]"),
        id="openai to anthropic",
    ),
    pytest.param(
        lambda: ChatStream(wants_usage=True, created_s=0),
        frames({"type": "message_start", "message": START}, DELTA, STOP),
        id="anthropic to openai",
    ),
    pytest.param(
        AnthropicStream,
        frames({"type": "message_start", "message": START}, DELTA, STOP),
        id="anthropic passed",
    ),
]


@pytest.mark.parametrize(("made", "raw"), STREAMS)
def test_sse_split_frames(made: Callable[[], EventStream], raw: bytes) -> None:
    whole = made()
    unsplit = whole.feed(raw) + whole.rest()
    for cut in range(len(raw)):
        stream = made()
        split = stream.feed(raw[:cut]) + stream.feed(raw[cut:]) + stream.rest()
        assert (split, stream.done, stream.usage) == (unsplit, whole.done, whole.usage)


# -- errors
OPENAI_TYPES = {"insufficient_quota-like": "insufficient_quota"}


@pytest.mark.parametrize("number", of("error", "anthropic->openai"))
def test_errors_of_anthropic(number: str) -> None:
    case = CASES[number]
    status = status_for(Wire.OPENAI, case["given"]["status"])
    assert status == case["expect"]["status"]
    said = message_in(json.dumps(case["given"]["body"]).encode())
    made = json.loads(INGRESSES["/v1/chat/completions"].error(status, said))["error"]
    wanted = case["expect"]["body"]["error"]
    assert (made["message"], made["param"]) == (wanted["message"], None)
    # what OpenAI's own client tries again: https://github.com/openai/openai-python#retries
    assert case["expect"]["retryable"] == (status in (408, 409, 429) or status >= 500)
    kinds = wanted["type"].split("/")
    assert made["type"] in {OPENAI_TYPES.get(kind, kind) for kind in kinds} | (
        {"overloaded_error"} if "overloaded" in kinds else set()
    )


@pytest.mark.parametrize("number", of("error", "openai->anthropic"))
@pytest.mark.parametrize("body", [b"plain text", b'{"error":{"message":"plain text"}}'])
def test_errors_of_openai(number: str, body: bytes) -> None:
    case = CASES[number]
    said = message_in(body)
    made = json.loads(INGRESSES["/v1/messages"].error(case["given"]["status"], said))
    wanted = case["expect"]["body"]
    wanted["error"]["message"] = "plain text"
    assert made == wanted


ELSEWHERE = {
    # said of the sidecar, not of the wire
    "sse.error_before_first_byte": "tests/sidecar/test_failover.py",
}


def test_every_fact_of_the_table_is_tested() -> None:
    by_name = {name for name in globals() if name.startswith("test_sse_")}
    streams = {number for number in CASES if number.startswith("sse.")}
    named = {number for number in streams if f"test_{number.replace('.', '_')}" in by_name}
    assert streams - named == set(ELSEWHERE)
    for path in ELSEWHERE.values():
        assert (TABLE.parents[3] / path).exists()
    others = sum(
        len(of(kind, direction))
        for kind in ("request", "response", "error")
        for direction in ("openai->anthropic", "anthropic->openai")
    )
    assert others + len(streams) == len(CASES) == 66


def test_a_target_is_worded_by_its_wire() -> None:
    ask = INGRESSES["/v1/messages"].read(
        b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"u"}]}'
    )
    call = INGRESSES["/v1/messages"].call(ask, Target(wire=Wire.OPENAI, model="glm"))
    assert call.endpoint == "/chat/completions"
    assert json.loads(call.body)["max_completion_tokens"] == 5
