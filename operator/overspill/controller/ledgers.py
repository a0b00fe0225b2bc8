"""Ledgers as the API server keeps them. Pure: a ledger to a manifest and back."""

from __future__ import annotations

from dataclasses import asdict
from math import ceil
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from overspill import api
from overspill.api import ledger as kinds
from overspill.api.errors import InvalidConfig, sentences
from overspill.api.ledger import AccountRecord, LeaseRecord, LedgerRecord, PastRecord
from overspill.budget.account import Account, Past
from overspill.budget.lease import Lease
from overspill.budget.ledger import Ledger
from overspill.budget.money import usd
from overspill.budget.period import Period
from overspill.controller.times import timestamp, unix_s

if TYPE_CHECKING:
    from overspill.controller.keys import Manifest, PolicyKey

_OBJECT: Final = frozenset({"apiVersion", "kind", "metadata"})


def manifest_of(
    key: PolicyKey,
    ledger: Ledger,
    *,
    limit_usd_micros: int,
    now_s: float,
    before: Manifest | None = None,
) -> Manifest:
    """Write a ledger down; with `before`, as the next version of exactly that object."""
    record = LedgerRecord(
        limit_usd=usd(limit_usd_micros),
        spent_usd=usd(ledger.current.spent_usd_micros(now_s)),
        current=_account(ledger.current),
        previous=_account(ledger.previous) if ledger.previous else None,
    )
    fresh = {
        "name": key.name,
        "namespace": key.namespace,
        "labels": {"app.kubernetes.io/managed-by": "overspill"},
    }
    return {
        "apiVersion": api.API_VERSION,
        "kind": kinds.KIND,
        "metadata": before["metadata"] if before else fresh,
        **record.to_json(),
    }


def ledger_in(manifest: Manifest) -> Ledger:
    """Read a ledger back. Raises: InvalidConfig where somebody else has edited it."""
    told = {name: value for name, value in manifest.items() if name not in _OBJECT}
    try:
        record = LedgerRecord.model_validate(told)
        previous = record.previous
        return Ledger(current=_read(record.current), previous=_read(previous) if previous else None)
    except ValidationError as error:
        raise InvalidConfig("; ".join(sentences(error, "BudgetLedger"))) from None
    except ValueError as error:
        raise InvalidConfig(f"BudgetLedger: {error}") from None


def _account(account: Account) -> AccountRecord:
    return AccountRecord(
        period_start=timestamp(account.period.start_s),
        period_end=timestamp(account.period.end_s),
        refused_usd_micros=account.refused_usd_micros,
        refused_from_s=int(account.refused_from_s),
        refused_to_s=int(account.refused_to_s),
        past=tuple(
            PastRecord(purpose=purpose, **asdict(past)) for purpose, past in account.past.items()
        ),
        leases=tuple(_lease(lease) for lease in account.leases.values()),
    )


def _lease(lease: Lease) -> LeaseRecord:
    return LeaseRecord(
        lease=lease.id,
        pod=lease.pod,
        seq=lease.seq,
        ceiling_usd_micros=lease.ceiling_usd_micros,
        spent_usd_micros=lease.spent_usd_micros,
        unmetered_usd_micros=lease.unmetered_usd_micros,
        purpose=lease.purpose,
        expires_at_s=ceil(lease.expires_s),
        closed=lease.closed,
    )


def _read(record: AccountRecord) -> Account:
    period = Period(start_s=unix_s(record.period_start), end_s=unix_s(record.period_end))
    return Account(
        period=period,
        refused_usd_micros=record.refused_usd_micros,
        refused_from_s=float(record.refused_from_s),
        refused_to_s=float(record.refused_to_s),
        past={past.purpose: Past(**past.model_dump(exclude={"purpose"})) for past in record.past},
        leases={
            one.lease: Lease(
                id=one.lease,
                pod=one.pod,
                seq=one.seq,
                ceiling_usd_micros=one.ceiling_usd_micros,
                spent_usd_micros=one.spent_usd_micros,
                expires_s=float(one.expires_at_s),
                unmetered_usd_micros=one.unmetered_usd_micros,
                purpose=one.purpose,
                closed=one.closed,
            )
            for one in record.leases
        },
    )
