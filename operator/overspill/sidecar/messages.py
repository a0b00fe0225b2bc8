"""Anthropic's own wire at the door: passed on to providers that speak it, metered on the way.

The small tier does not answer this wire yet, so such requests are the frontier's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overspill.routing.decide import Facts, Reason, Route, Tier
from overspill.sidecar.attempt import PASSED_ON, Opened, open_messages
from overspill.sidecar.exchange import Exchange
from overspill.wire import sse
from overspill.wire.anthropic import read_messages
from overspill.wire.errors import BadRequest, anthropic_error
from overspill.wire.usage import Usage

if TYPE_CHECKING:
    from overspill.sidecar.runtime import Provider
    from overspill.wire.openai import ChatRequest

MESSAGES = "/v1/messages"
COUNT_TOKENS = "/count_tokens"


class MessagesExchange(Exchange):
    """Answers one Messages request."""

    passed_on = (*PASSED_ON, "anthropic-version", "anthropic-beta")

    def _read(self) -> ChatRequest:
        if not self._providers():
            raise BadRequest(
                "no provider of this policy speaks Anthropic; use /v1/chat/completions"
            )
        return read_messages(bytes(self._request.body))

    def _decide(self, facts: Facts) -> Route:
        if self._runtime.terms.frontier_open:
            return Route(tier=Tier.FRONTIER, reason=Reason.ANTHROPIC_WIRE, eligible=False)
        return Route(
            tier=Tier.NONE, reason=Reason.BUDGET_EXHAUSTED, eligible=False, may_overflow=False
        )

    def _providers(self) -> tuple[Provider, ...]:
        return tuple(provider for provider in self._runtime.providers if provider.anthropic)

    async def _ask_frontier(self, provider: Provider, chat: ChatRequest) -> Opened:
        suffix = self._request.path.removeprefix(MESSAGES)
        opened = await open_messages(self._proxy.pool, provider, chat, suffix, self._passed_on())
        if suffix == COUNT_TOKENS:
            opened.usage = Usage()  # counting is free
        return opened

    def _worded(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> bytes:
        return anthropic_error(status, message)

    def _status(self, status: int) -> int:
        return status

    def _error_event(self, body: bytes) -> bytes:
        return sse.event(body, "error")
