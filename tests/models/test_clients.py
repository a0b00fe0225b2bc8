"""The doubles speak the real wire: the official clients understand them, errors included."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest

from e2e.models.ledger import Fault
from tests.sidecar.stage import KEY, anthropic_app, openai_app, serving, small_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sidecar.stage import Double

pytestmark = pytest.mark.asyncio
HI: Any = [{"role": "user", "content": "[[in=11]][[out=60]]"}]
SCHEMA: Any = {"type": "object", "properties": {"answer": {"type": "integer"}}}


@asynccontextmanager
async def claude(key: str = KEY) -> AsyncIterator[tuple[anthropic.AsyncAnthropic, Double]]:
    async with serving(*anthropic_app()) as double:
        url = f"http://{double.address}"
        async with anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0) as client:
            yield client, double


@asynccontextmanager
async def gpt(key: str = KEY) -> AsyncIterator[tuple[openai.AsyncOpenAI, Double]]:
    async with serving(*openai_app()) as double:
        url = f"http://{double.address}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            yield client, double


async def test_anthropic_answers_whole() -> None:
    async with claude() as (client, _):
        message = await client.messages.create(model="m", max_tokens=99, messages=HI, system="s")
    (block,) = message.content
    assert block.type == "text"
    assert len(block.text.split()) == 60
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == (
        "end_turn",
        11,
        60,
    )


async def test_anthropic_streams_as_its_helper_expects() -> None:
    async with (
        claude() as (client, _),
        client.messages.stream(model="m", max_tokens=20, messages=HI) as stream,
    ):
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert len(text.split()) == 20
    assert (final.stop_reason, final.usage.output_tokens) == ("max_tokens", 20)


@pytest.mark.parametrize("streaming", [False, True])
async def test_anthropic_uses_a_forced_tool(streaming: bool) -> None:
    ask: dict[str, Any] = {
        "model": "m",
        "max_tokens": 9,
        "messages": HI,
        "tools": [{"name": "f", "input_schema": SCHEMA}],
        "tool_choice": {"type": "tool", "name": "f"},
    }
    async with claude() as (client, _):
        if streaming:
            async with client.messages.stream(**ask) as stream:
                message = await stream.get_final_message()
        else:
            message = await client.messages.create(**ask)
    (block,) = message.content
    assert block.type == "tool_use"
    assert (block.name, block.input, message.stop_reason) == ("f", {"answer": 42}, "tool_use")


async def test_anthropic_counts_tokens() -> None:
    async with claude() as (client, _):
        counted = await client.messages.count_tokens(model="m", messages=HI)
    assert counted.input_tokens == 11


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
        (500, anthropic.InternalServerError, "api_error"),
    ],
)
async def test_anthropic_fails_in_its_own_words(
    status: int, error: type[anthropic.APIStatusError], kind: str
) -> None:
    async with claude() as (client, double):
        double.ledger.fault = Fault(times=1, status=status)
        with pytest.raises(error) as failure:
            await client.messages.create(model="m", max_tokens=9, messages=HI)
    body: Any = failure.value.body
    assert (failure.value.status_code, body["error"]["type"]) == (status, kind)
    assert failure.value.request_id == body["request_id"]


async def test_anthropic_refuses_a_wrong_key() -> None:
    async with claude(key="sk-wrong") as (client, _):
        with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
            await client.messages.create(model="m", max_tokens=9, messages=HI)


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({"anthropic-version": "2023-06-01"}, {"messages": HI}, "max_tokens: Field required"),
        ({}, {"messages": HI, "max_tokens": 9}, "anthropic-version: header is required"),
    ],
)
async def test_anthropic_insists_on_what_it_needs(
    headers: dict[str, str], body: dict[str, Any], said: str
) -> None:
    async with claude() as (_, double), httpx.AsyncClient() as client:
        url = f"http://{double.address}/v1/messages"
        answer = await client.post(
            url, json={"model": "m", **body}, headers={"x-api-key": KEY, **headers}
        )
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, said)


async def test_openai_answers_whole_and_streams() -> None:
    async with gpt() as (client, _):
        answer = await client.chat.completions.create(model="m", messages=HI)
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model="m", messages=HI, stream=True, stream_options={"include_usage": True}
            )
        ]
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 60)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == answer.choices[0].message.content
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 60


async def test_openai_uses_a_forced_tool() -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    async with gpt() as (client, _):
        answer = await client.chat.completions.create(
            model="m", messages=HI, tools=[tool], tool_choice="required"
        )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"answer": 42}


async def test_openai_fails_in_its_own_words() -> None:
    async with gpt() as (client, double):
        double.ledger.fault = Fault(times=1, status=429)
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="m", messages=HI)
        assert (await client.chat.completions.create(model="m", messages=HI)).model
    async with gpt(key="sk-wrong") as (client, _):
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            await client.chat.completions.create(model="m", messages=HI)


async def test_the_small_server_shows_metrics_in_vllms_names() -> None:
    async with serving(*small_app()) as double:
        url = f"http://{double.address}"
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as client:
            await client.chat.completions.create(model="m", messages=HI)
            assert [model.id async for model in client.models.list()] == ["glm"]
        async with httpx.AsyncClient() as web:
            text = (await web.get(f"{url}/metrics")).text
    names = 'engine="0",model_name="glm"'
    assert f"vllm:num_requests_running{{{names}}} 0.0" in text
    assert f"vllm:generation_tokens_total{{{names}}} 60.0" in text
    assert "vllm:num_requests_waiting" in text
    assert "vllm:kv_cache_usage_perc" in text


async def test_what_was_done_is_counted_and_faults_are_told_over_http() -> None:
    async with serving(*openai_app()) as double, httpx.AsyncClient() as client:
        url = f"http://{double.address}"
        await client.post(f"{url}/__double/fault", json={"status": 503, "times": 1})
        ask = {"model": "m", "messages": HI}
        bearer = {"authorization": f"Bearer {KEY}"}
        statuses = [
            (await client.post(f"{url}/v1/chat/completions", json=ask, headers=bearer)).status_code
            for _ in range(2)
        ]
        stats = (await client.get(f"{url}/__double/stats")).json()
    assert statuses == [503, 200]
    assert (stats["requests"], stats["answered"], stats["output_tokens"]) == (2, 1, 60)
    assert stats["usd"] == pytest.approx((11 * 5 + 60 * 25) / 1e6)
