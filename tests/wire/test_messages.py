"""Anthropic requests in OpenAI's words, and as Anthropic itself gets them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from overspill.wire.ask import Call, Target
from overspill.wire.errors import BadRequest, Untranslatable, Wire
from overspill.wire.ingress import INGRESSES

MESSAGES: Final = INGRESSES["/v1/messages"]
GLM: Final = Target(wire=Wire.OPENAI, model="glm", open_model=True)
GPT: Final = Target(wire=Wire.OPENAI, model="gpt")
CLAUDE: Final = Target(wire=Wire.ANTHROPIC, model="claude")
USER: Final = {"role": "user", "content": "hi"}
TOOL: Final = {"name": "f", "input_schema": {"type": "object"}}
SIGNED: Final = {"type": "thinking", "thinking": "hm", "signature": "s"}
UNSIGNED: Final = {"type": "thinking", "thinking": "hm", "signature": ""}
CALL: Final = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
RESULT: Final = {"type": "tool_result", "tool_use_id": "a", "content": "1"}
PDF: Final = {"type": "base64", "media_type": "application/pdf", "data": "AA"}


def call(target: Target, **more: Any) -> Call:  # noqa: ANN401 - any JSON value
    raw = json.dumps({"model": "m", "max_tokens": 9, "messages": [USER], **more}).encode()
    return MESSAGES.call(MESSAGES.read(raw), target)


def translate(target: Target = GLM, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    made: dict[str, Any] = json.loads(call(target, **more).body)
    return made


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def turns(*contents: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Turns of the user and the assistant, in turns."""
    roles = ["user", "assistant"] * len(contents)
    return {
        "messages": [
            {"role": role, "content": content}
            for role, content in zip(roles, contents, strict=False)
        ]
    }


REQUESTS = [
    pytest.param({}, {"model": "glm", "max_tokens": 9}, id="model and limit"),
    pytest.param({"top_k": 5, "top_p": 0.5}, {"top_k": 5, "top_p": 0.5}, id="sampling"),
    pytest.param({"stop_sequences": ["x"]}, {"stop": ["x"]}, id="stop"),
    pytest.param({"metadata": {"user_id": "u"}}, {"user": "u"}, id="user"),
    pytest.param(
        {"system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"messages": [{"role": "system", "content": "a\n\nb"}, USER]},
        id="system prompt in blocks",
    ),
    pytest.param(
        {"output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {}}}},
        {
            "reasoning_effort": "xhigh",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {}, "strict": True},
            },
        },
        id="output",
    ),
    pytest.param(
        {"tools": [{**TOOL, "description": "d", "allowed_callers": ["direct"]}]},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"type": "object"}, "description": "d"},
                }
            ]
        },
        id="tool",
    ),
    pytest.param(
        turns(
            "hi",
            [SIGNED, {"type": "text", "text": "a"}, {**CALL, "caller": {"type": "direct"}}],
            [RESULT, {"type": "text", "text": "b"}],
            "c",
            "d",
        ),
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": "a",
                    "tool_calls": [
                        {
                            "id": "a",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "a", "content": "1"},
                {"role": "user", "content": "b"},
                {"role": "assistant", "content": "c"},
                {"role": "user", "content": "d"},
            ]
        },
        id="turns; the thoughts of those that ended are left out",
    ),
    pytest.param(
        user({"type": "document", "source": {"type": "text", "data": "d"}}),
        {"messages": [{"role": "user", "content": "d"}]},
        id="a document of text",
    ),
]


@pytest.mark.parametrize(("asked", "expected"), REQUESTS)
def test_a_request_is_translated(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    made = translate(**asked)
    assert {name: made.get(name) for name in expected} == expected


def test_a_user_keeps_one_name_that_is_short_enough_for_openai() -> None:
    names = ["u-1", f"user_{'a' * 64}_session_1", f"user_{'a' * 64}_session_2"]
    told = [translate(metadata={"user_id": name})["user"] for name in names * 2]
    assert told[0] == "u-1"
    assert len(set(told)) == 3
    assert max(map(len, told)) <= 64


def test_a_pdf_is_a_file_where_files_are_read() -> None:
    asked = user({"type": "document", "source": PDF, "title": "a.pdf"})
    (part,) = translate(GPT, **asked)["messages"][0]["content"]
    assert part == {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"},
    }
    with pytest.raises(Untranslatable, match="'document'"):
        translate(GLM, **asked)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        pytest.param({"context_management": {}}, "context_management", id="an empty object asks"),
        pytest.param({"unknown": False}, "unknown", id="false says no"),
        pytest.param({"metadata": {"x": 1}}, "metadata", id="of the metadata"),
        pytest.param({"output_config": {"x": 1}}, "output_config", id="of the output"),
        pytest.param(
            {"output_config": {"format": {"type": "grammar"}}}, "output_config", id="a format"
        ),
        pytest.param({"tools": [{**TOOL, "x\r\ny: z": 1}]}, "tools", id="of a tool"),
        pytest.param(
            {"tools": [{**TOOL, "allowed_callers": ["code"]}]}, "tools", id="a tool for code"
        ),
        pytest.param({"tools": [TOOL], "tool_choice": {"type": "x"}}, "tool_choice", id="choice"),
        pytest.param(user({"type": "text", "text": "a", "x": 1}), "messages", id="of a text"),
        pytest.param(user({"type": "search_result"}), "messages", id="a block"),
        pytest.param(
            user({"type": "image", "source": {"type": "file", "file_id": "x"}}),
            "messages",
            id="an image kept at the provider",
        ),
        pytest.param(
            user({**RESULT, "content": [{"type": "image", "source": PDF}]}),
            "messages",
            id="an image as a result",
        ),
        pytest.param(
            user({"type": "document", "source": PDF, "context": "c"}), "messages", id="a context"
        ),
        pytest.param(
            user({"type": "document", "source": PDF, "citations": {"enabled": True}}),
            "messages",
            id="citations",
        ),
        pytest.param(
            user({"type": "document", "source": {"type": "text", "data": "d"}, "title": "t"}),
            "messages",
            id="the title of a text",
        ),
        pytest.param(turns("hi", "an answer begun"), "messages", id="an answer begun"),
        pytest.param({"system": [{"type": "image"}]}, "system", id="an image in the system prompt"),
        pytest.param({"stop_sequences": list("abcde")}, "stop_sequences", id="too many stops"),
    ],
)
def test_nothing_vanishes_on_the_way_to_openai(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as refusal:
        translate(GPT, **asked)
    assert refusal.value.param == field
    assert refusal.value.message.startswith(field)


@pytest.mark.parametrize(
    "asked",
    [
        {"temperature": "hot"},
        {"stop_sequences": "x"},
        {"metadata": 5},
        {"metadata": {"user_id": 5}},
        {"thinking": "yes"},
        {"output_config": []},
        {"output_config": {"effort": 5}},
        {"tools": 5},
        {"tools": [{"input_schema": {}}]},
        {"tool_choice": "auto"},
        {"system": 5},
        {"messages": [5]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
        {"messages": [{"role": "user", "content": [{**RESULT, "content": 5}]}]},
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
        ({"service_tier": "auto", "mcp_servers": [], "speed": "standard"}, ("service_tier",)),
        ({"thinking": {"type": "adaptive"}}, ("thinking",)),
        ({"thinking": {"type": "disabled"}}, ()),
        ({"tools": [{**TOOL, "input_examples": [{}]}]}, ("tools.input_examples",)),
        ({"top_k": 5}, ("top_k",)),
        (user({**RESULT, "is_error": True}), ("tool_result.is_error",)),
        (
            user({**RESULT, "content": [{"type": "text", "text": "1", "cache_control": {"x": 1}}]}),
            ("cache_control",),
        ),
    ],
)
def test_what_only_nudges_is_told(asked: dict[str, Any], lossy: tuple[str, ...]) -> None:
    assert call(GPT, **asked).lossy == lossy


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(turns("hi", [SIGNED, CALL], [RESULT]), id="just called"),
        pytest.param(turns("hi", [SIGNED, CALL], [RESULT], [CALL], [RESULT]), id="calls later"),
        pytest.param(
            turns("hi", [{"type": "redacted_thinking", "data": "x"}, CALL], [RESULT]), id="redacted"
        ),
    ],
)
def test_a_signed_thought_of_a_turn_under_way_binds_it_to_its_model(asked: dict[str, Any]) -> None:
    with pytest.raises(Untranslatable, match="a signed thought binds this turn"):
        translate(**asked)
    assert translate(CLAUDE, **asked)["messages"] == asked["messages"]


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(turns("hi", [UNSIGNED, CALL], [RESULT]), id="of a small model"),
        pytest.param(turns("hi", [SIGNED, CALL], [RESULT], "a", "b"), id="of a turn that ended"),
    ],
)
def test_other_thoughts_bind_nothing(asked: dict[str, Any]) -> None:
    assert "hm" not in json.dumps(translate(**asked))


def test_anthropic_gets_no_thought_that_it_did_not_sign() -> None:
    asked = turns("hi", [UNSIGNED], "go on", [UNSIGNED, SIGNED, CALL], [RESULT])
    assert translate(CLAUDE, **asked)["messages"] == [
        USER,
        {"role": "user", "content": "go on"},  # a turn of nothing but thoughts is none
        {"role": "assistant", "content": [SIGNED, CALL]},
        {"role": "user", "content": [RESULT]},
    ]


ON = {"type": "enabled", "budget_tokens": 1024}


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        pytest.param(turns("hi", [CALL], [RESULT]), False, id="a call without a thought"),
        pytest.param(turns("hi", [UNSIGNED, CALL], [RESULT]), False, id="of a small model"),
        pytest.param(turns("hi", [SIGNED, CALL], [RESULT]), True, id="of Claude"),
        pytest.param(turns("hi", [CALL], [RESULT], "a", "b"), True, id="of a turn that ended"),
        pytest.param(turns("hi"), True, id="of none"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_a_call_that_was_made_without_a_thought_is_not_gone_on_with_thinking(
    asked: dict[str, Any], kept: bool, path: str
) -> None:
    ingress = INGRESSES[path]
    for thinking in ON, {"type": "adaptive"}:
        told = {"model": "m", "max_tokens": 9, **asked, "thinking": thinking}
        call = ingress.call(ingress.read(json.dumps(told).encode()), CLAUDE)
        stays = kept or thinking is not ON
        assert json.loads(call.body).get("thinking") == (thinking if stays else None)
        assert call.lossy == (() if stays else ("thinking",))


def test_what_anthropic_is_asked_stays_as_it_was_written() -> None:
    raw = (
        b'{"model":"m","max_tokens":9,"messages":[ {"role":"user","content":"\\u00e9"} ],'
        b'"thinking":{"type": "adaptive"},"future":1.50e-1}'
    )
    assert MESSAGES.call(MESSAGES.read(raw), CLAUDE).body == raw.replace(b'"m"', b'"claude"')
