"""Requests under a budget: each paid attempt is reserved before it goes, and settled once."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from overspill.api.policy import Budget
from overspill.sidecar.lender import LocalLender
from overspill.telemetry import names
from tests.clock import play, until
from tests.sidecar import replies
from tests.sidecar.faulty import How, Script, client, post
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS, Road, Scene, asking, scene
from tests.sidecar.stage import PRICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overspill.budget.wallet import Book

NOON_S = 1_780_000_000.0
SMALL, OPENAI, ANTHROPIC, MESSAGES = ROADS
PAID = [OPENAI, ANTHROPIC, MESSAGES]
COST = 3 * 5 + 5 * 25
"""Of a good answer (3 tokens in, 5 out) in micro-dollars."""
PLENTY = "100"
DEAR = {"inputPerMTok": "50", "outputPerMTok": "250"}


@asynccontextmanager
async def budgeted(
    folder: Path,
    road: Road,
    script: Script,
    limit: str = PLENTY,
    **changes: Any,  # noqa: ANN401 - any JSON value
) -> AsyncIterator[Scene]:
    """A scene whose sidecar has a budget; the second upstream answers well."""
    other = replies.good_whole(Wire.OPENAI if road.small else road.upstream)
    async with scene(folder, road, script, other=other) as made:
        made.stage.proxy.money.local_lender = LocalLender(Budget(limit=limit), lambda: NOON_S)
        made.stage.configure(**changes)
        try:
            yield made
        finally:
            if made.stage.proxy.money.purse is not None:
                await made.stage.proxy.money.purse.close()


def book(made: Scene) -> Book:
    purse = made.stage.proxy.money.purse
    assert purse is not None
    return purse.wallet.book


def spend(made: Scene, name: str = names.SPEND_USD) -> int:
    """Micro-dollars that /metrics tells of, whoever took them."""
    told = [made.stage.metric(name, provider=provider) for provider in ("first", "second")]
    return round(sum(told) * 1e6)


def settled(made: Scene, cost: int | None = None, unmetered: int = 0) -> bool:
    """Whether the ledger has that cost, the metrics say the same, and nothing is held."""
    lease = book(made)
    assert lease.held == 0
    assert (spend(made), spend(made, names.UNMETERED_USD)) == (lease.spent, lease.unmetered)
    return (lease.spent, lease.unmetered) == (lease.spent if cost is None else cost, unmetered)


def budget(made: Scene, on_exhausted: str, **more: object) -> None:
    made.stage.configure(budget={"onExhausted": on_exhausted, **more})


# -- settling
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("road", PAID, ids=lambda road: road.name)
def test_an_answer_costs_what_it_used(tmp_path: Path, road: Road, stream: bool) -> None:
    good = replies.good_stream if stream else replies.good_whole

    async def story() -> None:
        async with budgeted(tmp_path, road, Script(says=(good(road.upstream),))) as made:
            got = await made.ask(stream=stream)
            assert got.status == 200
            await until(lambda: book(made).held == 0)
            assert settled(made, COST)
            if not stream:
                assert got.headers["x-overspill-cost"] == f"{COST / 1e6:.6f}"

    play(story())


@pytest.mark.parametrize("road", PAID, ids=lambda road: road.name)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_wherever_an_upstream_breaks_off_it_is_settled_once(
    tmp_path: Path, road: Road, stream: bool
) -> None:
    framing = replies.Framing.CHUNKED
    wire = road.upstream
    breaks = replies.stream_breaks(wire) if stream else replies.whole_breaks(wire, framing)

    async def story() -> None:
        for number, one in enumerate(breaks):
            script = Script(says=(one.said,), then=How.RST)
            async with budgeted(tmp_path / str(number), road, script) as made:
                await made.ask(stream=stream)
                await until(lambda made=made: book(made).held == 0)  # type: ignore[misc]
                lease = book(made)
                assert settled(made, unmetered=lease.unmetered), one.place
                if one.outcome is not replies.Outcome.COMPLETE:
                    assert lease.unmetered > COST, one.place  # it may have been charged for

    play(story())


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_a_refusal_costs_nothing(tmp_path: Path, status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\n{{}}".encode()

    async def story() -> None:
        async with budgeted(tmp_path, OPENAI, Script(says=(head,))) as made:
            await made.ask(stream=False)
            assert settled(made, 0 if status == 400 else COST)

    play(story())


def test_a_provider_that_cannot_be_reached_costs_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with budgeted(tmp_path, OPENAI, Script()) as made:
            first, second = made.stage.base["frontier"]
            made.stage.configure(frontier=[{**first, "baseURL": "http://127.0.0.1:1"}, second])
            assert (await made.ask(stream=False)).status == 200
            assert settled(made, COST)

    play(story())


def test_a_provider_without_its_key_costs_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with budgeted(tmp_path, OPENAI, Script()) as made:
            first, second = made.stage.base["frontier"]
            made.stage.configure(frontier=[{**first, "credentialFile": "none"}, second])
            assert (await made.ask(stream=False)).status == 200
            assert settled(made, COST)

    play(story())


def test_a_garbled_answer_may_have_cost_the_most_and_so_may_one_without_usage(
    tmp_path: Path,
) -> None:
    said = json.loads(replies.whole(Wire.OPENAI))
    del said["usage"]
    bodies = {"garbled": b"[", "without": json.dumps(said).encode()}

    async def story() -> None:
        for name, body in bodies.items():
            raw = replies.head(replies.Framing.LENGTH, len(body)) + body
            async with budgeted(tmp_path / name, OPENAI, Script(says=(raw,))) as made:
                got = await made.ask(stream=False)
                worst = book(made).unmetered
                assert worst > COST
                assert settled(made, worst + (COST if name == "garbled" else 0), worst)
                assert got.headers["x-overspill-cost"] == f"{book(made).spent / 1e6:.6f}"

    play(story())


def test_providers_of_different_prices_are_charged_each_at_its_own(tmp_path: Path) -> None:
    async def story() -> None:
        script = Script(says=(b"HTTP/1.1 200 OK\r\n",), then=How.RST)
        async with budgeted(tmp_path, OPENAI, script) as made:
            first, second = made.stage.base["frontier"]
            made.stage.configure(frontier=[{**first, "price": DEAR}, second])
            await made.ask(stream=False)
            dear, cheap = (
                round(made.stage.metric(names.SPEND_USD, provider=one) * 1e6)
                for one in ("first", "second")
            )
            assert cheap == COST
            assert dear > 10 * COST
            assert settled(made, dear + cheap, dear)

    play(story())


@pytest.mark.parametrize("how", [How.FIN, How.RST])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("said", range(5), ids=lambda part: f"{part} quarters")
def test_a_client_that_leaves_has_bought_the_worst_case(
    tmp_path: Path, said: int, stream: bool, how: How
) -> None:
    good = (replies.good_stream if stream else replies.good_whole)(Wire.OPENAI)
    part = good[: len(good) * said // 4 - (20 if said == 4 else 0)]

    async def story() -> None:
        script = Script(says=(part,) if part else (), then=How.STALL)
        async with budgeted(tmp_path, OPENAI, script) as made:
            async with client(made.stage.port) as app:
                await app.say(post(OPENAI.path, asking(stream=stream), OPENAI.headers))
                await until(lambda: made.first.asked)
                app.leave(how)
                await until(lambda: not made.stage.proxy.connections)
            await until(lambda: book(made).held == 0)
            lease = book(made)
            assert lease.spent == lease.unmetered > COST
            assert settled(made, unmetered=lease.unmetered)

    play(story())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("limit", [PLENTY, "0.004"], ids=["rich", "poor"])
def test_whenever_a_client_leaves_each_attempt_is_settled_once(
    tmp_path: Path, stream: bool, limit: str
) -> None:
    """The first provider fails after it was asked; turns of the loop are counted, not time."""

    async def story() -> None:
        script = Script(says=(b"HTTP/1.1 200 OK\r\n",), then=How.RST)
        for turns in range(40):
            folder = tmp_path / str(turns)
            async with budgeted(folder, OPENAI, script, limit=limit) as made:
                async with client(made.stage.port) as app:
                    await app.say(post(OPENAI.path, asking(stream=stream), OPENAI.headers))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    app.leave(How.RST)
                    await until(lambda made=made: not made.stage.proxy.connections)  # type: ignore[misc]
                await until(lambda made=made: book(made).held == 0)  # type: ignore[misc]
                lease = book(made)
                assert settled(made, unmetered=lease.unmetered), turns
                assert lease.spent <= float(limit) * 1e6

    play(story())


# -- what cannot be paid
async def statuses(made: Scene, count: int, *, stream: bool = False) -> list[int]:
    got = await asyncio.gather(*(made.ask(stream=stream) for _ in range(count)))
    return [one.status for one in got]


def worst_of(made: Scene) -> int:
    """The worst case of one request, by what its provider was asked."""
    sent = made.first.asked[-1].body
    return (len(sent) + 512) * 5 + 9 * 25


def test_requests_at_once_do_not_pass_a_budget_that_is_nearly_spent(tmp_path: Path) -> None:
    async def story() -> None:
        good = replies.good_whole(Wire.OPENAI)
        async with budgeted(tmp_path, OPENAI, Script(says=(0.5, good)), limit="0.01") as made:
            budget(made, "Reject")
            made.stage.configure(frontier=made.stage.base["frontier"][:1])
            got = await statuses(made, 12)
            assert got.count(200) == 10_000 // worst_of(made) == 3
            assert got.count(429) == 9
            assert len(made.first.asked) == 3
            assert settled(made, 3 * COST)
            assert await statuses(made, 1) == [200]  # what was not used is there again

    play(story(), patient=True)


@pytest.mark.parametrize("on_exhausted", ["Reject", "Suspend"])
def test_a_spent_budget_refuses_and_says_until_when(tmp_path: Path, on_exhausted: str) -> None:
    async def story() -> None:
        async with budgeted(tmp_path, OPENAI, Script(), limit="0.000001") as made:
            budget(made, on_exhausted)
            got = await made.ask(stream=False)
            assert got.status == 429
            assert json.loads(got.body)["error"]["code"] == "budget_exhausted"
            day_s = 86_400.0
            left_s = day_s - NOON_S % day_s
            assert int(got.headers["retry-after"]) == pytest.approx(left_s, abs=2)
            assert made.first.accepted == made.other.accepted == 0

    play(story())


def test_a_spent_budget_leaves_the_small_tier_open(tmp_path: Path) -> None:
    async def story() -> None:
        small = replies.good_whole(Wire.OPENAI)
        async with budgeted(tmp_path, SMALL, Script(says=(small,)), limit="0.000001") as made:
            async with client(made.stage.port) as app:
                await app.say(post(SMALL.path, asking(stream=False), [("x-priority", "high")]))
                got = await app.answer()
            told = (got.status, got.headers["x-overspill-tier"], got.headers["x-overspill-reason"])
            assert told == (200, "small", "BudgetExhausted; rule=partner")
            plain = await made.ask(stream=False)
            assert (plain.status, plain.headers["x-overspill-tier"]) == (200, "small")
            assert settled(made, 0)

    play(story())


def test_an_overflow_that_cannot_be_paid_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with budgeted(tmp_path, SMALL, Script(), limit="0.000001") as made:
            made.stage.configure(small={**made.stage.base["small"], "endpoints": []})
            got = await made.ask(stream=False)
            assert (got.status, made.other.accepted) == (503, 0)
            assert int(got.headers["retry-after"]) >= 1

    play(story())


def test_a_refused_request_is_no_more_demand_for_the_output_it_might_have_had(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with budgeted(tmp_path, OPENAI, Script()) as made:
            told = []
            for limit in (5_000, 2**62):
                async with client(made.stage.port) as app:
                    body = asking(stream=False, max_tokens=limit, n=10**9)
                    await app.say(post(OPENAI.path, body, OPENAI.headers))
                    assert (await app.answer()).status == 429
                asked_usd = made.stage.metric(names.FRONTIER_ASKED_USD, priority="normal")
                without = made.stage.metric(names.FRONTIER_EQUIVALENT_USD, eligible="false")
                told.append((asked_usd, without))
            for one, two in zip(*told, strict=True):
                assert 0 < two < 2.1 * one < 1

    play(story())


def test_the_pixels_of_a_refused_request_are_no_words(tmp_path: Path) -> None:
    async def story() -> None:
        async with budgeted(tmp_path, OPENAI, Script(), limit="0.000001") as made:
            image = {"type": "image_url", "image_url": {"url": "data:x," + 1_000_000 * "A"}}
            messages = [{"role": "user", "content": [image, {"type": "text", "text": "What?"}]}]
            async with client(made.stage.port) as app:
                body = asking(stream=False, messages=messages)
                await app.say(post(OPENAI.path, body, OPENAI.headers))
                assert (await app.answer()).status == 429
            asked_usd = made.stage.metric(names.FRONTIER_ASKED_USD, priority="normal")
            tokens = asked_usd * 1e6 / float(PRICE["inputPerMTok"])
            assert 1_600 < tokens < 2_000

    play(story())


def test_a_provider_that_costs_less_may_be_paid_where_the_first_may_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with budgeted(tmp_path, OPENAI, Script(), limit="0.01") as made:
            first, second = made.stage.base["frontier"]
            made.stage.configure(frontier=[{**first, "price": DEAR}, second])
            assert await statuses(made, 1) == [200]
            assert made.first.accepted == 0
            assert settled(made, COST)

    play(story())


# -- coming and going
def test_a_budget_comes_and_goes_with_the_configuration(tmp_path: Path) -> None:
    async def story() -> None:
        good = replies.good_whole(Wire.OPENAI)
        async with budgeted(tmp_path, OPENAI, Script(says=(0.5, good))) as made:
            proxy = made.stage.proxy
            under_way = asyncio.create_task(made.ask(stream=False))
            await until(lambda: made.first.asked)
            before, lender = proxy.money.purse, proxy.money.local_lender
            assert before is not None
            lease = before.wallet.book
            proxy.money.local_lender = None
            made.stage.configure()
            assert proxy.money.purse is None
            assert (await under_way).status == 200
            assert (lease.spent, lease.held) == (COST, 0)
            assert await statuses(made, 1) == [200]
            assert lease.spent == COST
            await until(lambda: before.wallet.settled)
            proxy.money.local_lender = lender
            made.stage.configure()
            assert await statuses(made, 1) == [200]
            assert book(made).spent == COST

    play(story(), patient=True)


def test_a_configuration_without_a_change_of_lender_keeps_the_lease(tmp_path: Path) -> None:
    async def story() -> None:
        async with budgeted(
            tmp_path, OPENAI, Script(says=(replies.good_whole(Wire.OPENAI),))
        ) as made:
            await made.ask(stream=False)
            lease = book(made)
            made.stage.configure(generation=2)
            assert book(made) is lease

    play(story())


def test_observing_asks_nobody_for_money(tmp_path: Path) -> None:
    async def story() -> None:
        good = Script(says=(replies.good_whole(Wire.OPENAI),))
        async with budgeted(tmp_path, OPENAI, good, limit="0.000001", mode="Observe") as made:
            assert made.stage.proxy.money.purse is None
            assert await statuses(made, 1) == [200]

    play(story())


@pytest.mark.parametrize("limited", [True, False], ids=["with a budget", "without"])
def test_a_limit_of_output_is_sent_where_a_budget_is_in_force(
    tmp_path: Path, limited: bool
) -> None:
    async def story() -> None:
        good = Script(says=(replies.good_whole(Wire.OPENAI),))
        async with budgeted(tmp_path, OPENAI, good) as made:
            if not limited:
                made.stage.proxy.money.local_lender = None
                made.stage.configure()
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
            async with client(made.stage.port) as app:
                await app.say(post(OPENAI.path, body.encode(), OPENAI.headers))
                assert (await app.answer()).status == 200
            sent = json.loads(made.first.asked[0].body)
            assert sent.get("max_tokens") == (99 if limited else None)

    play(story())


def test_a_lease_is_given_back_on_drain(tmp_path: Path) -> None:
    async def story() -> None:
        good = Script(says=(replies.good_whole(Wire.OPENAI),))
        async with budgeted(tmp_path, OPENAI, good) as made:
            await made.ask(stream=False)
            proxy = made.stage.proxy
            assert proxy.money.purse is not None
            purse = proxy.money.purse
            assert await proxy.drain(5.0)
            await proxy.give_back()
            assert purse.wallet.settled
            lender = proxy.money.local_lender
            assert lender is not None
            assert lender._ledger is not None
            assert lender._ledger.current.committed_usd_micros() == COST

    play(story())


def test_the_lease_is_shown(tmp_path: Path) -> None:
    async def story() -> None:
        good = Script(says=(replies.good_whole(Wire.OPENAI),))
        async with budgeted(tmp_path, OPENAI, good) as made:
            await made.ask(stream=False)
            await made.in_flight()
            ceiling = made.stage.metric(names.LEASE_USD)
            assert ceiling == pytest.approx(book(made).ceiling / 1e6)
            assert made.stage.metric(names.LEASE_SPENT_USD) == pytest.approx(COST / 1e6)

    play(story())


def test_who_could_not_be_asked_for_want_of_money_is_told_beside_who_failed(tmp_path: Path) -> None:
    async def story() -> None:
        async with budgeted(tmp_path, SMALL, Script(), limit="0.000001") as made:
            small = {**made.stage.base["small"], "endpoints": ["127.0.0.1:1"]}
            made.stage.configure(small=small)
            got = await made.ask(stream=False)
            assert got.status == 502
            words = "failed: connect; others were not asked: what is left of the frontier budget"
            assert words in got.body.decode()

    play(story())
