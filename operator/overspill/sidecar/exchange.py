"""One request from its body to its last byte: route it, try upstreams in order, relay, count."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from overspill.routing.decide import Facts, Reason, Route, Tier, decide
from overspill.sidecar.attempt import PASSED_ON, AttemptFailed, Opened, open_frontier, open_small
from overspill.sidecar.http import JSON
from overspill.sidecar.tally import Tally
from overspill.sidecar.upstream import UpstreamError
from overspill.telemetry import names
from overspill.wire import from_anthropic, sse
from overspill.wire.errors import BadRequest, message_in, openai_error
from overspill.wire.openai import read_chat
from overspill.wire.usage import cost_usd_micros

if TYPE_CHECKING:
    from overspill.sidecar.http import Answer, Headers, Request
    from overspill.sidecar.proxy import Proxy
    from overspill.sidecar.runtime import Provider, Runtime
    from overspill.wire.openai import ChatRequest

EVENT_STREAM: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]
SHED_OUTPUT_TOKENS: Final = 256
BUSY_RETRY_S: Final = 1
log = logging.getLogger(__name__)


class Exchange:
    """Answers one chat completion."""

    passed_on: tuple[str, ...] = PASSED_ON

    def __init__(self, proxy: Proxy, runtime: Runtime, request: Request, answer: Answer) -> None:
        self._proxy, self._runtime = proxy, runtime
        self._request, self._answer = request, answer
        self._began_s = proxy.now_s()
        self._reason = Reason.SMALL_FITS
        self._rule = ""
        self._last: AttemptFailed | None = None
        self._asked: tuple[Tier, Provider | None] = (Tier.NONE, None)

    async def run(self) -> None:
        """Answer it."""
        try:
            await self._route(self._read())
        except BadRequest as error:
            body = self._worded(400, error.message, param=error.param)
            self._answer.send(400, body, [*JSON, *self._told(Tier.NONE)])

    # -- the client's protocol; MessagesExchange speaks another
    def _read(self) -> ChatRequest:
        return read_chat(bytes(self._request.body))

    def _decide(self, facts: Facts) -> Route:
        return decide(facts, self._runtime.terms)

    def _providers(self) -> tuple[Provider, ...]:
        return self._runtime.providers

    async def _ask_frontier(self, provider: Provider, chat: ChatRequest) -> Opened:
        return await open_frontier(self._proxy.pool, provider, chat, self._passed_on())

    def _worded(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> bytes:
        return openai_error(status, message, param=param, code=code)

    def _status(self, status: int) -> int:
        return from_anthropic.STATUS.get(status, status)

    def _error_event(self, body: bytes) -> bytes:
        return sse.event(body)

    # -- routing
    async def _route(self, chat: ChatRequest) -> None:
        facts = Facts(
            model=chat.model,
            input_tokens=chat.input_tokens,
            max_tokens=chat.max_tokens,
            header=self._request.header,
        )
        route = self._decide(facts)
        self._reason, self._rule = route.reason, route.rule
        tally = Tally(
            self._proxy.metrics,
            self._runtime,
            eligible=route.eligible,
            input_estimate=chat.input_tokens,
        )
        try:
            opened = await self._open(chat, route)
        except asyncio.CancelledError:
            # The client left before the first byte; who was asked may have begun, and charges.
            tally.settle(None, self._asked[0], self._asked[1], "cancelled")
            raise
        if opened is None:
            self._refuse(route, tally, chat)
            return
        await self._relay(opened, chat, tally)

    # -- who answers
    async def _open(self, chat: ChatRequest, route: Route) -> Opened | None:
        runtime = self._runtime
        if runtime.observing:
            self._decided(route.tier)
            return await self._open_frontier(chat)
        if route.tier is Tier.NONE:
            self._decided(Tier.NONE)
            return None
        if route.tier is Tier.SMALL:
            if opened := await self._open_small(chat, route):
                self._decided(Tier.SMALL)
                return opened
            if not route.may_overflow or (self._last and self._last.final):
                self._decided(Tier.NONE)
                return None
        self._decided(Tier.FRONTIER)
        return await self._open_frontier(chat)

    async def _open_small(self, chat: ChatRequest, route: Route) -> Opened | None:
        """Try endpoints, least loaded first, until one answers or none is left."""
        capacity, tried = self._proxy.capacity, set[str]()
        while True:
            now_s = self._proxy.now_s()
            address = capacity.acquire(now_s, tried)
            if address is None:
                if not tried:
                    healthy = capacity.has_healthy(now_s)
                    self._reason = Reason.SLOTS_FULL if healthy else Reason.NO_ENDPOINTS
                return None
            tried.add(address)
            self._asked = (Tier.SMALL, None)
            try:
                opened = await self._ask_small(address, chat, may_spill=route.may_overflow)
            except BaseException:
                capacity.release(address)
                raise
            if opened is not None:
                capacity.succeeded(address)
                opened.release = partial(capacity.release, address)
                return opened
            capacity.release(address)
            if self._reason is Reason.FIRST_TOKEN_DEADLINE or (self._last and self._last.final):
                return None

    async def _ask_small(
        self, address: str, chat: ChatRequest, *, may_spill: bool
    ) -> Opened | None:
        deadline_s = self._runtime.config.small.first_token_deadline_s
        try:
            async with self._proxy.timeout(deadline_s if may_spill and chat.stream else None):
                return await open_small(
                    self._proxy.pool, self._runtime, address, chat, self._passed_on()
                )
        except TimeoutError:
            self._reason = Reason.FIRST_TOKEN_DEADLINE
            self._error(Tier.SMALL, "", "deadline")
        except AttemptFailed as failure:
            self._last = failure
            if not failure.final:
                self._reason = Reason.SMALL_FAILED
                self._proxy.capacity.failed(address, self._proxy.now_s())
                self._error(Tier.SMALL, "", failure.kind)
        return None

    async def _open_frontier(self, chat: ChatRequest) -> Opened | None:
        for provider in self._providers():
            self._asked = (Tier.FRONTIER, provider)
            try:
                return await self._ask_frontier(provider, chat)
            except AttemptFailed as failure:
                self._last = failure
                self._error(Tier.FRONTIER, provider.name, failure.kind)
                if failure.final:
                    return None
        return None

    # -- what the client gets
    async def _relay(self, opened: Opened, chat: ChatRequest, tally: Tally) -> None:
        outcome = "failed"
        try:
            self._observe(names.TTFT_SECONDS, opened.tier)
            if opened.stream is None:
                self._send_whole(opened)
                outcome = "answered"
            elif await self._relay_stream(opened, tally):
                outcome = "answered"
        except asyncio.CancelledError:
            outcome = "cancelled"  # the client is gone; what it was given is paid for
            raise
        finally:
            opened.close()
            self._observe(names.DURATION_SECONDS, opened.tier)
            usage = opened.stream.usage if opened.stream else opened.usage
            tally.settle(usage, opened.tier, opened.provider, outcome)

    def _send_whole(self, opened: Opened) -> None:
        headers = [*JSON, *self._told(opened.tier)]
        if opened.provider and opened.usage:
            usd = cost_usd_micros(opened.usage, opened.provider.price) / 1e6
            headers.append((b"x-overspill-cost", f"{usd:.6f}".encode()))
        self._answer.send(200, opened.first, headers)

    async def _relay_stream(self, opened: Opened, tally: Tally) -> bool:
        """Relay events until the protocol's own end; say whether it came."""
        stream, answer = opened.stream, self._answer
        assert stream
        answer.start(200, [*EVENT_STREAM, *self._told(opened.tier)])
        chunk = opened.first
        await answer.write(chunk)
        try:
            while not stream.done and (raw := await opened.response.read()):
                await answer.write(opened.feed(raw))
                tally.delivered(opened.events)
            if not stream.done:
                await answer.write(opened.feed_rest())
        except UpstreamError as error:
            await self._break_off(str(error))
            return False
        if not stream.done:
            failed = getattr(stream, "failed", None)
            await self._break_off("the upstream ended the stream early", failed)
            return False
        answer.end()
        await _read_out(opened)
        return True

    async def _break_off(self, message: str, body: bytes | None = None) -> None:
        """Tell the client in its own protocol; the connection is closed without a clean end."""
        told = f"the answer broke off: {message}"
        error = body or self._worded(502, told, code="upstream_failed")
        await self._answer.write(self._error_event(error))

    def _refuse(self, route: Route, tally: Tally, chat: ChatRequest) -> None:
        if self._last and self._last.final:
            tally.refuse()
        else:
            tally.shed(chat.max_tokens or SHED_OUTPUT_TOKENS)
        headers = [*JSON, *self._told(Tier.NONE)]
        if self._last is not None:
            status, body = self._provider_error(self._last)
            if self._last.retry_after:
                headers.append((b"retry-after", self._last.retry_after.encode("latin-1")))
            self._answer.send(status, body, headers)
            return
        budget = self._runtime.config.budget
        if route.reason is Reason.BUDGET_EXHAUSTED and route.tier is Tier.NONE:
            wait_s = max(1, int((budget.resets_at_s or 0) - self._proxy.unix_s()))
            message = "the frontier budget of this period is spent"
            body = self._worded(429, message, code="budget_exhausted")
            status = 429
        else:
            wait_s = BUSY_RETRY_S
            message = "the small tier has no room and this request may not go to the frontier"
            body = self._worded(503, message, code="no_capacity")
            status = 503
        headers.append((b"retry-after", str(wait_s).encode()))
        self._answer.send(status, body, headers)

    def _provider_error(self, failure: AttemptFailed) -> tuple[int, bytes]:
        """The upstream's own error, in the client's protocol."""
        status = self._status(failure.status)
        if failure.body:
            code = None if failure.final else failure.kind
            return status, self._worded(status, message_in(failure.body), code=code)
        message = f"no upstream answered; the last one failed: {failure.kind}"
        return status, self._worded(status, message, code="upstream_failed")

    # -- small things
    def _told(self, tier: Tier) -> Headers:
        reason = f"{self._reason}; rule={self._rule}" if self._rule else str(self._reason)
        return [
            (b"x-overspill-tier", tier.value.encode()),
            (b"x-overspill-reason", reason.encode()),
        ]

    def _passed_on(self) -> dict[str, str]:
        found = {name: self._request.header(name) for name in self.passed_on}
        return {name: value for name, value in found.items() if value}

    def _decided(self, tier: Tier) -> None:
        cell = self._proxy.metrics.cell(names.DECISIONS, tier=tier, reason=self._reason)
        cell.value += 1

    def _error(self, tier: Tier, provider: str, kind: str) -> None:
        labels = {"tier": tier, "provider": provider, "kind": kind}
        self._proxy.metrics.cell(names.UPSTREAM_ERRORS, **labels).value += 1
        log.warning(json.dumps({"event": "attempt failed", **labels}))

    def _observe(self, name: str, tier: Tier) -> None:
        histogram = self._proxy.metrics.histogram(name, tier=tier)
        histogram.observe(self._proxy.now_s() - self._began_s)


async def _read_out(opened: Opened) -> None:
    """Read what follows the protocol's end, so that the connection can serve again."""
    try:
        while await opened.response.read(1.0):
            pass
    except UpstreamError:
        return
