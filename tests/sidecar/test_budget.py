"""Paid requests and their lease: debited before the first byte, settled once, whatever happens."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from e2e.models.ledger import Fault
from overspill.api import leases
from overspill.api.leases import LeaseAnswer, LeaseRequest
from overspill.budget.lease import Report
from overspill.controller.counter import worded
from overspill.telemetry import names
from tests.sidecar.stage import staged
from tests.sidecar.test_purse import Bank

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.sidecar.stage import Stage

pytestmark = pytest.mark.asyncio
HIGH = {"x-priority": "high"}
COST = 10 * 5 + 20 * 25
"""Micro-dollars of what `ask` asks, at the doubles' prices."""
TOKEN = "a-projected-token"


def ask(**more: object) -> dict[str, Any]:
    content = "[[in=10]][[out=20]]"
    return {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 100,
        **more,
    }


@asynccontextmanager
async def lending(folder: Path, bank: Bank, **budget: object) -> AsyncIterator[Stage]:
    """A sidecar that spends from a bank's leases."""

    async def serve(request: web.Request) -> web.Response:
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return web.json_response({"error": "the token is not valid here"}, status=401)
        asked = leases.read(LeaseRequest, await request.read())
        assert asked.policy == "test/chat"
        reports = [Report(pod="pod", **one.model_dump()) for one in asked.reports]
        answer = LeaseAnswer(grants=tuple(worded(one) for one in await bank(tuple(reports))))
        return web.json_response(answer.to_json())

    app = web.Application()
    app.router.add_post(leases.PATH, serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    (folder / "token").write_text(TOKEN + "\n")
    lender = {"url": f"http://127.0.0.1:{port}", "caCertificate": ""}
    try:
        async with staged(folder) as stage:
            stage.configure(budget={"lender": lender, "resetsAtS": 4e9, **budget})
            yield stage
            await stage.proxy.give_back()
    finally:
        await runner.cleanup()


async def post(stage: Stage, body: dict[str, Any], **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.post(f"{stage.url}/chat/completions", json=body, headers=headers)


def settled(bank: Bank) -> int:
    """What was settled, once the lease was given back."""
    account = bank.ledger.current
    assert account.committed_usd_micros() == account.settled_usd_micros()
    return account.settled_usd_micros()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_costs_what_the_provider_charges_to_the_micro_dollar(
    tmp_path: Path, stream: bool
) -> None:
    bank = Bank()
    async with lending(tmp_path, bank) as stage:
        for _ in range(3):
            answer = await post(stage, ask(stream=stream), **HIGH)
            assert answer.status_code == 200
        assert stage.metric(names.SPEND_USD, provider="opus") == pytest.approx(3 * COST / 1e6)
        assert stage.opus.ledger.stats()["usd_micros"] == 3 * COST
    assert settled(bank) == 3 * COST
    assert bank.ledger.current.unmetered_usd_micros() == 0


async def test_the_next_provider_pays_for_itself_and_an_error_costs_nothing(tmp_path: Path) -> None:
    bank = Bank()
    async with lending(tmp_path, bank) as stage:
        stage.opus.ledger.fault = Fault(times=1, status=500)
        answer = await post(stage, ask(), **HIGH)
        assert answer.json()["model"] == "gpt-frontier"
        assert answer.headers["x-overspill-cost"] == f"{COST / 1e6:.6f}"
    assert settled(bank) == COST


async def test_a_stream_that_breaks_is_charged_at_worst_case_and_flagged(tmp_path: Path) -> None:
    bank = Bank()
    async with lending(tmp_path, bank) as stage:
        stage.opus.ledger.fault = Fault(times=1, die_after_bytes=900)
        with pytest.raises(httpx.RemoteProtocolError):
            await post(stage, ask(stream=True), **HIGH)
        flagged = stage.metric(names.UNMETERED_USD, provider="opus")
        assert flagged == stage.metric(names.SPEND_USD, provider="opus") > 100 * 25 / 1e6
    assert settled(bank) == bank.ledger.current.unmetered_usd_micros() == round(flagged * 1e6)


async def test_a_client_that_leaves_is_charged_for(tmp_path: Path) -> None:
    bank = Bank()
    async with lending(tmp_path, bank) as stage:
        url = f"{stage.url}/chat/completions"
        body = ask(stream=True)
        body["messages"][0]["content"] = "[[in=10]][[out=90]]"
        async with (
            httpx.AsyncClient(timeout=20) as client,
            client.stream("POST", url, json=body, headers=HIGH) as response,
        ):
            await anext(response.aiter_raw())
        purse = stage.proxy.money.purse
        while purse and purse.wallet.book.held:  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0)
    assert settled(bank) == bank.ledger.current.unmetered_usd_micros() >= 100 * 25


async def test_a_spent_budget_leaves_the_small_tier_to_do_it(tmp_path: Path) -> None:
    bank = Bank(limit_usd_micros=0)
    async with lending(tmp_path, bank) as stage:
        answer = await post(stage, ask(), **HIGH)
        told = (answer.json()["model"], answer.headers["x-overspill-reason"])
        assert told == ("glm", "BudgetExhausted; rule=partner")
        usual = await post(stage, ask())
        assert usual.headers["x-overspill-reason"] == "SmallFits"
        assert stage.opus.ledger.requests == stage.gpt.ledger.requests == 0


@pytest.mark.parametrize("on_exhausted", ["Reject", "Suspend"])
async def test_a_spent_budget_refuses_until_the_period_ends(
    tmp_path: Path, on_exhausted: str
) -> None:
    bank = Bank(limit_usd_micros=0)
    async with lending(tmp_path, bank, onExhausted=on_exhausted) as stage:
        answer = await post(stage, ask(), **HIGH)
        assert answer.status_code == 429
        assert answer.json()["error"]["code"] == "budget_exhausted"
        assert int(answer.headers["retry-after"]) > 86_400
        assert (await post(stage, ask())).json()["model"] == "glm"


async def test_what_overflows_and_cannot_be_paid_is_turned_away(tmp_path: Path) -> None:
    bank = Bank(limit_usd_micros=0)
    async with lending(tmp_path, bank) as stage:
        stage.configure(small={**stage.base["small"], "endpoints": []})
        answer = await post(stage, ask())
        assert answer.status_code == 503  # no replica runs, and no money for somebody else
        assert "retry-after" in answer.headers
        assert stage.opus.ledger.requests == 0


async def test_only_watching_spends_as_the_app_would_have(tmp_path: Path) -> None:
    bank = Bank(limit_usd_micros=0)
    async with lending(tmp_path, bank) as stage:
        stage.configure(mode="Observe")
        assert (await post(stage, ask())).json()["model"] == "opus"


async def test_a_limit_is_sent_where_the_client_gave_none(tmp_path: Path) -> None:
    async with lending(tmp_path, Bank()) as stage:
        body = ask()
        del body["max_tokens"]
        body["messages"][0]["content"] = "[[in=1]][[out=9999]]"
        answer = await post(stage, body, **HIGH)
        assert answer.json()["usage"]["completion_tokens"] == 4096


async def test_a_token_that_is_not_taken_closes_the_frontier_and_says_why(tmp_path: Path) -> None:
    async with lending(tmp_path, Bank()) as stage:
        (tmp_path / "token").write_text("another")
        answer = await post(stage, ask(), **HIGH)
        assert answer.json()["model"] == "glm"
        assert stage.proxy.money.purse is not None
        assert "the token is not valid here" in stage.proxy.money.purse.problem


async def test_a_policy_that_loses_its_budget_gives_the_lease_back(tmp_path: Path) -> None:
    bank = Bank()
    async with lending(tmp_path, bank) as stage:
        await post(stage, ask(), **HIGH)
        stage.configure(budget={})
        assert stage.proxy.money.purse is None
        assert (await post(stage, ask(), **HIGH)).json()["model"] == "opus"
    assert settled(bank) == COST
