"""Who answers when something is full, slow, broken or gone; and what is counted then."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from e2e.models.ledger import Fault
from overspill.routing import health
from overspill.telemetry import names
from tests.sidecar.stage import KEY, Stage, staged

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio


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


async def test_no_ready_replica_spills(stage: Stage) -> None:
    change(stage, "small", endpoints=[])
    assert told(await post(stage, ask())) == (200, "frontier", "NoEndpoints")
    assert stage.metric(names.DECISIONS, tier="frontier", reason="NoEndpoints") == 1
    assert stage.metric(names.WORK_TOKENS) == pytest.approx(6.0)  # 5 out + 0.1 × 10 in, spilled


async def test_full_slots_spill_and_are_given_back(tmp_path: Path) -> None:
    async with staged(tmp_path, small_scale=1.0) as stage:
        change(stage, "small", slotsPerEndpoint=1)
        slow = asyncio.create_task(post(stage, ask("[[out=20]]")))
        while stage.proxy.capacity.in_flight == 0:  # noqa: ASYNC110 - until it is under way
            await asyncio.sleep(0)
        assert told(await post(stage, ask())) == (200, "frontier", "SlotsFull")
        assert told(await slow)[1] == "small"
        assert told(await post(stage, ask()))[1] == "small"
        assert stage.proxy.capacity.in_flight == 0


async def test_a_rule_may_forbid_overflow(stage: Stage) -> None:
    header = {"name": "x-priority", "value": "bulk"}
    rule = {"name": "bulk", "when": {"header": header}, "tier": "Small", "overflow": "Deny"}
    change(stage, "small", endpoints=[])
    stage.configure(rules=[rule])
    refused = await post(stage, ask(), **{"x-priority": "bulk"})
    assert told(refused) == (503, "none", "NoEndpoints; rule=bulk")
    assert refused.headers["retry-after"] == "30"  # nothing has come free lately
    assert stage.opus.ledger.requests == stage.gpt.ledger.requests == 0
    assert stage.metric(names.WORK_TOKENS) > 0  # shed work is demand, too


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_failing_endpoint_is_passed_over_and_ejected(
    stage_of_two: Stage, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FIRST_EJECTION_S", health.LONGEST_EJECTION_S)  # a slow machine's
    stage = stage_of_two
    assert told(await post(stage, ask()))[:2] == (200, "small")
    home, other = sorted(stage.small, key=lambda double: -double.ledger.answered)
    home.ledger.fault = Fault(times=-1, status=status)
    for _ in range(4):
        assert told(await post(stage, ask()))[:2] == (200, "small")
    assert home.ledger.requests == 1 + 1
    assert other.ledger.answered == 4


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(times=-1, status=500), id="fails"),
        pytest.param(Fault(times=-1, refuse=True), id="resets"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_when_every_endpoint_fails_the_frontier_answers(
    stage_of_two: Stage, fault: Fault, stream: bool
) -> None:
    stage = stage_of_two
    for small in stage.small:
        small.ledger.fault = fault
    assert told(await post(stage, ask(stream=stream))) == (200, "frontier", "SmallFailed")
    assert [small.ledger.requests for small in stage.small] == [1, 1]


async def test_an_endpoint_that_refuses_connections_is_passed_over(stage: Stage) -> None:
    change(stage, "small", endpoints=["127.0.0.1:1", stage.small[0].address])
    assert told(await post(stage, ask()))[:2] == (200, "small")


async def test_a_late_first_token_spills(stage: Stage) -> None:
    change(stage, "small", firstTokenDeadlineS=0.01)
    stage.small[0].ledger.fault = Fault(times=-1, stall_s=30.0)
    assert told(await post(stage, ask(stream=True))) == (200, "frontier", "FirstTokenDeadline")
    assert stage.proxy.capacity.in_flight == 0


async def test_a_mistake_that_the_frontier_finds_too_is_the_clients_own(stage: Stage) -> None:
    """What the small model refuses may be its own limit; nobody charges for a refusal."""
    for double in (*stage.small, stage.opus):
        double.ledger.fault = Fault(times=1, status=400)
    refused = await post(stage, ask())
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "the double was told to fail"
    assert stage.opus.ledger.usd == 0
    assert stage.gpt.ledger.requests == 0
    assert stage.metric(names.FRONTIER_EQUIVALENT_USD, eligible="true") == 0


async def test_a_mistake_that_the_frontier_finds_is_not_tried_elsewhere(stage: Stage) -> None:
    stage.opus.ledger.fault = Fault(times=1, status=400)
    refused = await post(stage, ask(), **{"x-priority": "high"})
    assert refused.status_code == 400
    assert sum(one.ledger.requests for one in (*stage.small, stage.gpt)) == 0


HIGH = {"x-priority": "high"}


@pytest.mark.parametrize("tokens", [1, 3, 60])
@pytest.mark.parametrize("headers", [{}, HIGH])
async def test_a_stream_is_charged_by_its_usage_however_many_events_it_had(
    stage: Stage, tokens: int, headers: dict[str, str]
) -> None:
    body = ask(f"[[in=10]][[out={tokens}]]", stream=True)
    assert (await post(stage, body, **headers)).text.endswith("data: [DONE]\n\n")
    if headers:
        charged = stage.opus.ledger.usd
        assert charged == pytest.approx((10 * 5 + tokens * 25) / 1e6)
        assert stage.metric(names.SPEND_USD, provider="opus") == pytest.approx(charged)
    else:
        assert stage.metric(names.WORK_TOKENS) == pytest.approx(tokens + 1.0)
        equivalent = stage.metric(names.FRONTIER_EQUIVALENT_USD, eligible="true")
        assert equivalent == pytest.approx((10 * 5 + tokens * 25) / 1e6)


@pytest.mark.parametrize("status", [401, 429, 500, 529])
async def test_the_next_provider_is_tried(stage: Stage, status: int) -> None:
    stage.opus.ledger.fault = Fault(times=-1, status=status)
    answer = await post(stage, ask(), **HIGH)
    assert (answer.status_code, answer.json()["model"]) == (200, "gpt-frontier")
    assert stage.metric(names.SPEND_USD, provider="gpt") == pytest.approx(175e-6)
    assert stage.metric(names.SPEND_USD, provider="opus") == 0


async def test_what_a_small_model_called_brokenly_goes_to_who_can_read_it(stage: Stage) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}}
    turns = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "that was no JSON"},
    ]
    body = {"model": "m", "messages": [*ask()["messages"], *turns, *ask()["messages"]]}
    assert (await post(stage, body, **HIGH)).json()["model"] == "gpt-frontier"


async def test_at_last_the_providers_own_error_is_told(stage: Stage) -> None:
    stage.opus.ledger.fault = Fault(times=-1, status=429)
    stage.gpt.ledger.fault = Fault(times=-1, status=529)
    change(stage, "small", endpoints=[])
    stage.configure(frontier=stage.base["frontier"][::-1])
    answer = await post(stage, ask(), **HIGH)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["message"] == "the double was told to fail"


async def test_anthropics_overload_is_503_and_not_429(stage: Stage) -> None:
    change(stage, "small", endpoints=[])
    stage.configure(frontier=stage.base["frontier"][:1])
    stage.opus.ledger.fault = Fault(times=-1, status=529)
    assert (await post(stage, ask(), **HIGH)).status_code == 503


async def test_with_no_frontier_the_small_tier_answers_what_fits_it(stage: Stage) -> None:
    for provider in (stage.opus, stage.gpt):
        provider.ledger.fault = Fault(times=-1, status=500)
    assert told(await post(stage, ask(), **HIGH)) == (200, "small", "FrontierFailed; rule=partner")
    too_long = ask(max_tokens=40_000)
    assert (await post(stage, too_long)).status_code == 500


async def test_a_provider_that_asks_to_be_left_alone_is(stage: Stage) -> None:
    stage.opus.ledger.fault = Fault(times=1, status=429)
    for _ in range(3):
        assert (await post(stage, ask(), **HIGH)).json()["model"] == "gpt-frontier"
    assert stage.opus.ledger.requests == 1
    change(stage, "small", endpoints=[])
    stage.configure(frontier=stage.base["frontier"][:1])
    told_off = await post(stage, ask(), **HIGH)
    assert told_off.status_code == 429
    assert told_off.headers["retry-after"] == "1"
    assert stage.opus.ledger.requests == 1


async def test_a_missing_key_is_shown_and_the_next_provider_asked(stage: Stage) -> None:
    (stage.folder / "credentials" / "opus").unlink()
    answer = await post(stage, ask(), **HIGH)
    assert answer.json()["model"] == "gpt-frontier"
    async with httpx.AsyncClient() as client:
        shown = (await client.get(f"http://127.0.0.1:{stage.port}/metrics")).text
    assert 'overspill_credential_missing{policy="test/chat",provider="opus"} 1.0' in shown
    assert 'overspill_credential_missing{policy="test/chat",provider="gpt"} 0.0' in shown


async def test_no_header_of_the_app_reaches_a_provider(stage: Stage) -> None:
    headers = {"authorization": "Bearer sk-app", "cookie": "c", "traceparent": "00-1-2-01", **HIGH}
    answer = await post(stage, ask(), **headers)
    assert set(stage.opus.ledger.last_headers) == {
        "host",
        "x-api-key",
        "anthropic-version",
        "content-type",
        "content-length",
        "traceparent",
    }
    assert KEY not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    ("on_exhausted", "expected"),
    [
        ("SmallOnly", (200, "small", "BudgetExhausted; rule=partner")),
        ("Reject", (429, "none", "BudgetExhausted; rule=partner")),
    ],
)
async def test_an_exhausted_budget_closes_the_frontier(
    stage: Stage, on_exhausted: str, expected: tuple[int, str, str]
) -> None:
    resets_at_s = stage.proxy.unix_s() + 3600
    budget = {"open": False, "onExhausted": on_exhausted, "resetsAtS": resets_at_s}
    stage.configure(budget=budget)
    answer = await post(stage, ask(), **HIGH)
    assert told(answer) == expected
    if answer.status_code == 429:
        assert 3500 < int(answer.headers["retry-after"]) <= 3600
    assert stage.opus.ledger.requests == 0


async def test_observe_sends_everything_to_the_frontier_and_counts_what_it_would_do(
    stage: Stage,
) -> None:
    stage.configure(mode="Observe")
    answer = await post(stage, ask())
    assert answer.json()["model"] == "opus"
    assert stage.small[0].ledger.requests == 0
    assert stage.metric(names.DECISIONS, tier="small", reason="SmallFits") == 1
    assert stage.metric(names.WORK_TOKENS) == pytest.approx(6.0)


DEATH = [pytest.param({}, id="small"), pytest.param(HIGH, id="frontier")]


@pytest.mark.parametrize("headers", DEATH)
async def test_a_stream_that_breaks_off_never_ends_cleanly(
    stage: Stage, headers: dict[str, str]
) -> None:
    for double in (stage.small[0], stage.opus):
        double.ledger.fault = Fault(times=-1, die_after_bytes=900)
    body = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        await _read_stream(stage, ask("[[out=400]]", stream=True), headers, body)
    events = [line for line in body.decode().split("\n\n") if line]
    error = json.loads(events[-1].removeprefix("data: "))["error"]
    assert error["code"] == "upstream_failed"
    assert "[DONE]" not in body.decode()
    tier = "frontier" if headers else "small"
    provider = "opus" if headers else ""
    labels = {"tier": tier, "provider": provider, "outcome": "failed"}
    assert stage.metric(names.REQUESTS, **labels) == 1


async def _read_stream(
    stage: Stage, body: dict[str, Any], headers: dict[str, str], into: bytearray
) -> None:
    url = f"{stage.url}/chat/completions"
    async with (
        httpx.AsyncClient(timeout=20) as client,
        client.stream("POST", url, json=body, headers=headers) as answer,
    ):
        async for chunk in answer.aiter_bytes():
            into += chunk


@pytest.mark.parametrize("headers", DEATH)
async def test_a_client_that_goes_takes_its_upstream_along(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with staged(tmp_path, small_scale=1.0) as stage:
        stage.opus.ledger.fault = Fault(times=-1, stall_s=30.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        body = json.dumps(ask("[[out=5000]]", stream=True)).encode()
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{head}"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        double = stage.opus if headers else stage.small[0]
        while not double.ledger.requests:  # noqa: ASYNC110 - until it is under way
            await asyncio.sleep(0)
        if not headers:
            await reader.readuntil(b"data: ")
        writer.transport.abort()
        async with asyncio.timeout(10):
            while stage.proxy.connections or stage.proxy.capacity.in_flight:  # noqa: ASYNC110
                await asyncio.sleep(0)
            while not headers and not double.ledger.cancelled:  # noqa: ASYNC110
                await asyncio.sleep(0)
            tier, provider = ("frontier", "opus") if headers else ("small", "")
            labels = {"tier": tier, "provider": provider, "outcome": "cancelled"}
            while not stage.metric(names.REQUESTS, **labels):  # noqa: ASYNC110 - it is counted
                await asyncio.sleep(0)
        assert stage.metric(names.REQUESTS, **labels) == 1
        if headers:  # it was asked, and may charge for what it read
            assert stage.metric(names.SPEND_USD, provider="opus") > 0
