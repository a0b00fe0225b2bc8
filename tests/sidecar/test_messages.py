"""The official `anthropic` client, with nothing changed but the base URL: either tier answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import pytest

from e2e.models.ledger import Fault
from overspill.telemetry import names

if TYPE_CHECKING:
    from tests.sidecar.stage import Stage

pytestmark = pytest.mark.asyncio
ASK: Any = {
    "model": "claude-3",
    "max_tokens": 99,
    "messages": [{"role": "user", "content": "[[in=10]][[out=20]]"}],
}
HIGH = {"x-priority": "high"}
TOOL: Any = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
BOTH = pytest.mark.parametrize(
    "headers", [pytest.param({}, id="small"), pytest.param(HIGH, id="frontier")]
)


def client(stage: Stage) -> anthropic.AsyncAnthropic:
    url = stage.url.removesuffix("/v1")
    return anthropic.AsyncAnthropic(base_url=url, api_key="sk-app", max_retries=0)


async def test_the_small_tier_answers_and_its_work_is_counted(stage: Stage) -> None:
    async with client(stage) as asked:
        raw = await asked.messages.with_raw_response.create(**ASK)
    message = await raw.parse()
    assert raw.headers["x-overspill-tier"] == "small"
    assert (message.model, message.stop_reason) == ("glm", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (10, 20)
    said: Any = message.content[0]
    assert len(said.text.split()) == 20
    assert stage.metric(names.WORK_TOKENS) == pytest.approx(21)
    assert stage.metric(names.SPEND_USD, provider="opus") == 0


async def test_anthropic_itself_gets_the_request_as_it_is_and_is_paid(stage: Stage) -> None:
    async with client(stage) as asked:
        raw = await asked.messages.with_raw_response.create(**ASK, extra_headers=HIGH)
    message = await raw.parse()
    assert raw.headers["x-overspill-reason"] == "RuleMatched; rule=partner"
    assert (message.model, message.usage.output_tokens) == ("opus", 20)
    assert stage.metric(names.SPEND_USD, provider="opus") == pytest.approx(550e-6)
    assert stage.metric(names.WORK_TOKENS) == 0


@BOTH
async def test_a_stream_has_every_word_and_ends_once(stage: Stage, headers: dict[str, str]) -> None:
    async with (
        client(stage) as asked,
        asked.messages.stream(**ASK, extra_headers=headers) as stream,
    ):
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert len(text.split()) == 20
    assert final.stop_reason == "end_turn"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (10, 20)


@BOTH
async def test_tools_are_called(stage: Stage, headers: dict[str, str]) -> None:
    forced: Any = {"type": "tool", "name": "f"}
    asking = {**ASK, "tools": [TOOL], "tool_choice": forced, "extra_headers": headers}
    async with client(stage) as asked:
        message = await asked.messages.create(**asking)
        async with asked.messages.stream(**asking) as stream:
            streamed = await stream.get_final_message()
    for answer in (message, streamed):
        call: Any = answer.content[-1]
        assert (call.type, call.name, call.input) == ("tool_use", "f", {"answer": 42})
        assert answer.stop_reason == "tool_use"


async def test_a_tool_that_runs_at_the_provider_forces_the_tier_that_has_it(stage: Stage) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    async with client(stage) as asked:
        raw = await asked.messages.with_raw_response.create(**ASK, tools=[search])
        assert raw.headers["x-overspill-reason"] == "NotTranslatable"
        assert (await raw.parse()).model == "opus"
        stage.configure(frontier=stage.base["frontier"][1:])
        with pytest.raises(anthropic.BadRequestError, match="tools: 'web_search_20250305'"):
            await asked.messages.create(**ASK, tools=[search])


async def test_counting_tokens_is_free(stage: Stage) -> None:
    async with client(stage) as asked:
        counted = await asked.messages.count_tokens(model="m", messages=ASK["messages"])
    assert counted.input_tokens == 10
    assert stage.metric(names.SPEND_USD, provider="opus") == 0


async def test_where_nobody_can_count_tokens_they_are_estimated(stage: Stage) -> None:
    stage.configure(frontier=stage.base["frontier"][1:])
    async with client(stage) as asked:
        raw = await asked.messages.with_raw_response.count_tokens(
            model="m", messages=ASK["messages"]
        )
    assert raw.headers["x-overspill-reason"] == "Estimated"
    assert (await raw.parse()).input_tokens > 10
    assert stage.metric(names.REQUESTS, tier="none", outcome="answered") == 1


async def test_errors_are_in_the_clients_own_words(stage: Stage) -> None:
    stage.configure(small={**stage.base["small"], "endpoints": []})
    stage.gpt.ledger.fault = Fault(times=-1, status=500)
    stage.opus.ledger.fault = Fault(times=-1, status=529)
    async with client(stage) as asked:
        stage.configure(frontier=stage.base["frontier"][:1])
        with pytest.raises(anthropic.APIStatusError, match="told to fail") as failure:
            await asked.messages.create(**ASK)
        assert failure.value.status_code == 529
        stage.configure(
            budget={"open": False, "onExhausted": "Reject", "resetsAtS": stage.proxy.unix_s() + 60}
        )
        with pytest.raises(anthropic.RateLimitError, match="budget of this period is spent"):
            await asked.messages.create(**ASK, extra_headers=HIGH)


@BOTH
async def test_a_stream_that_breaks_off_ends_with_an_error_event(
    stage: Stage, headers: dict[str, str]
) -> None:
    for double in (stage.opus, *stage.small):
        double.ledger.fault = Fault(times=1, die_after_bytes=900)
    body = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        await _read(f"{stage.url}/messages", {**ASK, "stream": True}, body, headers)
    last = body.decode().strip().split("\n\n")[-1]
    assert last.startswith("event: error\n")
    assert "message_stop" not in body.decode()


async def _read(url: str, ask: dict[str, Any], into: bytearray, headers: dict[str, str]) -> None:
    async with (
        httpx.AsyncClient(timeout=20) as web,
        web.stream("POST", url, json=ask, headers=headers) as answer,
    ):
        async for chunk in answer.aiter_bytes():
            into += chunk
