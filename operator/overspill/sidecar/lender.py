"""Asking the operator for leases, over HTTPS."""

from __future__ import annotations

import itertools
import secrets
import ssl
from typing import TYPE_CHECKING, Final

from overspill.api import leases
from overspill.api.errors import InvalidConfig
from overspill.api.leases import LeaseAnswer, LeaseReport, LeaseRequest
from overspill.budget.lease import Grant
from overspill.sidecar.purse import NotAnswered
from overspill.sidecar.upstream import Origin, Pool, UpstreamError
from overspill.wire.document import compact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from overspill.api.sidecar_config import LenderConfig
    from overspill.budget.lease import Report

ANSWER_S: Final = 5.0
_SAID_BYTES: Final = 300


class RemoteLender:
    """The lease service of one operator. Raises: NotAnswered."""

    def __init__(self, config: LenderConfig, policy: str, folder: Path) -> None:
        self._policy = policy
        self._token = folder / config.token_file
        self._origin = Origin.of(config.url)
        tls = None
        if self._origin.tls:
            tls = ssl.create_default_context(cadata=config.ca_certificate)
        self._pool = Pool(tls)

    async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
        """Send reports; return what was granted."""
        told = LeaseRequest(policy=self._policy, reports=tuple(_worded(one) for one in reports))
        try:
            response = await self._pool.post(
                self._origin,
                self._head(),
                compact(told.to_json()),
                deadline_s=self._pool.now_s() + ANSWER_S,
            )
            said = await response.read_all()
        except UpstreamError as error:
            raise NotAnswered(f"{self._origin.authority}: {error}") from None
        if response.status != 200:
            words = said[:_SAID_BYTES].decode(errors="replace")
            raise NotAnswered(f"{self._origin.authority} answered {response.status}: {words}")
        try:
            answer = leases.read(LeaseAnswer, said)
        except InvalidConfig as error:
            raise NotAnswered(f"{self._origin.authority}: {error}") from None
        return tuple(_granted(one) for one in answer.grants)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()

    def _head(self) -> bytes:
        try:
            token = self._token.read_text().strip()
        except OSError as error:
            raise NotAnswered(
                f"{self._token} cannot be read ({error.strerror}); restart the pod, so that it is "
                "injected with a token"
            ) from None
        lines = [
            f"POST {leases.PATH} HTTP/1.1",
            f"host: {self._origin.authority}",
            f"authorization: Bearer {token}",
            "content-type: application/json",
            "",
        ]
        return "\r\n".join(lines).encode("latin-1")


def lease_names() -> Callable[[], str]:
    """Return what names one lease after the other; no two processes name one alike."""
    start, numbers = secrets.token_hex(8), itertools.count(1)
    return lambda: f"{start}-{next(numbers)}"


def _worded(one: Report) -> LeaseReport:
    return LeaseReport(
        lease=one.lease,
        seq=one.seq,
        spent_usd_micros=one.spent_usd_micros,
        keep_usd_micros=one.keep_usd_micros,
        need_usd_micros=one.need_usd_micros,
        want_usd_micros=one.want_usd_micros,
        least_usd_micros=one.least_usd_micros,
        unmetered_usd_micros=one.unmetered_usd_micros,
        purpose=one.purpose,
        final=one.final,
    )


def _granted(one: leases.LeaseGrant) -> Grant:
    return Grant(
        lease=one.lease,
        seq=one.seq,
        ceiling_usd_micros=one.ceiling_usd_micros,
        life_s=one.life_seconds,
        last=one.last,
        over=one.over,
        scarce=one.scarce,
        exhausted=one.exhausted,
        resets_in_s=one.resets_in_seconds,
        admit_from=one.admit_from,
    )
