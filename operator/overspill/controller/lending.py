"""Granting leases: read, apply, write by compare-and-swap, and only then answer.

Every replica of the operator lends, leader or not. What waits while a write is under way goes into
the next one, so five hundred sidecars cost a few writes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overspill import api
from overspill.api import InvalidPolicy, parse_policy
from overspill.api import ledger as kinds
from overspill.api.errors import InvalidConfig, OverspillError
from overspill.budget.account import Limits
from overspill.budget.ledger import renew, turned
from overspill.budget.money import usd_micros
from overspill.budget.period import current_period
from overspill.controller import credentials
from overspill.controller.errors import Conflict, NotFound, Unavailable
from overspill.controller.ledgers import ledger_in, manifest_of
from overspill.controller.pacing import saved_admit_from
from overspill.controller.spend import saved_usd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from overspill.api.policy import Budget
    from overspill.budget.lease import Grant, Report
    from overspill.budget.ledger import Ledger
    from overspill.budget.period import Period
    from overspill.controller.credentials import Bearer
    from overspill.controller.keys import Manifest, PolicyKey
    from overspill.controller.kube import Api

TRIES: Final = 8
"""Of one write: a rival replica can win some of them."""
GATHER_S: Final = 0.01
"""Before a write: what comes meanwhile goes with it."""
log = logging.getLogger(__name__)


class NotLent(OverspillError):
    """There is no such policy, or it has no budget (404)."""


@dataclass(frozen=True, slots=True)
class _Waiter:
    bearer: Bearer
    reports: tuple[Report, ...]
    turn: asyncio.Future[tuple[Grant, ...]]


class Lender:
    """Lends the money of all policies. In one event loop."""

    def __init__(self, client: Api, clock: Callable[[], float] = time.time) -> None:
        self._api, self._clock = client, clock
        self._waiting: dict[PolicyKey, list[_Waiter]] = {}
        self._known: dict[PolicyKey, tuple[Manifest, Ledger]] = {}
        """Ledgers as last read or written: a stale one costs a conflict and no more."""

    async def renew(
        self, key: PolicyKey, bearer: Bearer, reports: Sequence[Report]
    ) -> tuple[Grant, ...]:
        """Renew a sidecar's leases. Raises: NotLent, Foreign, Unavailable, Refused."""
        turn: asyncio.Future[tuple[Grant, ...]] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(bearer, tuple(reports), turn)
        if key in self._waiting:
            self._waiting[key].append(waiter)
        else:
            self._waiting[key] = [waiter]
            task = asyncio.create_task(self._serve(key), name=f"leases of {key}")
            turn.add_done_callback(lambda _: task)  # a task that nobody holds may vanish
        return await turn

    async def _serve(self, key: PolicyKey) -> None:
        """Work off what waits, one write for all that has gathered."""
        while self._waiting[key]:
            await asyncio.sleep(GATHER_S)
            batch, self._waiting[key] = self._waiting[key], []
            try:
                await self._commit(key, batch)
            except Exception as error:
                if not isinstance(error, OverspillError):
                    log.exception("leases of %s", key)
                for waiter in batch:
                    if not waiter.turn.done():
                        waiter.turn.set_exception(_told(error))
        del self._waiting[key]

    async def _commit(self, key: PolicyKey, batch: list[_Waiter]) -> None:
        for _ in range(TRIES):
            policy, budget = await self._policy(key)
            ours = [waiter for waiter in batch if _belongs(waiter, key, policy)]
            if not ours:
                return
            before = self._known.get(key) or await self._read(key)
            known = before[1] if before else None
            now_s = self._clock()
            ledger, grants = self._applied(known, policy, budget, ours, now_s)
            try:
                await self._write(key, before, ledger, usd_micros(budget.limit), now_s)
            except (Conflict, NotFound):
                self._known.pop(key, None)
                continue
            except Unavailable:  # whether it was written, nobody knows
                self._known.pop(key, None)
                raise
            for waiter, granted in zip(ours, grants, strict=True):
                if not waiter.turn.done():
                    waiter.turn.set_result(granted)
            return
        raise Unavailable(f"the ledger of {key} is being written by too many; try again")

    def _applied(
        self,
        known: Ledger | None,
        policy: Manifest,
        budget: Budget,
        batch: list[_Waiter],
        now_s: float,
    ) -> tuple[Ledger, list[tuple[Grant, ...]]]:
        period = current_period(budget, now_s)
        ledger = turned(known, period, _metered(policy, period) if known is None else 0)
        limits = Limits(
            limit_usd_micros=usd_micros(budget.limit),
            admit_from=saved_admit_from(budget, policy.get("status") or {}),
        )
        answers = []
        for waiter in batch:
            ledger, grants = renew(ledger, waiter.reports, limits, now_s)
            answers.append(grants)
        return ledger, answers

    async def _policy(self, key: PolicyKey) -> tuple[Manifest, Budget]:
        """Read the policy itself: what it says now is what binds."""
        path = f"{_folder(key, api.PLURAL)}/{key.name}"
        try:
            policy = await self._api.get(path)
            budget = parse_policy(policy.get("spec")).budget
        except NotFound:
            raise NotLent(f"there is no RoutingPolicy {key}") from None
        except InvalidPolicy as error:
            raise NotLent(f"RoutingPolicy {key} is not valid: {error}") from None
        if budget is None:
            raise NotLent(f"RoutingPolicy {key} has no budget to lend from")
        return policy, budget

    async def _read(self, key: PolicyKey) -> tuple[Manifest, Ledger] | None:
        try:
            manifest = await self._api.get(f"{_folder(key, kinds.PLURAL)}/{key.name}")
        except NotFound:
            return None
        return manifest, ledger_in(manifest)

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
        folder = _folder(key, kinds.PLURAL)
        if old is None:
            written = await self._api.create(folder, fresh)
        else:
            written = await self._api.replace(f"{folder}/{key.name}", fresh)
        self._known[key] = (written, ledger)


def _metered(policy: Manifest, period: Period) -> int:
    """What was spent of the period before there was a ledger, as far as is known."""
    spent = saved_usd(policy.get("status") or {}, period)
    return usd_micros(spent) if spent else 0


def _belongs(waiter: _Waiter, key: PolicyKey, policy: Manifest) -> bool:
    """Turn away whom the policy does not select."""
    try:
        credentials.check(waiter.bearer, key, policy)
    except credentials.Foreign as error:
        if not waiter.turn.done():
            waiter.turn.set_exception(error)
        return False
    return True


def _told(error: Exception) -> OverspillError:
    if isinstance(error, InvalidConfig):
        return Unavailable(f"{error}; delete what was edited in the BudgetLedger")
    if isinstance(error, OverspillError):
        return error
    return Unavailable("internal error of the operator; its log says more")


def _folder(key: PolicyKey, plural: str) -> str:
    return f"/apis/{api.API_VERSION}/namespaces/{key.namespace}/{plural}"
