"""Who lends: the operator, over HTTPS; or, without one, the same ledger in this process."""

from __future__ import annotations

import itertools
import secrets
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from overspill.api.errors import InvalidConfig
from overspill.api.leases import (
    PATH,
    LeaseAnswer,
    LeaseReport,
    LeaseRequest,
    read,
)
from overspill.budget.account import Limits
from overspill.budget.lease import Grant, Report
from overspill.budget.ledger import Ledger, renew, turned
from overspill.budget.money import usd_micros
from overspill.budget.period import current_period
from overspill.sidecar.link import Link, NotAnswered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from overspill.api.policy import Budget
    from overspill.api.sidecar_config import LenderConfig

AT_ONCE: Final = 16
"""Reports in one message."""


class RemoteLender:
    """The operator, as a sidecar of one policy asks it for money."""

    def __init__(self, config: LenderConfig, policy: str, folder: Path) -> None:
        """Raises: ValueError where the certificate is none."""
        self.made_of = (config, policy, folder)
        self._link, self._policy = Link(config, folder), policy

    async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
        """Send reports and return the grants. Raises: NotAnswered."""
        told = tuple(map(_told, reports[-AT_ONCE:]))  # older ones are told of next time
        body = LeaseRequest(policy=self._policy, reports=told)
        answer = await self._link.post(
            PATH, body.model_dump_json(by_alias=True, exclude_none=True).encode()
        )
        try:
            return tuple(Grant(**one.model_dump()) for one in read(LeaseAnswer, answer).grants)
        except InvalidConfig as error:
            raise NotAnswered(f"{self._link.name}: {error}") from None

    def close(self) -> None:
        """Let its connections go."""
        self._link.close()


class LocalLender:
    """A ledger in memory, for a sidecar alone. It forgets everything with its process."""

    def __init__(self, budget: Budget, unix_s: Callable[[], float] = time.time) -> None:
        self._budget, self._unix_s = budget, unix_s
        self._ledger: Ledger | None = None

    async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
        """Apply reports and return the grants."""
        now_s = self._unix_s()
        ledger = turned(self._ledger, current_period(self._budget, now_s))
        limits = Limits(limit_usd_micros=usd_micros(self._budget.limit))
        self._ledger, grants = renew(ledger, reports, limits, now_s)
        return grants

    def close(self) -> None:
        """Nothing is held."""


def lease_names() -> Callable[[], str]:
    """Return what names leases: unlike any other sidecar's, or our own before a restart."""
    process, numbers = secrets.token_hex(8), itertools.count(1)
    return lambda: f"{process}-{next(numbers)}"


def _told(report: Report) -> LeaseReport:
    fields = asdict(report)
    del fields["pod"]  # the token says that
    try:
        return LeaseReport(**fields)
    except ValidationError as error:
        raise NotAnswered(f"a report that cannot be sent: {error}") from None
