"""The official clients' other calls: Responses, structured output, embeddings, completions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from overspill.telemetry import names

if TYPE_CHECKING:
    from tests.sidecar.stage import Stage

pytestmark = pytest.mark.asyncio
HIGH = {"x-priority": "high"}
BOTH = pytest.mark.parametrize(
    ("headers", "model"),
    [pytest.param({}, "glm", id="small"), pytest.param(HIGH, "opus", id="frontier, Anthropic")],
)
FUNCTION: Any = {
    "type": "function",
    "name": "f",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}


class Answer(BaseModel):
    """What is asked for."""

    answer: int


def client(stage: Stage) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=stage.url, api_key="sk-app", max_retries=0)


# -- Responses
@BOTH
async def test_a_response(stage: Stage, headers: dict[str, str], model: str) -> None:
    async with client(stage) as asked:
        made = await asked.responses.create(
            model="gpt-5", input="[[in=40]][[out=7]]", extra_headers=headers
        )
    assert (made.status, made.model) == ("completed", model)
    assert made.output_text.split()[0] == model
    assert made.usage
    assert (made.usage.input_tokens, made.usage.output_tokens) == (40, 7)


@BOTH
async def test_a_response_stream(stage: Stage, headers: dict[str, str], model: str) -> None:
    async with (
        client(stage) as asked,
        asked.responses.stream(
            model="gpt-5", input="[[in=40]][[out=30]]", extra_headers=headers
        ) as stream,
    ):
        kinds = [event.type async for event in stream]
        made = await stream.get_final_response()
    assert len(made.output_text.split()) == 30
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert made.usage
    assert made.usage.output_tokens == 30


@BOTH
async def test_a_response_calls_a_function(
    stage: Stage, headers: dict[str, str], model: str
) -> None:
    async with client(stage) as asked:
        made = await asked.responses.create(
            model="gpt-5",
            input="[[out=5]]",
            tools=[FUNCTION],
            tool_choice="required",
            extra_headers=headers,
        )
    call: Any = made.output[-1]
    assert (call.type, call.name, call.arguments) == ("function_call", "f", '{"answer":42}')


@pytest.mark.parametrize(("there", "back"), [(0, 1), (1, 0)])
async def test_a_streamed_call_is_answered_at_the_other_tier(
    stage: Stage, there: int, back: int
) -> None:
    headers: list[dict[str, str]] = [{}, HIGH]
    asked_for: list[Any] = [{"role": "user", "content": "[[out=5]]"}]
    async with client(stage) as asked:
        async with asked.responses.stream(
            model="gpt-5",
            input=asked_for,
            tools=[FUNCTION],
            tool_choice="required",
            extra_headers=headers[there],
        ) as stream:
            told = [event async for event in stream]
        made = told[-1].response if told[-1].type == "response.completed" else None
        assert made
        call: Any = made.output[-1]
        assert (call.type, call.arguments) == ("function_call", '{"answer":42}')
        asked_for += made.output
        asked_for.append({"type": "function_call_output", "call_id": call.call_id, "output": "42"})
        answer = await asked.responses.create(
            model="gpt-5", input=asked_for, tools=[FUNCTION], extra_headers=headers[back]
        )
    assert answer.model == ("glm", "opus")[back]


async def test_a_response_that_needs_a_memory_is_refused(stage: Stage) -> None:
    async with client(stage) as asked:
        with pytest.raises(openai.BadRequestError, match="previous_response_id") as refused:
            await asked.responses.create(model="gpt-5", input="x", previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id"


# -- structured output
@BOTH
async def test_a_chat_answer_is_parsed_by_its_schema(
    stage: Stage, headers: dict[str, str], model: str
) -> None:
    async with client(stage) as asked:
        made = await asked.chat.completions.parse(
            model="gpt-4o",
            messages=[{"role": "user", "content": "[[out=5]]"}],
            response_format=Answer,
            extra_headers=headers,
        )
        async with asked.chat.completions.stream(
            model="gpt-4o",
            messages=[{"role": "user", "content": "[[out=5]]"}],
            response_format=Answer,
            extra_headers=headers,
        ) as stream:
            streamed = await stream.get_final_completion()
    for answer in (made, streamed):
        assert answer.choices[0].message.parsed == Answer(answer=42)


@BOTH
async def test_a_response_is_parsed_by_its_schema(
    stage: Stage, headers: dict[str, str], model: str
) -> None:
    async with client(stage) as asked:
        made = await asked.responses.parse(
            model="gpt-5", input="[[out=5]]", text_format=Answer, extra_headers=headers
        )
    assert made.output_parsed == Answer(answer=42)


@BOTH
async def test_a_message_is_parsed_by_its_schema(
    stage: Stage, headers: dict[str, str], model: str
) -> None:
    url = stage.url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as asked:
        made = await asked.messages.parse(
            model="claude",
            max_tokens=50,
            messages=[{"role": "user", "content": "[[out=5]]"}],
            output_format=Answer,
            extra_headers=headers,
        )
    assert (made.parsed_output, made.model) == (Answer(answer=42), model)


@BOTH
async def test_a_message_is_parsed_as_it_streams(
    stage: Stage, headers: dict[str, str], model: str
) -> None:
    url = stage.url.removesuffix("/v1")
    async with (
        anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as asked,
        asked.messages.stream(
            model="claude",
            max_tokens=50,
            messages=[{"role": "user", "content": "[[out=5]]"}],
            output_format=Answer,
            extra_headers=headers,
        ) as stream,
    ):
        made = await stream.get_final_message()
    assert (made.parsed_output, made.model) == (Answer(answer=42), model)


@pytest.mark.parametrize(("there", "back"), [(0, 1), (1, 0)])
async def test_a_tool_of_a_message_is_answered_at_the_other_tier(
    stage: Stage, there: int, back: int
) -> None:
    headers: list[dict[str, str]] = [{}, HIGH]
    tool: Any = {"name": "f", "input_schema": {"type": "object"}}
    turns: list[Any] = [{"role": "user", "content": "[[out=5]]"}]
    url = stage.url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as asked:
        async with asked.messages.stream(
            model="claude",
            max_tokens=50,
            messages=turns,
            tools=[tool],
            tool_choice={"type": "any"},
            extra_headers=headers[there],
        ) as stream:
            said = await stream.get_final_message()
        call: Any = said.content[-1]
        assert call.input == {"answer": 42}
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "42"}
        turns += [
            {"role": "assistant", "content": said.content},
            {"role": "user", "content": [result]},
        ]
        answer = await asked.messages.create(
            model="claude",
            max_tokens=50,
            messages=turns,
            tools=[tool],
            extra_headers=headers[back],
        )
    assert answer.model == ("glm", "opus")[back]


# -- embeddings
async def test_an_embedding_is_of_the_model_that_was_asked_for(stage: Stage) -> None:
    async with client(stage) as asked:
        own = await asked.embeddings.with_raw_response.create(
            model="glm", input=["a", "b"], encoding_format="float"
        )
        other = await asked.embeddings.with_raw_response.create(
            model="text-embedding-3-small", input="a", encoding_format="float"
        )
    assert (own.headers["x-overspill-tier"], len(own.parse().data)) == ("small", 2)
    assert other.headers["x-overspill-tier"] == "frontier"
    assert other.parse().model == "text-embedding-3-small"
    assert stage.metric(names.INPUT_TOKENS, tier="frontier", provider="gpt") == 1


async def test_an_embedding_of_the_small_model_never_spills(stage: Stage) -> None:
    stage.configure(small={**stage.base["small"], "endpoints": []})
    async with client(stage) as asked:
        with pytest.raises(openai.InternalServerError, match="may go nowhere else"):
            await asked.embeddings.create(model="glm", input="a", encoding_format="float")
    assert stage.gpt.ledger.requests == 0


# -- the older completions
async def test_a_completion_and_its_stream(stage: Stage) -> None:
    async with client(stage) as asked:
        made = await asked.completions.create(model="m", prompt="x", max_tokens=4)
        stream = await asked.completions.create(model="m", prompt="x", max_tokens=4, stream=True)
        pieces = [chunk.choices[0].text async for chunk in stream if chunk.choices]
        spilled = await asked.completions.create(
            model="m", prompt="x", max_tokens=4, extra_headers=HIGH
        )
    assert made.choices[0].text == "".join(pieces)
    assert len(made.choices[0].text.split()) == 4
    assert spilled.model == "gpt-frontier"  # Anthropic's wire has no such call


# -- synchronous clients
def ask_both(url: str) -> tuple[str, str]:
    """What an app without asyncio does."""
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as asked:
        first = asked.responses.create(model="gpt-5", input="[[out=3]]").output_text
    with (
        anthropic.Anthropic(base_url=url.removesuffix("/v1"), api_key="k", max_retries=0) as asking,
        asking.messages.stream(
            model="claude", max_tokens=9, messages=[{"role": "user", "content": "[[out=3]]"}]
        ) as stream,
    ):
        second = "".join(stream.text_stream)
    return first, second


async def test_synchronous_clients(stage: Stage) -> None:
    first, second = await asyncio.to_thread(ask_both, stage.url)
    assert first == second
    assert len(first.split()) == 3


async def test_the_models_are_listed_in_the_clients_words(stage: Stage) -> None:
    async with client(stage) as asked:
        named = [model.id async for model in asked.models.list()]
    url = stage.url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as asking:
        listed = [model async for model in asking.models.list()]
    assert (
        named == [model.id for model in listed] == ["overspill/auto", "glm", "opus", "gpt-frontier"]
    )
    assert {model.created_at.year for model in listed} == {1970}
