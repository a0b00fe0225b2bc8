"""What every double does around its wire: count, fail as told, notice that a client has gone."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from e2e.models.answering import Died

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiohttp import web

    from e2e.models.answering import Worker
    from e2e.models.ledger import Fault, Ledger


class Tokens(Protocol):
    """A call, as far as it is charged."""

    @property
    def input_tokens(self) -> int:
        """Tokens of the prompt."""

    @property
    def output_tokens(self) -> int:
        """Tokens of the answer."""


class Double(ABC):
    """A model server with a ledger."""

    def __init__(self, *, model: str, worker: Worker, ledger: Ledger, api_key: str = "") -> None:
        self.model, self.worker, self.ledger, self._key = model, worker, ledger, api_key

    @abstractmethod
    def error(self, status: int, message: str) -> web.Response:
        """An error as this provider words it."""

    def note(self, request: web.Request) -> None:
        """A request came in."""
        self.ledger.requests += 1
        self.ledger.last_headers = sorted(name.lower() for name in request.headers)

    async def misbehave(self, request: web.Request) -> tuple[web.Response | None, Fault | None]:
        """Do what the fault says that comes before an answer; return a refusal if it is one."""
        fault = self.ledger.take_fault()
        if fault is None:
            return None, None
        if fault.stall_s:
            await asyncio.sleep(fault.stall_s)
        if fault.refuse:
            assert request.transport
            request.transport.abort()
        if fault.status:
            return self.error(fault.status, "the double was told to fail"), fault
        return None, fault

    async def account(
        self, call: Tokens, answering: Awaitable[web.StreamResponse]
    ) -> web.StreamResponse:
        """Answer, and charge for it; who goes before the end is counted as cancelled."""
        self.ledger.in_flight += 1
        try:
            response = await answering
        except (asyncio.CancelledError, ConnectionError, Died):
            self.ledger.cancelled += 1
            raise
        finally:
            self.ledger.in_flight -= 1
        self.ledger.answered += 1
        self.ledger.charge(call.input_tokens, call.output_tokens)
        return response
