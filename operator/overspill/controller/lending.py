"""Granting leases: read, apply, write by compare-and-swap, and only then answer.

Every replica of the operator lends, leader or not. What waits while a write is under way goes into
the next one, so five hundred sidecars cost a few writes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

from overspill.api import ledger as kinds
from overspill.api.errors import InvalidConfig
from overspill.budget.account import Limits
from overspill.budget.ledger import renew, turned
from overspill.budget.money import usd_micros
from overspill.budget.period import current_period
from overspill.budget.purposes import purposes_of
from overspill.controller.errors import Conflict, NotFound, Unavailable
from overspill.controller.gathering import TRIES, Gathering, NoSuchPolicy, Waiter, belonging
from overspill.controller.ledgers import ledger_in, manifest_of
from overspill.controller.pacing import saved_admit_from
from overspill.controller.policies import folder, place, policy_now
from overspill.controller.spend import saved_leased_usd, saved_usd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from overspill.api.policy import Budget
    from overspill.budget.lease import Grant, Report
    from overspill.budget.ledger import Ledger
    from overspill.budget.period import Period
    from overspill.controller.credentials import Bearer
    from overspill.controller.keys import Manifest, PolicyKey
    from overspill.controller.kube import Api

Grants: TypeAlias = "tuple[Grant, ...]"
_Waiter: TypeAlias = "Waiter[tuple[Report, ...], Grants]"


class Lender:
    """Lends the money of all policies. In one event loop."""

    def __init__(self, client: Api, clock: Callable[[], float] = time.time) -> None:
        self._api, self._clock = client, clock
        self._gathering: Gathering[tuple[Report, ...], Grants] = Gathering("leases", self._commit)
        self._known: dict[PolicyKey, tuple[Manifest, Ledger]] = {}
        """Ledgers as last read or written: a stale one costs a conflict and no more."""

    async def renew(self, key: PolicyKey, bearer: Bearer, reports: Sequence[Report]) -> Grants:
        """Renew a sidecar's leases. Raises: NoSuchPolicy, Foreign, Unavailable, Refused."""
        return await self._gathering.ask(key, bearer, tuple(reports))

    async def _commit(self, key: PolicyKey, batch: list[_Waiter]) -> None:
        for _ in range(TRIES):
            try:
                policy, budget, limits = await self._terms(key)
            except NoSuchPolicy:
                self._known.pop(key, None)
                raise
            ours = belonging(batch, key, policy)
            if not ours:
                return
            before = self._known.get(key) or await self._read(key)
            known = before[1] if before else None
            now_s = self._clock()
            ledger, grants = self._applied(known, policy, budget, limits, ours, now_s)
            try:
                await self._write(key, before, ledger, limits.limit_usd_micros, now_s)
            except (Conflict, NotFound):
                self._known.pop(key, None)
                continue
            except Unavailable:  # whether it was written, nobody knows
                self._known.pop(key, None)
                raise
            for waiter, granted in zip(ours, grants, strict=True):
                waiter.answer(granted)
            return
        raise Unavailable(f"the ledger of {key} is being written by too many; try again")

    def _applied(
        self,
        known: Ledger | None,
        policy: Manifest,
        budget: Budget,
        limits: Limits,
        batch: list[_Waiter],
        now_s: float,
    ) -> tuple[Ledger, list[Grants]]:
        period = current_period(budget, now_s)
        ledger = turned(known, period, _metered(policy, period) if known is None else 0)
        answers = []
        for waiter in batch:
            ledger, grants = renew(ledger, waiter.said, limits, now_s)
            answers.append(grants)
        return ledger, answers

    async def _terms(self, key: PolicyKey) -> tuple[Manifest, Budget, Limits]:
        policy, spec = await policy_now(self._api, key)
        if (budget := spec.budget) is None:
            raise NoSuchPolicy(f"RoutingPolicy {key} has no budget to lend from")
        limits = Limits(
            limit_usd_micros=usd_micros(budget.limit),
            purposes=purposes_of(spec.routing.trials),
            admit_from=saved_admit_from(budget, policy.get("status") or {}),
        )
        return policy, budget, limits

    async def _read(self, key: PolicyKey) -> tuple[Manifest, Ledger] | None:
        try:
            manifest = await self._api.get(place(key, kinds.PLURAL))
        except NotFound:
            return None
        try:
            return manifest, ledger_in(manifest)
        except InvalidConfig as error:
            raise Unavailable(f"{error}; delete what was edited in the BudgetLedger") from None

    async def _write(
        self,
        key: PolicyKey,
        before: tuple[Manifest, Ledger] | None,
        ledger: Ledger,
        limit: int,
        now_s: float,
    ) -> None:
        """Write the ledger, even where it says nothing new: only the write shows that what was
        known of it is still so, and that no other replica has lent the same money.
        """
        old = before[0] if before else None
        fresh = manifest_of(key, ledger, limit_usd_micros=limit, now_s=now_s, before=old)
        where = folder(key, kinds.PLURAL)
        if old is None:
            written = await self._api.create(where, fresh)
        else:
            written = await self._api.replace(f"{where}/{key.name}", fresh)
        self._known[key] = (written, ledger)


def _metered(policy: Manifest, period: Period) -> int:
    """What was spent of the period before there was a ledger, as far as is known.

    Leases say that there was one, which somebody deleted: sidecars may still spend from them.
    """
    status = policy.get("status") or {}
    known = (saved_usd(status, period), saved_leased_usd(status, period))
    return sum(usd_micros(usd) for usd in known if usd)
