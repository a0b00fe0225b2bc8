"""Who lends: the operator, over HTTPS; or, without one, the same ledger in this process."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import ssl
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
from overspill.sidecar.purse import NotAnswered
from overspill.sidecar.upstream import Origin, Pool, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from overspill.api.policy import Budget
    from overspill.api.sidecar_config import LenderConfig

AT_ONCE: Final = 16
"""Reports in one message."""
ANSWER_S: Final = 5.0
"""The longest that an answer may take."""
ASK_AGAIN_S: Final = (0.7, 1.4)
"""After so long without an answer, another replica is asked too. A connection to a pod that has
vanished says nothing, and a report that comes twice is answered as before."""
WORDS_SHOWN: Final = 300
"""Of an error that is not ours."""


class RemoteLender:
    """The operator, as a sidecar of one policy asks it."""

    def __init__(self, config: LenderConfig, policy: str, folder: Path) -> None:
        """Raises: ValueError where the certificate is none."""
        self.made_of = (config, policy, folder)
        url = str(config.url).rstrip("/")
        self._origin, trust = Origin.of(url), None
        try:
            if self._origin.tls:
                trust = ssl.create_default_context(cadata=config.ca_certificate)
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(f"budget.lender.caCertificate is not PEM: {error}") from None
        self._path = url.partition("://")[2].partition("/")[2]
        self._policy, self._token = policy, folder / config.token_file
        self._pool, self._now_s = Pool(trust), asyncio.get_running_loop().time

    async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
        """Send reports and return the grants. Raises: NotAnswered."""
        told = tuple(map(_told, reports[-AT_ONCE:]))  # older ones are told of next time
        body = LeaseRequest(policy=self._policy, reports=told)
        raw = body.model_dump_json(by_alias=True, exclude_none=True).encode()
        status, answer = await self._first_answer(self._head(), raw)
        if status != 200:
            raise NotAnswered(f"{self._origin.authority}: {status}, {_words(answer)}")
        try:
            return tuple(Grant(**one.model_dump()) for one in read(LeaseAnswer, answer).grants)
        except InvalidConfig as error:
            raise NotAnswered(f"{self._origin.authority}: {error}") from None

    async def _first_answer(self, head: bytes, raw: bytes) -> tuple[int, bytes]:
        """Ask, again where nothing comes or a connection fails, and take what comes first."""
        deadline_s = self._now_s() + ANSWER_S
        patience_s = list(ASK_AGAIN_S)
        asking = {asyncio.create_task(self._ask(head, raw, deadline_s))}
        trouble: BaseException | None = None
        try:
            while asking:
                ended, asking = await asyncio.wait(
                    asking,
                    timeout=patience_s[0] if patience_s else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for one in ended:
                    trouble = one.exception()
                    if not isinstance(trouble, UpstreamError):
                        return one.result()
                if patience_s:
                    del patience_s[0]
                    asking.add(asyncio.create_task(self._ask(head, raw, deadline_s)))
        finally:
            for task in asking:
                task.cancel()
        raise NotAnswered(f"{self._origin.authority}: {trouble}")

    async def _ask(self, head: bytes, raw: bytes, deadline_s: float) -> tuple[int, bytes]:
        response = await self._pool.post(self._origin, head, raw, deadline_s=deadline_s)
        async with response:
            return response.status, await response.read_all()

    def _head(self) -> bytes:
        path = f"/{self._path}".rstrip("/") + PATH
        lines = (
            f"POST {path} HTTP/1.1",
            f"host: {self._origin.authority}",
            f"authorization: Bearer {self._read_token()}",
            "content-type: application/json",
            "",
        )
        return "\r\n".join(lines).encode("latin-1")

    def _read_token(self) -> str:
        """Read it anew: the kubelet renews it."""
        try:
            token = self._token.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NotAnswered(f"{self._token} cannot be read: {error}") from None
        if not token or not token.isascii() or not token.isprintable():
            raise NotAnswered(f"{self._token} holds no token")
        return token

    def close(self) -> None:
        """Let its connections go."""
        self._pool.close()


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


def _words(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer[:WORDS_SHOWN].decode("latin-1")
