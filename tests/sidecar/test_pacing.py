"""While a budget is spread over its period: what is worth less tries the small tier first."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from overspill.api.policy import Budget
from overspill.sidecar.lender import LocalLender
from overspill.telemetry import names
from tests.clock import play, until
from tests.sidecar.faulty import Got, client, post
from tests.sidecar.scene import asking
from tests.sidecar.stage import Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overspill.budget.lease import Grant, Report

NOON_S = 1_780_000_000.0
RULES = [
    {
        "name": priority.lower(),
        "when": {"header": {"name": "x-priority", "value": priority.lower()}},
        "tier": "Frontier",
        "priority": priority,
    }
    for priority in ("Low", "Normal", "High")
]


class Spreading(LocalLender):
    """Lends, and says from which value on requests are worth it."""

    admit_from = 0.0

    async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
        """Grant."""
        grants = await super().__call__(reports)
        return tuple(replace(grant, admit_from=self.admit_from) for grant in grants)


@asynccontextmanager
async def spread(folder: Path, admit_from: float, **changes: Any) -> AsyncIterator[Stage]:  # noqa: ANN401
    """A sidecar with a lease that was lent by this value."""
    async with staged(folder) as stage:
        lender = Spreading(Budget(limit="100"), lambda: NOON_S)
        lender.admit_from = admit_from
        stage.proxy.money.local_lender = lender
        stage.configure(rules=RULES, **changes)
        purse = stage.proxy.money.purse
        assert purse
        try:
            await until(lambda: purse.wallet.admit_from == admit_from)
            yield stage
        finally:
            await purse.close()


async def ask(stage: Stage, priority: str, words: str = "hi") -> Got:
    """One request of a rule."""
    body = asking(stream=False, messages=[{"role": "user", "content": words}])
    async with client(stage.port) as app:
        await app.say(post("/v1/chat/completions", body, [("x-priority", priority)]))
        return await app.answer()


def tier(got: Got) -> str:
    return got.headers["x-overspill-tier"]


@pytest.mark.parametrize(
    ("admit_from", "tiers"),
    [
        (0.0, ["frontier", "frontier", "frontier"]),
        (1 / 3, ["small", "frontier", "frontier"]),
        (2 / 3, ["small", "small", "frontier"]),
        (1.0, ["small", "small", "small"]),
    ],
)
def test_low_priorities_give_way_first(tmp_path: Path, admit_from: float, tiers: list[str]) -> None:
    async def story() -> None:
        async with spread(tmp_path, admit_from) as stage:
            got = [await ask(stage, priority) for priority in ("low", "normal", "high")]
            assert [one.status for one in got] == [200, 200, 200]
            assert [tier(one) for one in got] == tiers
            paced = [one for one in got if tier(one) == "small"]
            assert all("BudgetPaced" in one.headers["x-overspill-reason"] for one in paced)

    play(story())


def test_half_of_a_priority_is_half_of_its_conversations_and_each_stays_with_its_tier(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with spread(tmp_path, 0.5) as stage:
            first = [tier(await ask(stage, "normal", f"question {n}")) for n in range(40)]
            assert 10 <= first.count("frontier") <= 30
            again = [tier(await ask(stage, "normal", f"question {n}")) for n in range(40)]
            assert again == first

    play(story())


def test_who_gave_way_goes_to_the_frontier_after_all_where_the_small_tier_has_no_room(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with spread(tmp_path, 1.0) as stage:
            stage.configure(small={**stage.base["small"], "endpoints": []})
            got = await ask(stage, "low")
            assert (got.status, tier(got)) == (200, "frontier")

    play(story())


def test_what_is_asked_of_the_frontier_is_counted_wherever_it_went(tmp_path: Path) -> None:
    async def story() -> None:
        async with spread(tmp_path, 1 / 3) as stage:
            for priority in ("low", "high"):
                await ask(stage, priority)
            low, high, normal = (
                stage.metric(names.FRONTIER_ASKED_USD, priority=priority)
                for priority in ("low", "high", "normal")
            )
            assert low > 0
            assert high > 0
            assert normal == 0
            assert stage.metric(names.WORK_TOKENS) > 0  # the small tier is sized for who gave way
            assert stage.metric(names.OVERFLOW_USD) == 0

    play(story())


def test_what_overflow_costs_is_counted_apart(tmp_path: Path) -> None:
    async def story() -> None:
        async with spread(tmp_path, 0.0) as stage:
            stage.configure(small={**stage.base["small"], "endpoints": []})
            got = await ask(stage, "nobody")
            assert tier(got) == "frontier"
            cost = float(got.headers["x-overspill-cost"])
            assert stage.metric(names.OVERFLOW_USD) == pytest.approx(cost, abs=1e-6)
            assert stage.metric(names.FRONTIER_ASKED_USD, priority="normal") == 0

    play(story())
