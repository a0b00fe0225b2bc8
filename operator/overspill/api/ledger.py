"""`BudgetLedger`: what a policy's sidecars were granted and have spent. The operator writes it.

It is named like its policy and owned by nobody, so that a policy that is deleted and made again
goes on with what it has spent.
"""

from __future__ import annotations

from pydantic import Field

from overspill.api.base import Model, Quantity

KIND = "BudgetLedger"
PLURAL = "budgetledgers"
SINGULAR = "budgetledger"
SHORT_NAME = "bl"


class LeaseRecord(Model):
    """One sidecar's share of a period."""

    lease: str
    pod: str
    seq: int
    ceiling_usd_micros: int = Field(description="What it may cost in the end.")
    spent_usd_micros: int = Field(description="What its sidecar has settled.")
    unmetered_usd_micros: int = Field(
        default=0, description="Of that: charged at worst case, because no usage was told."
    )
    purpose: str = ""
    expires_at_s: int = Field(description="Unix time after which a silent lease counts as spent.")
    closed: bool = False


class PastRecord(Model):
    """Leases that are no longer kept one by one."""

    purpose: str = ""
    settled_usd_micros: int = 0
    lost_usd_micros: int = Field(default=0, description="Granted, and never accounted for.")
    unmetered_usd_micros: int = 0


class AccountRecord(Model):
    """One period's money."""

    period_start: str
    period_end: str
    refused_usd_micros: int = Field(
        default=0, description="The cheapest request that could not be paid any more; 0 for none."
    )
    refused_from_s: int = Field(
        default=0, description="Unix time of the first such request since the last grant."
    )
    refused_to_s: int = Field(default=0, description="And of the last.")
    past: tuple[PastRecord, ...] = ()
    leases: tuple[LeaseRecord, ...] = Field(
        default=(), json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )


class LedgerRecord(Model):
    """Everything in a BudgetLedger beside its metadata."""

    limit_usd: Quantity = Field(description="The policy's limit at the last grant.")
    spent_usd: Quantity = Field(description="Spent in the current period, as of the last write.")
    current: AccountRecord
    previous: AccountRecord | None = None
