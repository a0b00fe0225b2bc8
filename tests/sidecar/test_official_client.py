"""The official `openai` client, with nothing changed but the base URL, against both tiers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from e2e.models.ledger import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

    from tests.sidecar.stage import Stage

pytestmark = pytest.mark.asyncio
TIERS = [
    pytest.param({}, "glm", "small", id="small tier, OpenAI wire"),
    pytest.param({"x-priority": "high"}, "opus", "frontier", id="frontier, Anthropic wire"),
]
TOOLS: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
FORCED: Any = {"type": "function", "function": {"name": "f"}}


def asking(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": "be short"}, {"role": "user", "content": text}]


def client(stage: Stage) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=stage.url, api_key="sk-app", max_retries=0)


@pytest.mark.parametrize(("headers", "model", "tier"), TIERS)
async def test_a_whole_answer(stage: Stage, headers: dict[str, str], model: str, tier: str) -> None:
    async with client(stage) as asked:
        raw = await asked.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=asking("[[in=40]][[out=7]]"), extra_headers=headers
        )
    answer = raw.parse()
    assert raw.headers["x-overspill-tier"] == tier
    assert answer.model == model
    assert (answer.choices[0].message.content or "").startswith(model)
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (40, 7)


async def collect(chunks: openai.AsyncStream[ChatCompletionChunk]) -> list[ChatCompletionChunk]:
    return [chunk async for chunk in chunks]


def text_of(chunks: Iterable[ChatCompletionChunk]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@pytest.mark.parametrize(("headers", "model", "tier"), TIERS)
async def test_a_stream(stage: Stage, headers: dict[str, str], model: str, tier: str) -> None:
    async with client(stage) as asked:
        chunks = await collect(
            await asked.chat.completions.create(
                model="gpt-4o",
                messages=asking("[[out=60]]"),
                stream=True,
                extra_headers=headers,
            )
        )
    assert text_of(chunks).split()[0] == model
    assert len(text_of(chunks).split()) == 60
    assert [c.choices[0].finish_reason for c in chunks][-1] == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize(("headers", "model", "tier"), TIERS)
async def test_usage_in_a_stream_for_who_asks(
    stage: Stage, headers: dict[str, str], model: str, tier: str
) -> None:
    async with client(stage) as asked:
        chunks = await collect(
            await asked.chat.completions.create(
                model="gpt-4o",
                messages=asking("[[in=9]][[out=5]]"),
                stream=True,
                stream_options={"include_usage": True},
                extra_headers=headers,
            )
        )
    usage = chunks[-1].usage
    assert usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (9, 5)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(("headers", "model", "tier"), TIERS)
async def test_a_tool_call(
    stage: Stage, headers: dict[str, str], model: str, tier: str, streaming: bool
) -> None:
    async with client(stage) as asked:
        common: dict[str, Any] = {
            "model": "gpt-4o",
            "messages": asking("[[out=5]]"),
            "tools": TOOLS,
            "tool_choice": FORCED,
            "extra_headers": headers,
        }
        if streaming:
            chunks = await collect(await asked.chat.completions.create(stream=True, **common))
            pieces = [
                call
                for chunk in chunks
                for choice in chunk.choices
                for call in choice.delta.tool_calls or []
            ]
            name = next(p.function.name for p in pieces if p.function and p.function.name)
            arguments = "".join((p.function and p.function.arguments) or "" for p in pieces)
        else:
            answer = await asked.chat.completions.create(**common)
            (call,) = answer.choices[0].message.tool_calls or []
            name, arguments = call.function.name, call.function.arguments
    assert (name, json.loads(arguments)) == ("f", {"answer": 42})


async def test_the_sync_client(stage: Stage) -> None:
    def ask() -> str:
        with openai.OpenAI(base_url=stage.url, api_key="sk-app", max_retries=0) as asked:
            with asked.chat.completions.create(
                model="gpt-4o", messages=asking("[[out=5]]"), stream=True
            ) as stream:
                text = text_of(stream)
            return text + " ".join(model.id for model in asked.models.list())

    said = await asyncio.to_thread(ask)
    assert said.startswith("glm")
    assert said.endswith("overspill/auto glm opus gpt-frontier")


async def test_errors_are_the_clients_own_classes(stage: Stage) -> None:
    high = {"x-priority": "high"}
    async with client(stage) as asked:
        two = await asked.chat.completions.create(
            model="gpt-4o", messages=asking("x"), n=2, extra_headers=high
        )
        assert two.model == "gpt-frontier"  # Anthropic's wire has no n: the one that has it answers
        stage.configure(
            frontier=stage.base["frontier"][:1], small={**stage.base["small"], "endpoints": []}
        )
        with pytest.raises(openai.BadRequestError, match="n: Anthropic's wire has no such field"):
            await asked.chat.completions.create(
                model="gpt-4o", messages=asking("x"), n=2, extra_headers=high
            )
        with pytest.raises(openai.NotFoundError, match="POST /v1/audio/speech is not served here"):
            await asked.audio.speech.create(model="e", input="x", voice="alloy")


@pytest.mark.parametrize(
    ("status", "seen", "kind"),
    [
        (402, 402, openai.APIStatusError),
        (403, 403, openai.PermissionDeniedError),
        (404, 404, openai.NotFoundError),
        (413, 413, openai.APIStatusError),
        (429, 429, openai.RateLimitError),
        (500, 500, openai.InternalServerError),
        (529, 503, openai.InternalServerError),
    ],
)
async def test_anthropics_errors_keep_their_number(
    stage: Stage, status: int, seen: int, kind: type[openai.APIStatusError]
) -> None:
    stage.configure(
        frontier=stage.base["frontier"][:1], small={**stage.base["small"], "endpoints": []}
    )
    stage.opus.ledger.fault = Fault(times=-1, status=status)
    async with client(stage) as asked:
        with pytest.raises(kind, match="told to fail") as failed:
            await asked.chat.completions.create(model="m", messages=asking("x"))
    assert failed.value.status_code == seen
    assert failed.value.response.headers["request-id"].startswith("req_")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(("there", "back"), [(0, 1), (1, 0)])
async def test_a_tool_loop_goes_on_at_the_other_tier(
    stage: Stage, there: int, back: int, streaming: bool
) -> None:
    headers: list[dict[str, str]] = [{}, {"x-priority": "high"}]
    messages: list[Any] = asking("[[out=5]]")
    async with client(stage) as asked:
        common: dict[str, Any] = {"model": "m", "tools": TOOLS}
        first: dict[str, Any] = {"tool_choice": FORCED, "extra_headers": headers[there], **common}
        if streaming:
            async with asked.chat.completions.stream(messages=messages, **first) as stream:
                said = (await stream.get_final_completion()).choices[0].message
        else:
            said = (
                (await asked.chat.completions.create(messages=messages, **first)).choices[0].message
            )
        (call,) = said.tool_calls or []
        messages += [
            said.model_dump(),
            {"role": "tool", "tool_call_id": call.id, "content": "42"},
        ]
        answer = await asked.chat.completions.create(
            messages=messages, extra_headers=headers[back], **common
        )
    assert answer.model == ("glm", "opus")[back]
