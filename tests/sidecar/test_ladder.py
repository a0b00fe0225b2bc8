"""Own machines, a host, the frontier; who waits for room, and what bounds the waiting."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from e2e.models.ledger import Fault
from overspill.sidecar import ladder
from overspill.sidecar.access_log import access_log
from overspill.telemetry import names
from tests.sidecar.stage import Stage, openai_app, serving, staged

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio
HIGH = {"x-priority": "high"}
BULK = {"x-priority": "bulk"}


def ask(text: str = "[[in=10]][[out=5]]", **more: object) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


async def post(stage: Stage, body: dict[str, Any], **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.post(f"{stage.url}/chat/completions", json=body, headers=headers)


def told(response: httpx.Response) -> tuple[int, str, str]:
    headers = response.headers
    return response.status_code, headers["x-overspill-tier"], headers["x-overspill-reason"]


def change(stage: Stage, part: str, **fields: object) -> None:
    stage.configure(**{part: {**stage.base[part], **fields}})


def with_host(stage: Stage) -> None:
    """The host is the OpenAI double; only Anthropic is left as the frontier."""
    opus, gpt = stage.base["frontier"]
    price = {"inputPerMTok": "0.1", "outputPerMTok": "0.1"}
    stage.configure(hosted=[{**gpt, "price": price}], frontier=[opus])


# -- the ladder
async def test_what_does_not_fit_goes_to_the_host_before_the_frontier(stage: Stage) -> None:
    with_host(stage)
    change(stage, "small", endpoints=[])
    answer = await post(stage, ask())
    assert told(answer) == (200, "hosted", "NoEndpoints")
    assert answer.headers["x-overspill-cost"] == "0.000002"
    assert stage.metric(names.SPEND_USD, provider="gpt") == pytest.approx(2e-6)
    # what the work would cost elsewhere is what the host takes, not the frontier
    assert stage.metric(names.FRONTIER_EQUIVALENT_USD, eligible="true") == pytest.approx(2e-6)


async def test_a_host_that_fails_leaves_it_to_the_frontier(stage: Stage) -> None:
    with_host(stage)
    change(stage, "small", endpoints=[])
    stage.gpt.ledger.fault = Fault(times=-1, status=500)
    assert told(await post(stage, ask())) == (200, "frontier", "NoEndpoints")


async def test_work_is_priced_at_the_first_rung_that_is_open(stage: Stage) -> None:
    with_host(stage)
    change(stage, "small", endpoints=[])
    stage.gpt.ledger.fault, worth = Fault(times=-1, status=500), []
    for _ in range(2):
        await post(stage, ask())
        worth.append(stage.metric(names.FRONTIER_EQUIVALENT_USD, eligible="true"))
    assert worth == pytest.approx([2e-6, 2e-6 + (10 * 5 + 5 * 25) / 1e6])


async def test_what_needs_the_frontier_does_not_ask_the_host(stage: Stage) -> None:
    with_host(stage)
    assert told(await post(stage, ask(), **HIGH))[1] == "frontier"
    assert stage.gpt.ledger.requests == 0


async def test_what_may_not_overflow_stays_at_home(stage: Stage) -> None:
    with_host(stage)
    header = {"name": "x-priority", "value": "bulk"}
    rule = {"name": "bulk", "when": {"header": header}, "tier": "Small", "overflow": "Deny"}
    stage.configure(rules=[rule])
    change(stage, "small", endpoints=[])
    assert told(await post(stage, ask(), **BULK))[:2] == (503, "none")
    assert stage.gpt.ledger.requests == stage.opus.ledger.requests == 0


async def test_what_may_not_overflow_stays_at_home_where_it_is_too_long_too(stage: Stage) -> None:
    with_host(stage)
    header = {"name": "x-priority", "value": "bulk"}
    rule = {"name": "bulk", "when": {"header": header}, "tier": "Small", "overflow": "Deny"}
    stage.configure(rules=[rule])
    change(stage, "small", contextWindow=8)
    for double in stage.small:
        double.ledger.fault = Fault(times=-1, status=400)
    assert told(await post(stage, ask(), **BULK))[:2] == (400, "none")
    assert stage.gpt.ledger.requests == stage.opus.ledger.requests == 0


# -- waiting for room
RULES = [
    {
        "name": name,
        "when": {"header": {"name": "x-priority", "value": name}},
        "tier": "Small",
        "overflow": "Deny",
        "priority": priority,
    }
    for name, priority in (("urgent", "High"), ("bulk", "Low"))
]


async def waiting(stage: Stage, number: int) -> None:
    async with asyncio.timeout(10):
        while stage.proxy.room.waiting < number:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_the_urgent_are_served_before_those_who_came_earlier(tmp_path: Path) -> None:
    async with staged(tmp_path, small_scale=5.0) as stage:
        stage.configure(rules=RULES, queueMaxWaitS=30.0)
        change(stage, "small", slotsPerEndpoint=1)
        order: list[str] = []

        async def queue(name: str, tokens: int = 2) -> None:
            text = f"[[out={tokens}]]"
            assert told(await post(stage, ask(text), **{"x-priority": name}))[0] == 200
            order.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(queue("first", 400))
            async with asyncio.timeout(10):
                while stage.proxy.capacity.in_flight == 0:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0)
            for number, name in enumerate(("bulk", "normal", "urgent"), 1):
                group.create_task(queue(name))
                await waiting(stage, number)
        assert order == ["first", "urgent", "normal", "bulk"]
        assert stage.proxy.capacity.in_flight == 0


async def test_who_waits_too_long_spills_or_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with staged(tmp_path, small_scale=0.01) as stage:
        stage.configure(rules=RULES, queueMaxWaitS=0.05)
        change(stage, "small", slotsPerEndpoint=1)
        slow = asyncio.create_task(post(stage, ask("[[out=20]]")))
        async with asyncio.timeout(10):
            while stage.proxy.capacity.in_flight == 0:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        assert told(await post(stage, ask())) == (200, "frontier", "SlotsFull")
        assert stage.metric(f"{names.QUEUE_WAIT_SECONDS}_count") == 1
        assert stage.metric(f"{names.QUEUE_WAIT_SECONDS}_sum") >= 0.05
        refused = await post(stage, ask(), **BULK)
        assert told(refused)[:2] == (503, "none")
        assert int(refused.headers["retry-after"]) >= 1
        slow.cancel()


async def test_a_client_that_leaves_the_queue_leaves_no_gap(tmp_path: Path) -> None:
    async with staged(tmp_path, small_scale=5.0) as stage:
        stage.configure(queueMaxWaitS=30.0)
        change(stage, "small", slotsPerEndpoint=1)
        first = asyncio.create_task(post(stage, ask("[[out=400]]")))
        async with asyncio.timeout(10):
            while stage.proxy.capacity.in_flight == 0:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        leaving = asyncio.create_task(post(stage, ask()))
        await waiting(stage, 1)
        staying = asyncio.create_task(post(stage, ask()))
        await waiting(stage, 2)
        leaving.cancel()
        assert told(await first)[:2] == told(await staying)[:2] == (200, "small")
        assert stage.metric(f"{names.QUEUE_WAIT_SECONDS}_count") == 2  # who left has waited too


async def test_who_refused_the_connection_is_not_paid_when_the_client_leaves(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, small_scale=0.01) as stage:
        _, gpt = stage.base["frontier"]
        away = {**gpt, "name": "away", "baseURL": "http://127.0.0.1:1"}
        stage.configure(queueMaxWaitS=30.0, frontier=[away])
        change(stage, "small", slotsPerEndpoint=1)
        first = asyncio.create_task(post(stage, ask()))
        async with asyncio.timeout(10):
            while stage.proxy.capacity.in_flight == 0:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        leaving = asyncio.create_task(post(stage, ask(), **HIGH))
        await waiting(stage, 1)
        assert stage.metric(names.UPSTREAM_ERRORS, provider="away") == 4  # called again
        leaving.cancel()
        async with asyncio.timeout(10):
            while stage.proxy.room.waiting:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        assert stage.metric(names.SPEND_USD, provider="away") == 0
        assert stage.metric(names.REQUESTS, provider="away") == 0
        assert stage.metric(names.REQUESTS, tier="none", outcome="rejected") == 1
        first.cancel()


# -- connections that do not come about
async def test_a_provider_that_refuses_connections_for_a_moment_is_called_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "CONNECT_AGAIN_S", (0.0,) * 10_000)  # until it is there
    _, gpt = stage.base["frontier"]
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    away = {**gpt, "name": "away", "baseURL": f"http://127.0.0.1:{port}"}
    stage.configure(frontier=[away])
    change(stage, "small", endpoints=[])
    answer = asyncio.create_task(post(stage, ask()))
    async with asyncio.timeout(10):
        while not stage.metric(names.UPSTREAM_ERRORS, provider="away"):  # noqa: ASYNC110
            await asyncio.sleep(0)
    async with serving(*openai_app(), port=port):
        assert told(await answer) == (200, "frontier", "NoEndpoints")
    assert stage.metric(names.UPSTREAM_ERRORS, provider="away", kind="connect") >= 1


@pytest.mark.parametrize(
    ("order", "tries"),
    [
        pytest.param(["away", "gpt"], 1, id="somebody else is left"),
        pytest.param(["gpt", "away"], 0, id="somebody else answered"),
    ],
)
async def test_who_is_not_the_last_is_not_called_again(
    stage: Stage, order: list[str], tries: int
) -> None:
    _, gpt = stage.base["frontier"]
    providers = {"gpt": gpt, "away": {**gpt, "name": "away", "baseURL": "http://127.0.0.1:1"}}
    stage.configure(frontier=[providers[name] for name in order])
    change(stage, "small", endpoints=[])
    assert told(await post(stage, ask())) == (200, "frontier", "NoEndpoints")
    assert stage.metric(names.UPSTREAM_ERRORS, provider="away") == tries


async def test_who_is_out_of_favour_is_not_called_again(stage: Stage) -> None:
    _, gpt = stage.base["frontier"]
    stage.configure(frontier=[{**gpt, "name": "away", "baseURL": "http://127.0.0.1:1"}])
    change(stage, "small", endpoints=[])
    for _ in range(2):
        assert (await post(stage, ask())).status_code == 502
    tries = (1 + len(ladder.CONNECT_AGAIN_S)) + 1
    assert stage.metric(names.UPSTREAM_ERRORS, provider="away") == tries


# -- deadlines
async def test_a_clients_own_limit_bounds_all_attempts(tmp_path: Path) -> None:
    async with staged(tmp_path, small_scale=0.01) as stage:
        late = await post(stage, ask(), **{"x-overspill-timeout": "0.2"})
        assert told(late)[0] == 504
        assert late.json()["error"]["type"] == "timeout_error"
        assert stage.proxy.capacity.in_flight == 0
        assert stage.opus.ledger.requests == 0  # its time was up


async def test_a_limit_that_is_none_is_refused(stage: Stage) -> None:
    refused = await post(stage, ask(), **{"x-overspill-timeout": "soon"})
    assert refused.status_code == 400
    assert "x-overspill-timeout" in refused.json()["error"]["message"]


async def test_a_stream_that_takes_too_long_is_broken_off_honestly(tmp_path: Path) -> None:
    async with staged(tmp_path, small_scale=0.5) as stage:
        stage.configure(requestTimeoutS=0.5)
        body = bytearray()
        with pytest.raises(httpx.RemoteProtocolError):
            await read(stage, ask("[[out=500]]", stream=True), body)
        assert b"longer than it may" in body
        assert b"[DONE]" not in body


async def read(stage: Stage, asked: dict[str, Any], into: bytearray) -> None:
    async with (
        httpx.AsyncClient(timeout=20) as client,
        client.stream("POST", f"{stage.url}/chat/completions", json=asked) as answer,
    ):
        async for chunk in answer.aiter_bytes():
            into += chunk


# -- conversations
async def test_a_conversation_stays_at_one_endpoint(stage_of_two: Stage) -> None:
    stage = stage_of_two
    turns: list[dict[str, str]] = [{"role": "user", "content": "[[out=3]] hello"}]
    for _ in range(4):
        answer = await post(stage, {"model": "m", "messages": turns})
        turns += [answer.json()["choices"][0]["message"], {"role": "user", "content": "[[out=3]]"}]
    assert sorted(double.ledger.answered for double in stage.small) == [0, 4]


async def test_conversations_spread_over_endpoints(stage_of_two: Stage) -> None:
    for number in range(40):
        await post(stage_of_two, ask(f"[[out=1]] {number}"))
    assert min(double.ledger.answered for double in stage_of_two.small) > 5


# -- what may be seen
async def test_a_header_reaches_a_provider_only_where_the_policy_says_so(stage: Stage) -> None:
    opus, gpt = stage.base["frontier"]
    stage.configure(frontier=[{**opus, "forwardHeaders": ["x-team"]}, gpt])
    secret = {"authorization": "Bearer sk-app", "cookie": "c", "x-team": "legal", "x-other": "o"}
    assert told(await post(stage, ask(), **HIGH, **secret, traceparent="00-a-b-01"))[0] == 200
    seen = set(stage.opus.ledger.last_headers)
    assert {"x-team", "traceparent", "x-api-key"} <= seen
    assert not seen & {"authorization", "cookie", "x-other", "x-priority"}


async def test_the_access_log_says_who_answered_why_and_for_how_much(stage: Stage) -> None:
    out = io.StringIO()
    stage.proxy.access_log = access_log(out)
    await post(stage, ask(seed=1), **HIGH)
    await post(stage, {"model": 5})
    answered, refused = (json.loads(line) for line in out.getvalue().splitlines())
    wanted = {
        "status": 200,
        "outcome": "answered",
        "tier": "frontier",
        "reason": "RuleMatched",
        "rule": "partner",
        "provider": "opus",
        "model": "opus",
        "asked_model": "gpt-4o",
        "input_tokens": 10,
        "output_tokens": 5,
        "cost_usd": 175e-6,
        "lossy": ["seed"],
    }
    assert {name: answered[name] for name in wanted} == wanted
    assert (refused["status"], refused["outcome"]) == (400, "rejected")
    assert "sk-" not in out.getvalue()
    assert "in=10" not in out.getvalue()


async def test_metrics_have_opentelemetrys_names_too(stage: Stage) -> None:
    await post(stage, ask())
    await post(stage, ask(stream=True), **HIGH)
    stage.opus.ledger.fault = Fault(times=1, die_after_bytes=900)
    with pytest.raises(httpx.RemoteProtocolError):
        await post(stage, ask("[[out=50]]", stream=True), **HIGH)
    small = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "self_hosted",
        "gen_ai_request_model": "glm",
    }
    opus = {**small, "gen_ai_provider_name": "anthropic", "gen_ai_request_model": "opus"}
    assert stage.metric(f"{names.GEN_AI_DURATION}_count", **small) == 1
    assert stage.metric(f"{names.GEN_AI_FIRST_CHUNK}_count", **opus) == 2
    assert stage.metric(f"{names.GEN_AI_TOKENS}_sum", **small, gen_ai_token_type="output") == 5
    assert stage.metric(f"{names.GEN_AI_DURATION}_count", **opus, error_type="failed") == 1
