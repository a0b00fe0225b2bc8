"""The official `anthropic` client, with nothing changed but the base URL."""

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


def client(stage: Stage) -> anthropic.AsyncAnthropic:
    url = stage.url.removesuffix("/v1")
    return anthropic.AsyncAnthropic(base_url=url, api_key="sk-app", max_retries=0)


async def test_a_whole_answer_is_passed_on_and_metered(stage: Stage) -> None:
    async with client(stage) as asked:
        raw = await asked.messages.with_raw_response.create(**ASK)
    message = await raw.parse()
    assert raw.headers["x-overspill-reason"] == "AnthropicWire"
    assert (message.model, message.usage.output_tokens) == ("opus", 20)
    assert stage.metric(names.SPEND_USD, provider="opus") == pytest.approx(550e-6)
    assert stage.metric(names.WORK_TOKENS) == 0  # the small tier could not have answered


async def test_a_stream_is_passed_on_byte_for_byte(stage: Stage) -> None:
    async with client(stage) as asked, asked.messages.stream(**ASK) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert len(text.split()) == 20
    assert final.stop_reason == "end_turn"
    assert stage.metric(names.SPEND_USD, provider="opus") == pytest.approx(550e-6)


async def test_counting_tokens_is_free(stage: Stage) -> None:
    async with client(stage) as asked:
        counted = await asked.messages.count_tokens(model="m", messages=ASK["messages"])
    assert counted.input_tokens == 10
    assert stage.metric(names.SPEND_USD, provider="opus") == 0


async def test_errors_are_in_the_clients_own_words(stage: Stage) -> None:
    stage.opus.ledger.fault = Fault(times=-1, status=529)
    async with client(stage) as asked:
        with pytest.raises(anthropic.APIStatusError, match="told to fail") as failure:
            await asked.messages.create(**ASK)
        assert failure.value.status_code == 529
        stage.configure(budget={"open": False, "resetsAtS": stage.proxy.unix_s() + 60})
        with pytest.raises(anthropic.RateLimitError, match="budget of this period is spent"):
            await asked.messages.create(**ASK)
        stage.configure(budget={"open": True}, frontier=stage.base["frontier"][1:])
        with pytest.raises(anthropic.BadRequestError, match="speaks Anthropic"):
            await asked.messages.create(**ASK)


async def test_a_stream_that_breaks_off_ends_with_an_error_event(stage: Stage) -> None:
    stage.opus.ledger.fault = Fault(times=1, die_after_bytes=900)
    body = bytearray()
    url = f"{stage.url}/messages"
    with pytest.raises(httpx.RemoteProtocolError):
        await _read(url, {**ASK, "stream": True}, body)
    last = body.decode().strip().split("\n\n")[-1]
    assert last.startswith("event: error\n")
    assert "message_stop" not in body.decode()


async def _read(url: str, ask: dict[str, Any], into: bytearray) -> None:
    async with (
        httpx.AsyncClient(timeout=20) as web,
        web.stream("POST", url, json=ask) as answer,
    ):
        async for chunk in answer.aiter_bytes():
            into += chunk
