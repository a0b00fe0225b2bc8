"""The most that a request can be billed for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.wire.ask import Call, Target
from overspill.wire.bound import (
    DOCUMENT_TOKENS,
    IMAGE_TOKENS,
    TEMPLATE_TOKENS,
    TOOL_TOKENS,
    pixel_bytes,
)
from overspill.wire.errors import Wire
from overspill.wire.ingress import INGRESSES
from overspill.wire.usage import NO_USAGE, Usage

OPENAI = Target(wire=Wire.OPENAI, model="m", max_output_tokens=1_000)
CLAUDE = Target(wire=Wire.ANTHROPIC, model="m", max_output_tokens=1_000)
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
PIXELS = "iVBORw0KGgo" * 9_999


def bound_of(path: str, target: Target, **fields: object) -> tuple[Usage, Call]:
    ingress = INGRESSES[path]
    ask = ingress.read(json.dumps({"model": "asked", **fields}).encode())
    call = ingress.call(ask, target)
    return ingress.bound(ask, target, call), call


def says(*parts: dict[str, Any] | str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": parts[0] if isinstance(parts[0], str) else list(parts)}]


def beside_its_bytes(path: str, target: Target, **fields: object) -> int:
    """The tokens that are on top of a body's bytes."""
    usage, call = bound_of(path, target, **fields)
    return usage.input_tokens - len(call.body) - TEMPLATE_TOKENS


@given(st.text())
def test_text_has_no_more_tokens_than_bytes(text: str) -> None:
    usage, call = bound_of(CHAT, OPENAI, messages=says(text or "x"))
    assert usage.input_tokens == len(call.body) + TEMPLATE_TOKENS
    assert usage.input_tokens >= len(text.encode(errors="replace"))


def test_all_input_may_be_written_to_a_cache() -> None:
    usage, _ = bound_of(CHAT, OPENAI, messages=says("hi"))
    assert usage.written_tokens == usage.input_tokens
    assert usage.hour_written_tokens == 0


KEPT = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
SHORT = {"cache_control": {"type": "ephemeral"}}
TEXT = {"type": "text", "text": "hi"}


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        pytest.param({"messages": says({**TEXT, **KEPT})}, True, id="a part"),
        pytest.param({"messages": says("hi"), "system": [{**TEXT, **KEPT}]}, True, id="system"),
        pytest.param({"messages": says("hi"), **KEPT}, True, id="the whole"),
        pytest.param(
            {"messages": says("hi"), "tools": [{"name": "f", "input_schema": {}, **KEPT}]},
            True,
            id="a tool",
        ),
        pytest.param(
            {
                "messages": says(
                    {"type": "tool_result", "tool_use_id": "x", "content": [{**TEXT, **KEPT}]}
                )
            },
            True,
            id="within a result",
        ),
        pytest.param({"messages": says({**TEXT, **SHORT})}, False, id="for five minutes"),
        pytest.param({"messages": says({**TEXT, "text": '"ttl":"1h"'})}, False, id="only a text"),
    ],
)
def test_input_may_be_written_for_an_hour_where_the_request_says_so(
    fields: dict[str, Any], kept: bool
) -> None:
    usage, _ = bound_of(MESSAGES, CLAUDE, max_tokens=5, **fields)
    assert usage.hour_written_tokens == (usage.input_tokens if kept else 0)


@pytest.mark.parametrize("name", ["tools", "functions"])
def test_tools_bring_a_prompt_of_their_own(name: str) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    fields = {"messages": says("hi"), name: [tool]}
    assert beside_its_bytes(CHAT, OPENAI, **fields) == TOOL_TOKENS


INLINE_OPENAI = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXELS}}
INLINE_CLAUDE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PIXELS},
}
LINKED_OPENAI = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
LINKED_CLAUDE = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
PDF = {"type": "document", "source": {"type": "file", "file_id": "f"}}


@pytest.mark.parametrize(
    ("path", "target", "parts", "tokens"),
    [
        pytest.param(CHAT, OPENAI, [TEXT], 0, id="text in parts"),
        pytest.param(CHAT, OPENAI, [LINKED_OPENAI], IMAGE_TOKENS[Wire.OPENAI], id="a link"),
        pytest.param(
            CHAT, OPENAI, [LINKED_OPENAI] * 3, 3 * IMAGE_TOKENS[Wire.OPENAI], id="three links"
        ),
        pytest.param(
            CHAT,
            OPENAI,
            [{"image_url": {"url": "https://x/y.png"}}],
            IMAGE_TOKENS[Wire.OPENAI],
            id="a link without a type",
        ),
        pytest.param(
            CHAT, OPENAI, [{"type": "file", "file": {"file_id": "f"}}], DOCUMENT_TOKENS, id="a file"
        ),
        pytest.param(
            CHAT,
            OPENAI,
            [{"type": "video_url", "video_url": {"url": "https://x/y.mp4"}}],
            DOCUMENT_TOKENS,
            id="a film",
        ),
        pytest.param(
            CHAT,
            OPENAI,
            [{"type": "input_audio", "input_audio": {"data": PIXELS, "format": "mp3"}}],
            0,
            id="sound has fewer tokens than bytes",
        ),
        pytest.param(
            MESSAGES, CLAUDE, [LINKED_CLAUDE], IMAGE_TOKENS[Wire.ANTHROPIC], id="Claude's link"
        ),
        pytest.param(MESSAGES, CLAUDE, [PDF], DOCUMENT_TOKENS, id="a PDF"),
        pytest.param(
            MESSAGES,
            CLAUDE,
            [{"type": "document", "source": {"type": "text", "data": "hi"}}],
            0,
            id="a document of text",
        ),
        pytest.param(
            MESSAGES,
            CLAUDE,
            [{"type": "document", "source": {"type": "content", "content": [LINKED_CLAUDE]}}],
            IMAGE_TOKENS[Wire.ANTHROPIC],
            id="a document of parts",
        ),
        pytest.param(
            MESSAGES,
            CLAUDE,
            [{"type": "tool_result", "tool_use_id": "x", "content": [TEXT, LINKED_CLAUDE]}],
            IMAGE_TOKENS[Wire.ANTHROPIC],
            id="an image in a result",
        ),
        pytest.param(
            MESSAGES,
            CLAUDE,
            [{"type": "tool_use", "id": "x", "name": "f", "input": {"type": "image"}}],
            0,
            id="what a tool is given is no image",
        ),
    ],
)
def test_media_count_beside_their_bytes(
    path: str, target: Target, parts: list[dict[str, Any]], tokens: int
) -> None:
    assert beside_its_bytes(path, target, max_tokens=5, messages=says(*parts)) == tokens


def test_an_image_of_a_response_counts_as_what_it_becomes() -> None:
    said = [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x/y.png"}]}]
    tokens = beside_its_bytes("/v1/responses", OPENAI, input=said)
    assert tokens == IMAGE_TOKENS[Wire.OPENAI]


@pytest.mark.parametrize(
    ("path", "target", "image"),
    [
        pytest.param(CHAT, OPENAI, INLINE_OPENAI, id="chat"),
        pytest.param(MESSAGES, CLAUDE, INLINE_CLAUDE, id="messages"),
        pytest.param(CHAT, CLAUDE, INLINE_OPENAI, id="translated"),
    ],
)
def test_pixels_are_no_text(path: str, target: Target, image: dict[str, Any]) -> None:
    usage, call = bound_of(path, target, max_tokens=5, messages=says(TEXT, image))
    assert len(call.body) > len(PIXELS)
    most = IMAGE_TOKENS[target.wire] + TEMPLATE_TOKENS
    assert most < usage.input_tokens < most + 1_000


@pytest.mark.parametrize("kind", [5, ["image_url"], {"image": 1}], ids=repr)
def test_a_kind_that_nobody_knows_is_taken_for_the_dearest(kind: object) -> None:
    part = {"type": kind, "image_url": {"url": "data:image/png;base64,aGk="}}
    assert beside_its_bytes(CHAT, OPENAI, messages=says(part)) == DOCUMENT_TOKENS
    assert pixel_bytes({"role": "user", "content": [part]}) == []


def test_names_may_be_written_with_escapes() -> None:
    ingress = INGRESSES[CHAT]
    raw = (
        rb'{"model":"m","messages":[{"role":"user","content":'
        rb'[{"t\u0079pe":"im\u0061ge_url","image_\u0075rl":{"url":"https://x"}}]}]}'
    )
    ask = ingress.read(raw)
    usage = ingress.bound(ask, OPENAI, ingress.call(ask, OPENAI))
    assert usage.input_tokens > IMAGE_TOKENS[Wire.OPENAI]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param([1, "x", None], id="parts that are no objects"),
        pytest.param([{"type": 5}], id="a type that is no text"),
        pytest.param({"type": "text"}, id="content that is an object"),
    ],
)
def test_what_cannot_be_read_is_bounded_all_the_same(odd: object) -> None:
    usage, call = bound_of(CHAT, OPENAI, messages=[{"role": "user", "content": odd}, *says(TEXT)])
    assert usage.input_tokens >= len(call.body)


@pytest.mark.parametrize(
    ("path", "fields", "tokens"),
    [
        pytest.param(CHAT, {}, 1_000, id="the target's"),
        pytest.param(CHAT, {"max_tokens": 7}, 7, id="the client's"),
        pytest.param(
            CHAT, {"max_tokens": 9, "max_completion_tokens": 7}, 9, id="the larger of two"
        ),
        pytest.param(CHAT, {"max_tokens": 7, "n": 3}, 21, id="of each answer"),
        pytest.param(CHAT, {"max_tokens": 7, "n": None}, 7, id="no number of answers"),
        pytest.param(CHAT, {"max_tokens": 7, "prediction": {"x": 1}}, 15, id="and a prediction"),
        pytest.param(
            "/v1/completions",
            {"prompt": "p", "max_tokens": 7, "n": 2, "best_of": 5},
            35,
            id="those thrown away too",
        ),
        pytest.param("/v1/completions", {"prompt": "p", "max_tokens": 0}, 0, id="scores alone"),
        pytest.param(
            "/v1/completions", {"prompt": ["p", "q"], "max_tokens": 7}, 14, id="of each prompt"
        ),
        pytest.param(
            "/v1/completions", {"prompt": [1, 2, 3], "max_tokens": 7}, 7, id="a prompt of tokens"
        ),
        pytest.param(
            "/v1/completions", {"prompt": [[1, 2], [3]], "max_tokens": 7}, 14, id="two of tokens"
        ),
        pytest.param("/v1/responses", {"input": "hi", "max_output_tokens": 7}, 7, id="responses"),
    ],
)
def test_output_is_bounded_by_the_limit_of_each_answer(
    path: str, fields: dict[str, Any], tokens: int
) -> None:
    more = {"messages": says("hi")} if path == CHAT else {}
    usage, _ = bound_of(path, OPENAI, **more, **fields)
    assert usage.output_tokens == tokens


def test_embeddings_have_no_output() -> None:
    usage, call = bound_of("/v1/embeddings", OPENAI, input=["a", "b"])
    assert usage.output_tokens == 0
    assert usage.input_tokens == len(call.body) + TEMPLATE_TOKENS


def test_counting_tokens_costs_nothing() -> None:
    usage, _ = bound_of("/v1/messages/count_tokens", CLAUDE, messages=says("hi"))
    assert usage == NO_USAGE


def capped(*, wire: Wire = Wire.OPENAI, open_model: bool = False) -> Target:
    return Target(wire=wire, model="m", max_output_tokens=1_000, open_model=open_model, capped=True)


LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
HI = {"messages": says("hi")}


@pytest.mark.parametrize(
    ("path", "target", "fields", "limits"),
    [
        pytest.param(CHAT, capped(), HI, {"max_completion_tokens": 1_000}, id="chat"),
        pytest.param(CHAT, capped(open_model=True), HI, {"max_tokens": 1_000}, id="open model"),
        pytest.param(
            CHAT, capped(wire=Wire.ANTHROPIC), HI, {"max_tokens": 1_000}, id="chat of Claude"
        ),
        pytest.param(
            CHAT,
            capped(),
            {**HI, "max_tokens": 7},
            {"max_completion_tokens": 7},
            id="the client's own",
        ),
        pytest.param(
            CHAT,
            capped(open_model=True),
            {**HI, "max_completion_tokens": 7},
            {"max_completion_tokens": 7},
            id="the client's own, untouched",
        ),
        pytest.param(
            CHAT,
            capped(),
            {**HI, "max_completion_tokens": None},
            {"max_completion_tokens": 1_000},
            id="null is no limit",
        ),
        pytest.param(CHAT, OPENAI, HI, {}, id="no budget"),
        pytest.param(
            "/v1/completions", capped(), {"prompt": "p"}, {"max_tokens": 1_000}, id="completions"
        ),
        pytest.param(
            "/v1/completions",
            capped(),
            {"prompt": "p", "max_tokens": 0},
            {"max_tokens": 0},
            id="scores alone",
        ),
        pytest.param(
            "/v1/responses",
            capped(),
            {"input": "hi"},
            {"max_completion_tokens": 1_000},
            id="responses",
        ),
        pytest.param(
            "/v1/responses",
            capped(open_model=True),
            {"input": "hi"},
            {"max_tokens": 1_000},
            id="responses of an open model",
        ),
        pytest.param(
            "/v1/responses",
            capped(),
            {"input": "hi", "max_output_tokens": 16},
            {"max_completion_tokens": 16},
            id="responses with the client's",
        ),
        pytest.param(
            MESSAGES, capped(), {**HI, "max_tokens": 7}, {"max_completion_tokens": 7}, id="messages"
        ),
        pytest.param("/v1/embeddings", capped(), {"input": "hi"}, {}, id="embeddings"),
    ],
)
def test_with_a_budget_a_limit_is_always_sent(
    path: str, target: Target, fields: dict[str, Any], limits: dict[str, int]
) -> None:
    usage, call = bound_of(path, target, **fields)
    sent = json.loads(call.body)
    assert {name: sent[name] for name in LIMITS if name in sent} == limits
    if target.capped and limits:
        assert usage.output_tokens == max(limits.values())
