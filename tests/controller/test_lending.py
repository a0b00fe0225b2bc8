"""Granting leases: written before they are given, by whichever replica is asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from overspill.budget.lease import LIFE_S, Report
from overspill.controller.credentials import Bearer, Foreign
from overspill.controller.errors import Unavailable
from overspill.controller.gathering import NoSuchPolicy
from overspill.controller.keys import POLICY_LABEL
from overspill.controller.ledgers import ledger_in
from overspill.controller.lending import Lender
from tests.controller.api import FakeApi
from tests.controller.fakes import KEY, START_S, resource

if TYPE_CHECKING:
    from overspill.controller.keys import Manifest
    from overspill.controller.kube import Api

BUDGET = {"limit": "500", "period": "Day"}
MINE = Bearer(
    namespace="legal", pod="a", labels={"app": "contracts-api", POLICY_LABEL: "contracts"}
)
POLICY = "/apis/overspill.dev/v1alpha1/namespaces/legal/routingpolicies/contracts"
LEDGERS = "/apis/overspill.dev/v1alpha1/namespaces/legal/budgetledgers"
LEDGER = f"{LEDGERS}/contracts"


@dataclass
class LedgerApi(FakeApi):
    """One policy and its ledger."""

    objects: dict[str, Manifest] = field(default_factory=lambda: {POLICY: resource(budget=BUDGET)})

    @property
    def committed(self) -> int:
        return ledger_in(self.objects[LEDGER]).current.committed_usd_micros()


def _lender(api: LedgerApi, now_s: float = START_S) -> Lender:
    return Lender(cast("Api", api), lambda: now_s)


def _report(lease: str = "a-1", *, seq: int = 1, **others: int) -> Report:
    first = Report(lease=lease, pod="a", seq=seq, spent_usd_micros=0, keep_usd_micros=0)
    changes: dict[str, Any] = {"need_usd_micros": 1_000, **others}
    return replace(first, **changes)


@pytest.mark.asyncio
async def test_a_grant_is_in_the_api_server_before_it_is_given() -> None:
    api = LedgerApi()
    (grant,) = await _lender(api).renew(KEY, MINE, [_report()])
    assert grant.ceiling_usd_micros >= 1_000
    assert grant.life_s == LIFE_S
    assert api.committed == grant.ceiling_usd_micros
    assert api.objects[LEDGER]["limitUsd"] == "500"


@pytest.mark.asyncio
@pytest.mark.parametrize(("pacing", "value"), [("Smooth", 0.4), ("Greedy", 0.0)])
async def test_a_budget_that_is_spread_is_lent_with_the_value_that_binds(
    pacing: str, value: float
) -> None:
    policy = resource(budget={**BUDGET, "pacing": pacing})
    api = LedgerApi(objects={POLICY: policy | {"status": {"pacing": {"admitFrom": 0.4}}}})
    (grant,) = await _lender(api).renew(KEY, MINE, [_report()])
    assert grant.admit_from == value


@pytest.mark.asyncio
async def test_nothing_is_given_that_was_not_written() -> None:
    api = LedgerApi()
    lender = _lender(api)
    await lender.renew(KEY, MINE, [_report()])
    api.down = True
    with pytest.raises(Unavailable):
        await lender.renew(KEY, MINE, [_report(seq=2, keep_usd_micros=1_000)])


@pytest.mark.asyncio
async def test_a_write_that_was_done_and_not_heard_of_is_put_right_by_the_next_report() -> None:
    api = LedgerApi()
    lender = _lender(api)
    api.after_write = Unavailable("the connection broke")
    with pytest.raises(Unavailable):
        await lender.renew(KEY, MINE, [_report()])
    api.after_write = None
    (grant,) = await lender.renew(KEY, MINE, [_report(seq=2)])
    assert api.committed == grant.ceiling_usd_micros


@pytest.mark.asyncio
async def test_two_replicas_grant_no_dollar_twice() -> None:
    api = LedgerApi(objects={POLICY: resource(budget={"limit": "0.01"})})
    lenders = [_lender(api), _lender(api)]
    asked = [
        lenders[n % 2].renew(KEY, MINE, [_report(f"s{n}-1", need_usd_micros=1_500)])
        for n in range(20)
    ]
    grants = [grant for (grant,) in await asyncio.gather(*asked)]
    assert sum(grant.ceiling_usd_micros for grant in grants) == api.committed <= 10_000
    assert sum(grant.ceiling_usd_micros > 0 for grant in grants) == 6


@pytest.mark.asyncio
async def test_500_sidecars_that_ask_at_once_cost_a_few_writes() -> None:
    api = LedgerApi()
    lender = _lender(api)
    asked = [lender.renew(KEY, MINE, [_report(f"s{n}-1")]) for n in range(500)]
    grants = await asyncio.gather(*asked)
    assert len(grants) == 500
    assert api.writes <= 3


@pytest.mark.asyncio
async def test_a_replica_that_knows_an_old_ledger_lends_no_dollar_twice() -> None:
    """What one gave back at the other replica, and somebody else got, is not his any more."""
    api = LedgerApi(objects={POLICY: resource(budget={"limit": "0.0001"})})
    stale, other = _lender(api), _lender(api)
    await stale.renew(KEY, MINE, [_report(need_usd_micros=100)])
    await other.renew(KEY, MINE, [_report(seq=2, keep_usd_micros=50, need_usd_micros=0)])
    await other.renew(KEY, MINE, [_report("b-1", need_usd_micros=50)])
    again = _report(seq=3, keep_usd_micros=50, need_usd_micros=50)
    (grant,) = await stale.renew(KEY, MINE, [again])
    assert grant.ceiling_usd_micros == 50
    assert api.committed <= 100


@pytest.mark.asyncio
async def test_a_lowered_limit_binds_the_next_grant() -> None:
    api = LedgerApi()
    lender = _lender(api)
    await lender.renew(KEY, MINE, [_report()])
    api.objects[POLICY] = resource(budget={"limit": "0.0005"})
    (grant,) = await lender.renew(KEY, MINE, [_report("b-1")])
    assert grant.ceiling_usd_micros == 0


@pytest.mark.asyncio
async def test_trials_get_no_more_than_their_part_of_the_budget() -> None:
    routing = {"complexity": {"qualityFloor": "0.95"}, "trials": {"limit": "0.0005"}}
    api = LedgerApi(objects={POLICY: resource(budget=BUDGET, routing=routing)})
    lender = _lender(api)
    report = replace(_report("t-1", need_usd_micros=400), purpose="trials")
    (first,) = await lender.renew(KEY, MINE, [report])
    (second,) = await lender.renew(KEY, MINE, [replace(report, lease="t-2")])
    (other,) = await lender.renew(KEY, MINE, [_report("a-1", need_usd_micros=400)])
    assert first.ceiling_usd_micros + second.ceiling_usd_micros <= 500
    assert other.ceiling_usd_micros >= 400


@pytest.mark.asyncio
async def test_a_first_ledger_opens_with_what_was_metered_before() -> None:
    policy = resource(budget=BUDGET)
    policy["status"] = {"spend": {"periodStart": "2027-01-15T00:00:00Z", "usd": "12.34"}}
    api = LedgerApi(objects={POLICY: policy})
    (grant,) = await _lender(api).renew(KEY, MINE, [_report()])
    assert api.committed == 12_340_000 + grant.ceiling_usd_micros


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        pytest.param(None, "there is no RoutingPolicy", id="no policy"),
        pytest.param(resource(budget=None), "has no budget", id="no budget"),
        pytest.param(resource(budget={"limit": 5}), "is not valid", id="not valid"),
    ],
)
@pytest.mark.asyncio
async def test_where_there_is_no_budget_nothing_is_lent(policy: Manifest | None, why: str) -> None:
    api = LedgerApi(objects={POLICY: policy} if policy else {})
    with pytest.raises(NoSuchPolicy, match=why):
        await _lender(api).renew(KEY, MINE, [_report()])


@pytest.mark.parametrize(
    "bearer",
    [
        pytest.param(replace(MINE, namespace="other"), id="another namespace"),
        pytest.param(
            replace(MINE, labels={"app": "contracts-api"}), id="a pod without the sidecar"
        ),
        pytest.param(
            replace(MINE, labels={"app": "other", POLICY_LABEL: "contracts"}),
            id="a pod that the policy does not select",
        ),
    ],
)
@pytest.mark.asyncio
async def test_a_pod_of_somebody_else_gets_nothing_and_keeps_nobody_from_his(
    bearer: Bearer,
) -> None:
    api = LedgerApi()
    lender = _lender(api)
    foreign, mine = await asyncio.gather(
        lender.renew(KEY, bearer, [_report("x-1")]),
        lender.renew(KEY, MINE, [_report()]),
        return_exceptions=True,
    )
    assert isinstance(foreign, Foreign)
    assert not isinstance(mine, BaseException)
    assert list(ledger_in(api.objects[LEDGER]).current.leases) == ["a-1"]


@pytest.mark.asyncio
async def test_the_ledger_of_a_policy_that_is_gone_is_not_kept_in_mind() -> None:
    api = LedgerApi()
    lender = _lender(api)
    await lender.renew(KEY, MINE, [_report()])
    del api.objects[POLICY]
    with pytest.raises(NoSuchPolicy):
        await lender.renew(KEY, MINE, [_report(seq=2)])
    assert lender._known == {}


@pytest.mark.asyncio
async def test_a_ledger_that_somebody_deleted_frees_nothing_that_sidecars_still_hold() -> None:
    policy = resource(budget=BUDGET)
    spend = {"periodStart": "2027-01-15T00:00:00Z", "usd": "12.34", "leasedUsd": "400"}
    api = LedgerApi(objects={POLICY: policy | {"status": {"spend": spend}}})
    (grant,) = await _lender(api).renew(KEY, MINE, [_report(need_usd_micros=90_000_000)])
    assert grant.ceiling_usd_micros == 0
    assert api.committed == 412_340_000
