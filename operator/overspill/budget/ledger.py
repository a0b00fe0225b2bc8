"""The ledger of one policy: the period that runs, and the one before it.

Pure. Whoever serves renewals reads a ledger, applies reports to it, writes it back by
compare-and-swap, and only then answers; so any number of operators may do it at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from overspill.budget.account import (
    LEASES_KEPT,
    Account,
    Limits,
    informed,
    opened,
    over,
    renewed,
    tidied,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overspill.budget.lease import Grant, Report
    from overspill.budget.period import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Accounts by period. `previous` takes in what requests that ran over the end have cost."""

    current: Account
    previous: Account | None = None


def turned(ledger: Ledger | None, period: Period, spent_usd_micros: int = 0) -> Ledger:
    """Open the account of `period` unless it runs already; never go back to an earlier one.

    Clocks of two operators differ: who is behind goes on with the period that the other began. A
    period whose bounds were edited begins anew with what the running one has committed, so that a
    change of `period` or `timeZone` frees no money.
    """
    if ledger is None:
        return Ledger(current=opened(period, spent_usd_micros))
    now = ledger.current.period
    if period == now or period.end_s <= now.start_s:
        return ledger
    if period.start_s >= now.end_s:
        return Ledger(current=opened(period), previous=ledger.current)
    return replace(ledger, current=replace(ledger.current, period=period))


def renew(
    ledger: Ledger, reports: Iterable[Report], limits: Limits, now_s: float
) -> tuple[Ledger, tuple[Grant, ...]]:
    """Apply reports in order and answer each. `now_s` is Unix time."""
    now_s = max(now_s, ledger.current.period.start_s)
    grants: list[Grant] = []
    for report in reports:
        ledger, grant = _renew(ledger, report, limits, now_s)
        grants.append(grant)
    return _tidied(ledger, now_s), tuple(grants)


def _tidied(ledger: Ledger, now_s: float) -> Ledger:
    """Keep both accounts together as small as one may be: they share an object."""
    current, previous = tidied(ledger.current, now_s), ledger.previous
    if previous is not None:
        previous = tidied(previous, now_s, max(0, LEASES_KEPT - len(current.leases)))
    return Ledger(current=current, previous=previous)


def _renew(ledger: Ledger, report: Report, limits: Limits, now_s: float) -> tuple[Ledger, Grant]:
    before = ledger.previous
    if before is not None and report.lease in before.leases:
        return replace(ledger, previous=informed(before, report)), over(report)
    account, grant = renewed(ledger.current, report, limits, now_s)
    return replace(ledger, current=account), grant
