"""What `overspill ledger` prints of a ledger."""

from __future__ import annotations

from overspill.budget.account import Account, Past
from overspill.budget.lease import Lease
from overspill.budget.ledger import Ledger
from overspill.budget.period import Period
from overspill.controller.ledger_command import summary, text

NOW_S = 1_000.0


def _lease(name: str, **others: float | bool) -> Lease:
    values = {"seq": 1, "ceiling_usd_micros": 900_000, "spent_usd_micros": 250_000} | others
    return Lease(id=f"{name}-1", pod=name, **{"expires_s": NOW_S + 60, **values})  # type: ignore[arg-type]


def _ledger() -> Ledger:
    leases = [
        _lease("live"),
        _lease("silent", expires_s=NOW_S - 1),
        _lease("returned", closed=True, ceiling_usd_micros=250_000, unmetered_usd_micros=7),
    ]
    account = Account(
        period=Period(start_s=0, end_s=86_400),
        leases={one.id: one for one in leases},
        past={"": Past(settled_usd_micros=1_000_000, lost_usd_micros=5)},
    )
    return Ledger(current=account, previous=Account(period=Period(start_s=-86_400, end_s=0)))


def test_each_micro_dollar_is_settled_held_or_lost() -> None:
    seen = summary(_ledger(), limit_usd_micros=5_000_000, now_s=NOW_S)
    assert seen["settledUsdMicros"] == 1_750_000
    assert seen["outstandingUsdMicros"] == 650_000
    assert seen["lostUsdMicros"] == 650_005
    assert seen["remainingUsdMicros"] == 5_000_000 - 1_750_000 - 650_000 - 650_005
    assert [one["state"] for one in seen["leases"]] == ["live", "silent", "returned"]


def test_people_read_dollars_to_the_micro_dollar() -> None:
    said = text(summary(_ledger(), limit_usd_micros=1_000_000, now_s=NOW_S))
    assert "settled 1.750000, held 0.650000, lost 0.650005, unmetered 0.000007 USD" in said
    assert "remains  -2.050005 of 1.000000 USD" in said
    assert "period before: settled 0.000000" in said
