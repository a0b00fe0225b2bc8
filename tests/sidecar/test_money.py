"""Whose money is spent, by which purse, and what becomes of purses that are used no more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from overspill.api.policy import Budget
from overspill.api.sidecar_config import SidecarConfig
from overspill.budget.purposes import TRIALS
from overspill.sidecar import money as money_module
from overspill.sidecar.lender import LocalLender, RemoteLender
from overspill.sidecar.money import Money
from overspill.sidecar.purse import LEAVE_S
from overspill.sidecar.upstream import FOREVER
from tests.sidecar.replies import Wire
from tests.sidecar.scene import frontier
from tests.virtual_time import play

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.api.sidecar_config import LenderConfig
    from overspill.budget.lease import Grant, Report
    from overspill.sidecar.purse import Reservation

NOON_S = 1_780_000_000.0
OPERATOR = {"url": "https://operator:8443", "caCertificate": "pem"}
MOVED = {"url": "https://elsewhere:8443", "caCertificate": "pem"}
LIMITED = {"graders": ["Match"], "limited": True, "operator": OPERATOR}


@dataclass
class Ledger:
    """What all operators of a test write into, and who of them has been asked."""

    local: LocalLender = field(
        default_factory=lambda: LocalLender(Budget(limit="1"), lambda: NOON_S)
    )
    asked: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    silent: bool = False

    @property
    def committed(self) -> int:
        """Micro-dollars that leases hold or have spent."""
        assert self.local._ledger
        return self.local._ledger.current.committed_usd_micros()


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Stands behind every operator."""
    kept = Ledger()

    class Near(RemoteLender):
        """An operator without a network between."""

        def __init__(self, config: LenderConfig, policy: str, folder: Path) -> None:
            self.made_of = (config, policy, folder)
            self.name = str(config.url)

        async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
            kept.asked.append(self.name)
            kept.reports += reports
            if kept.silent:
                await asyncio.Event().wait()
            return await kept.local(reports)

        def close(self) -> None:
            kept.closed.append(self.name)

    monkeypatch.setattr(money_module, "RemoteLender", Near)
    return kept


def config(lender: dict[str, str] | None = OPERATOR, **changes: Any) -> SidecarConfig:  # noqa: ANN401
    """A sidecar's configuration; nobody lends where the lender is None."""
    small = {
        "model": "glm",
        "contextWindow": 32768,
        "endpoints": [],
        "slotsPerEndpoint": 4,
        "inputTokenWeight": "0.1",
        "firstTokenDeadlineS": 5.0,
    }
    told = {
        "policy": "test/chat",
        "generation": 1,
        "mode": "Enforce",
        "small": small,
        "frontier": [frontier("gpt", Wire.OPENAI, "gpt")],
        "budget": {"lender": lender},
        **changes,
    }
    return SidecarConfig.model_validate(told)


class Spending:
    """A sidecar's money, and how it is spent."""

    def __init__(self, folder: Path, offered_usd_micros: float = 0.0) -> None:
        self.folder = folder
        self.money = Money(asyncio.get_running_loop().time, lambda: offered_usd_micros)

    def use(self, told: SidecarConfig, folder: Path | None = None) -> None:
        self.money.use(self.money.prepare(told, folder or self.folder))

    async def reserve(self, worst_usd_micros: int = 1_000, purpose: str = "") -> Reservation:
        used = self.money._used
        purse = used.trials if purpose else used.main
        assert purse
        reserved = await purse.reserve(worst_usd_micros, FOREVER)
        assert reserved
        return reserved


# -- who has one
@pytest.mark.parametrize(
    ("told", "main", "trials"),
    [
        pytest.param(config(), True, False, id="a budget"),
        pytest.param(config(None), False, False, id="none"),
        pytest.param(config(mode="Observe"), False, False, id="only observed"),
        pytest.param(config(trials=LIMITED), True, True, id="trials of their own"),
        pytest.param(
            config(trials={**LIMITED, "limited": False}), True, False, id="trials like all else"
        ),
        pytest.param(
            config(trials={**LIMITED, "operator": None}), True, False, id="trials nobody hears of"
        ),
        pytest.param(config(None, trials=LIMITED), False, False, id="trials, and nobody lends"),
    ],
)
def test_each_purpose_that_money_is_lent_for_has_a_purse(
    tmp_path: Path, ledger: Ledger, told: SidecarConfig, main: bool, trials: bool
) -> None:
    async def story() -> None:
        spending = Spending(tmp_path)
        purses = spending.money.prepare(told, tmp_path)
        found = (purses.main is not None, purses.trials is not None, purses.lender is not None)
        assert found == (main, trials, main)
        assert len(purses.each()) == main + trials
        await asyncio.sleep(1.0)
        assert spending.money.purse is None  # not used yet, and nobody is asked
        assert not ledger.asked

    play(story())


def test_each_purse_asks_for_its_own_purpose_and_tells_what_all_would_have_cost(
    tmp_path: Path, ledger: Ledger
) -> None:
    async def story() -> None:
        spending = Spending(tmp_path, offered_usd_micros=5e6)
        spending.use(config(trials=LIMITED))
        for purpose in ("", TRIALS):
            (await spending.reserve(1_000, purpose)).settle(300)
        await asyncio.sleep(60.0)
        spare = {report.purpose: report.spare_usd_micros for report in ledger.reports}
        assert spare[""] > 1_000 > spare[TRIALS]  # the traffic is of one of them
        await spending.money.close()
        assert ledger.committed == 600

    play(story())


def test_where_no_operator_lends_one_in_the_process_may(tmp_path: Path, ledger: Ledger) -> None:
    async def story() -> None:
        spending = Spending(tmp_path)
        spending.money.local_lender = ledger.local
        spending.use(config(None))
        (await spending.reserve()).settle(300)
        assert not ledger.asked
        await spending.money.close()
        assert ledger.committed == 300

    play(story())


# -- another configuration
def test_purses_their_leases_and_who_lends_go_on_where_nothing_of_them_changed(
    tmp_path: Path, ledger: Ledger
) -> None:
    async def story() -> None:
        spending = Spending(tmp_path)
        spending.use(config(trials=LIMITED))
        before = spending.money._used
        spending.use(config(trials=LIMITED, generation=2))
        assert spending.money._used == before
        assert not spending.money._retiring
        assert not ledger.closed
        await spending.money.close()

    play(story())


@pytest.mark.parametrize(
    ("told", "elsewhere"),
    [
        pytest.param(config(MOVED), False, id="another address"),
        pytest.param(config(policy="test/other"), False, id="another policy"),
        pytest.param(config(), True, id="another folder of tokens"),
    ],
)
def test_another_lender_is_asked_from_then_on_for_the_same_leases(
    tmp_path: Path, ledger: Ledger, told: SidecarConfig, elsewhere: bool
) -> None:
    async def story() -> None:
        spending = Spending(tmp_path)
        spending.use(config())
        reserved = await spending.reserve()
        purse, lender = spending.money.purse, spending.money._used.lender
        spending.use(told, tmp_path / "other" if elsewhere else None)
        assert spending.money.purse is purse
        assert spending.money._used.lender is not lender
        assert ledger.closed == [OPERATOR["url"]]
        assert purse
        assert purse.ask_lender is spending.money._used.lender
        reserved.settle(300)
        await spending.money.close()
        assert told.budget.lender
        assert ledger.asked[-1] == str(told.budget.lender.url)
        assert ledger.committed == 300

    play(story())


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(config(None), id="no budget"),
        pytest.param(config(mode="Observe"), id="Observe"),
    ],
)
def test_a_purse_that_is_used_no_more_gives_back_what_it_holds_and_the_rest_in_the_end(
    tmp_path: Path, ledger: Ledger, told: SidecarConfig
) -> None:
    async def story() -> None:
        spending = Spending(tmp_path)
        spending.use(config())
        reserved = await spending.reserve()
        spending.use(told)
        assert spending.money.purse is None
        await asyncio.sleep(1.0)
        assert ledger.committed == 1_000  # what the request under way may cost, and no more
        assert len(spending.money._retiring) == 1
        reserved.settle(300)
        await asyncio.sleep(1.0)
        assert ledger.committed == 300
        assert not spending.money._retiring

    play(story())


def test_the_purse_of_trials_alone_may_go(tmp_path: Path, ledger: Ledger) -> None:
    async def story() -> None:
        spending = Spending(tmp_path)
        spending.use(config(trials=LIMITED))
        await spending.reserve(1_000)
        await spending.reserve(2_000, TRIALS)
        main = spending.money.purse
        spending.use(config())
        assert (spending.money.purse, spending.money._used.trials) == (main, None)
        await asyncio.sleep(1.0)
        (leaving,) = [one for one in ledger.reports if one.purpose == TRIALS][-1:]
        assert (leaving.keep_usd_micros, leaving.want_usd_micros) == (2_000, 0)
        await spending.reserve()
        await spending.money.close()

    play(story())


def test_a_purse_that_goes_gives_back_to_whoever_lends_by_then(
    tmp_path: Path, ledger: Ledger
) -> None:
    """The one before may have gone, or show a certificate that is trusted no more."""

    async def story() -> None:
        spending = Spending(tmp_path)
        spending.use(config(trials=LIMITED))
        reserved = await spending.reserve(2_000, TRIALS)
        spending.use(config())
        await asyncio.sleep(1.0)
        spending.use(config(MOVED))
        ledger.asked.clear()
        reserved.settle(300)
        await asyncio.sleep(1.0)
        assert set(ledger.asked) == {MOVED["url"]}
        assert not spending.money._retiring
        await spending.money.close()
        assert ledger.committed == 300

    play(story())


# -- leaving
def test_who_leaves_gives_all_back_and_lets_go_of_its_lender(
    tmp_path: Path, ledger: Ledger
) -> None:
    async def story() -> None:
        spending = Spending(tmp_path)
        spending.use(config(trials=LIMITED))
        for purpose in ("", TRIALS):
            (await spending.reserve(1_000, purpose)).settle(300)
        await spending.money.close()
        assert ledger.committed == 600
        assert len(ledger.closed) == 1
        assert spending.money.purse is None
        before = len(ledger.asked)
        await asyncio.sleep(60.0)
        assert len(ledger.asked) == before

    play(story())


def test_who_leaves_waits_a_moment_for_purses_that_were_to_go_already(
    tmp_path: Path, ledger: Ledger
) -> None:
    async def story() -> None:
        spending, now_s = Spending(tmp_path), asyncio.get_running_loop().time
        spending.use(config())
        reserved = await spending.reserve()
        spending.use(config(None))
        await asyncio.sleep(1.0)
        began_s = now_s()
        asyncio.get_running_loop().call_later(0.5, reserved.settle, 300)
        await spending.money.close()
        assert now_s() - began_s == 0.5
        assert ledger.committed == 300

    play(story())


def test_who_leaves_waits_no_longer_than_that(tmp_path: Path, ledger: Ledger) -> None:
    async def story() -> None:
        spending, now_s = Spending(tmp_path), asyncio.get_running_loop().time
        spending.use(config())
        await spending.reserve()
        spending.use(config(None))
        ledger.silent = True
        began_s = now_s()
        await spending.money.close()
        assert now_s() - began_s == LEAVE_S

    play(story())


def test_who_never_had_money_has_nothing_to_give_back(tmp_path: Path, ledger: Ledger) -> None:
    async def story() -> None:
        spending = Spending(tmp_path)
        spending.use(config(None))
        await spending.money.close()
        assert not ledger.asked
        assert not ledger.closed

    play(story())
