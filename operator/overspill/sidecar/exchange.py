"""One request from its body to its last byte: route it, have it answered, relay, count."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from overspill.routing.decide import Reason, Route
from overspill.sidecar import reply
from overspill.sidecar.answer import JSON
from overspill.sidecar.choose import choose, fitted
from overspill.sidecar.ladder import Ladder
from overspill.sidecar.tally import Tally
from overspill.wire.errors import BadRequest
from overspill.wire.usage import Usage, cost_usd_micros

if TYPE_CHECKING:
    from overspill.sidecar.answer import Answer
    from overspill.sidecar.attempt import Opened
    from overspill.sidecar.proxy import Proxy
    from overspill.sidecar.request import Request
    from overspill.sidecar.runtime import Runtime
    from overspill.trials.lot import Draw
    from overspill.wire.ask import Ask
    from overspill.wire.ingress import Ingress
    from overspill.wire.trim import Cut

TIMEOUT_HEADER: Final = b"x-overspill-timeout"
TRIAL_PAY_S: Final = 0.3
"""The longest that a request waits for money which only a trial needs: a lease that is renewed at
once is there sooner, and where the operator is slow the small model answers."""


class Exchange(Ladder):
    """Answers one request, whichever protocol it came in."""

    __slots__ = (
        "answer",
        "asked",
        "began_s",
        "cut",
        "drawn",
        "opened",
        "outcome",
        "rule",
        "ttft_s",
    )

    def __init__(
        self, proxy: Proxy, runtime: Runtime, ingress: Ingress, request: Request, answer: Answer
    ) -> None:
        self.began_s = proxy.now_s()
        super().__init__(proxy, runtime, ingress, request, self.began_s + runtime.timeout_s)
        self.answer = answer
        self.rule = ""
        self.asked: Ask | None = None
        self.cut: Cut | None = None
        """What was left out of a conversation that was too long."""
        self.drawn: Draw | None = None
        """What the lot said; None where nothing is tried."""
        self.opened: Opened | None = None
        self.ttft_s = 0.0
        self.outcome = "rejected"
        self.span = proxy.tracer.begin(self) if proxy.tracer else None

    async def run(self) -> None:
        """Answer it."""
        try:
            ask = self.asked = self.ingress.read(self.request.body)
            if TIMEOUT_HEADER in self.request.headers:
                self.deadline_s = self.pay_until_s = self.began_s + self._asked_timeout_s()
            if self.runtime.max_input_tokens is not None:
                ask, self.cut = fitted(self.ingress, ask, self.runtime)
                self.asked = ask
            await self._route(ask)
        except BadRequest as error:
            self.proxy.meters.rejected()
            body = self.ingress.error(400, error.message, param=error.param)
            self.answer.send(400, body, JSON + self.told())
        finally:
            if self.reserved is not None:  # a fault of ours, somewhere between two lines
                self.charge(None)
            if self.drawn is not None:
                whole = self.opened if self.outcome == "answered" else None
                self.proxy.trials.note(self, self.drawn, whole)
            if self.span:
                self.span.end(self)
            if self.proxy.access_log:
                self.proxy.access_log(self)

    def _asked_timeout_s(self) -> float:
        """Read the client's own limit; the policy's is the longest there is."""
        text = self.request.headers[TIMEOUT_HEADER].decode("latin-1").removesuffix("s")
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not seconds > 0:
            raise BadRequest(f"x-overspill-timeout: {text!r} is not seconds, such as 20 or 2.5")
        return min(seconds, self.runtime.timeout_s)

    async def _route(self, ask: Ask) -> None:
        headers, useful = self.request.headers, self.proxy.most_useful
        route, drawn = choose(self.ingress, ask, headers, self.runtime, useful)
        self.reason, self.rule = route.reason, route.rule
        if drawn is not None:
            self._draw(drawn)
        tally = self.tally = Tally(
            self.proxy.meters,
            self.runtime,
            route=route,
            ask=ask,
            now_s=self.began_s,
        )
        try:
            opened = self.opened = await self.open(ask, route)
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            if not self.at_work:
                tally.shed()
            else:  # left before the first byte: who was asked may have begun, and charges
                self._settle(tally, None, told=False)
            raise
        if opened is None:
            if self.last is None and (guess := self.ingress.guess(ask)) is not None:
                self.reason, self.outcome = Reason.ESTIMATED, "answered"
                self.proxy.meters.estimated()
                self.answer.send(200, guess, JSON + self.told())
                return
            self._refuse(ask, route, tally)
            return
        try:
            self.outcome = "failed"
            await reply.relay(self, opened, tally)
        except asyncio.CancelledError:
            self.outcome = "cancelled"  # the client is gone; what it was given is paid for
            raise
        finally:
            opened.close()
            stream = opened.stream
            usage = stream.usage if stream else opened.usage
            self._settle(tally, usage, told=not opened.estimated)

    def _draw(self, drawn: Draw) -> None:
        """A request that may become a trial."""
        self.drawn, self.watched = drawn, drawn.watched
        if drawn.paid:
            self.purse = self.runtime.trial_purse or self.purse
            self.pay_until_s = min(self.deadline_s, self.began_s + TRIAL_PAY_S)

    def _settle(self, tally: Tally, usage: Usage | None, *, told: bool) -> None:
        upstream = self.upstream
        assert upstream
        meter = self.proxy.meters.of(upstream, self.ingress.operation)
        price = upstream.price if self.ingress.metered else None
        charged = None
        if self.reserved is not None:
            charged = self.charge(usage if told else None)
        if self.cut is not None:
            saved = Usage(input_tokens=self.cut.tokens)
            self.proxy.meters.trimmed(
                saved.input_tokens, cost_usd_micros(saved, price) if price else 0
            )
        took_s = self.proxy.now_s() - self.began_s
        tally.settle(usage, meter, price, self.outcome, took_s, charged)

    def cost_usd_micros(self, opened: Opened) -> int | None:
        """Return what a whole answer costs, failed attempts included; None where it is free."""
        price, usage = opened.upstream.price, opened.usage
        if price is None or not self.ingress.metered:
            return None
        before = self.tally.cost_usd_micros if self.tally else 0
        if self.reserved is not None and opened.estimated:
            return before + self.reserved.worst_usd_micros
        return before + cost_usd_micros(usage, price) if usage else None

    def _refuse(self, ask: Ask, route: Route, tally: Tally) -> None:
        if self.final:
            tally.refuse()
        else:
            tally.shed()
        reply.refuse(self, route)

    @property
    def provider_name(self) -> str:
        """OpenTelemetry's name of who was asked last; empty where nobody was."""
        if self.upstream is None:
            return ""
        meter = self.proxy.meters.of(self.upstream, self.ingress.operation)
        return meter.labels["gen_ai_provider_name"]

    def told(self) -> bytes:
        """Return the header lines by which every answer tells of its route."""
        lines = _told(self.tier, self.reason, self.rule)
        if self.cut is not None:
            lines += b"x-overspill-trimmed: turns=%d, tokens=%d\r\n" % (
                self.cut.turns,
                self.cut.tokens,
            )
        if self.lossy:
            lines += b"x-overspill-lossy: %b\r\n" % ", ".join(self.lossy).encode()
        return lines


@lru_cache(maxsize=256)
def _told(tier: str, reason: str, rule: str) -> bytes:
    """The lines of one route; a policy has few."""
    why = f"{reason}; rule={rule}" if rule else reason
    return f"x-overspill-tier: {tier}\r\nx-overspill-reason: {why}\r\n".encode()
