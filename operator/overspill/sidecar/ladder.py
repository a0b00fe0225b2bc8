"""Who is asked, in which order, until somebody answers: small, hosted, frontier."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from overspill.routing.decide import SMALL_FITS, TRIAL, Reason, Route, Tier
from overspill.routing.limit import LATE_SHARE
from overspill.sidecar.attempt import AttemptFailed, open_upstream
from overspill.sidecar.held import checked, is_checked
from overspill.sidecar.purse import WAIT_S
from overspill.sidecar.runtime import endpoint
from overspill.sidecar.upstream import FOREVER
from overspill.wire.errors import Untranslatable
from overspill.wire.usage import Usage, cost_usd_micros, worst_cost_usd_micros

if TYPE_CHECKING:
    from overspill.routing.capacity import Slot
    from overspill.sidecar.attempt import Opened
    from overspill.sidecar.proxy import Proxy
    from overspill.sidecar.purse import Purse, Reservation
    from overspill.sidecar.request import Request
    from overspill.sidecar.runtime import Runtime, Upstream
    from overspill.sidecar.tally import Tally
    from overspill.sidecar.tracing import OpenSpan
    from overspill.wire.ask import Ask, Call
    from overspill.wire.ingress import Ingress
    from overspill.wire.usage import TokenPrice

_NOT_ELSEWHERE: Final = (Reason.FIRST_TOKEN_DEADLINE, Reason.SMALL_REFUSED, Reason.NOT_VERIFIED)
"""Other endpoints run the same model, and have the same load."""
CONNECT_AGAIN_S: Final = (0.1, 0.3, 0.9)
"""Pauses before somebody whom no connection reached is called again: a Service whose pods have just
changed refuses them for a moment, and a name is not found."""
CALLS_FOR_S: Final = 2.5
"""How long it is called again, in all: not where a connection got no answer at all."""
log = logging.getLogger(__name__)


class Unaffordable(Exception):
    """What is left of the budget does not cover what an attempt may cost; nothing was sent."""


class Ladder:
    """The attempts of one request, and what became of them. Each paid one is reserved first."""

    __slots__ = (
        "at_work",
        "deadline_s",
        "failures",
        "final",
        "held",
        "ingress",
        "last",
        "lossy",
        "pay_until_s",
        "proxy",
        "purse",
        "queued_s",
        "reason",
        "request",
        "reserved",
        "runtime",
        "short",
        "span",
        "tally",
        "tier",
        "unfit",
        "upstream",
        "watched",
    )

    def __init__(
        self, proxy: Proxy, runtime: Runtime, ingress: Ingress, request: Request, deadline_s: float
    ) -> None:
        self.proxy, self.runtime, self.ingress = proxy, runtime, ingress
        self.request = request
        self.deadline_s = deadline_s
        self.reason = Reason.SMALL_FITS
        self.tier = Tier.NONE
        self.upstream: Upstream | None = None
        """Who was asked last."""
        self.at_work = False
        """Whether it may be answering, and charge: no attempt that failed is paid."""
        self.last: AttemptFailed | None = None
        self.unfit: Untranslatable | None = None
        """Why an upstream could not be asked."""
        self.lossy: tuple[str, ...] = ()
        self.failures = 0
        self.reserved: Reservation | None = None
        """What the attempt under way may cost; None where nobody is charged for it."""
        self.pay_until_s = deadline_s
        """It waits for money no longer, all providers together."""
        self.short = False
        """Somebody could not be asked, for want of money."""
        self.final = False
        """Who was asked last says that the request is wrong in itself."""
        self.held: Opened | None = None
        """The small model's answer, not good enough: better than none."""
        self.queued_s = 0.0
        self.tally: Tally | None = None
        self.span: OpenSpan | None = None
        self.purse = runtime.purse
        """Who pays; None where nobody has to."""
        self.watched = False
        """What the frontier sends is kept: the request is to become a trial."""

    # -- the order
    async def open(self, ask: Ask, route: Route) -> Opened | None:
        """Ask everybody whom the route allows, in order; None where nobody answers."""
        runtime = self.runtime
        if runtime.observing:
            self._decided(route.tier)
            return await self._try_frontier(ask)
        if route.tier is Tier.NONE:
            self._decided(Tier.NONE)
            return None
        if route.tier is Tier.SMALL:
            spills = route.may_overflow
            opened = await self._try_small(ask, route.priority, bounded=spills, looked_at=spills)
            if opened is not None or not spills or self._is_final():
                opened = opened or self._take_held()
                self._decided(Tier.SMALL if opened else Tier.NONE)
                return opened
            if runtime.hosted and not self.held:  # a host has the same class of model
                opened = await self._try_all(runtime.hosted, ask)
            if opened is not None or self._is_final():
                self._decided(Tier.HOSTED if opened else Tier.NONE)
                return opened or self._take_held()
            opened = await self._try_frontier(ask)
            self._decided(Tier.SMALL if opened is None and self.held else Tier.FRONTIER)
            return self._instead_of_held(opened)
        opened = await self._try_frontier(ask)
        if opened is None and route is TRIAL and self._only_short():
            return await self._untried(ask)
        self._decided(Tier.FRONTIER)
        if opened is None and route.fits_small and not self._is_final():
            if self._only_short() and not runtime.terms.small_when_exhausted:
                return None
            opened = await self._fall_back(ask, route)
        return opened

    async def _untried(self, ask: Ask) -> Opened | None:
        """A trial that could not be paid goes where it would have gone had nothing been drawn."""
        self.purse, self.short, self.pay_until_s = self.runtime.purse, False, self.deadline_s
        self.reason, self.watched = SMALL_FITS.reason, False
        return await self.open(ask, SMALL_FITS)

    def _instead_of_held(self, opened: Opened | None) -> Opened | None:
        """Count what was held back, or take it where nobody else answered."""
        if opened is None or self.held is None:
            return opened or self._take_held()
        assert self.tally
        small, usage = self.held.upstream, self.held.usage
        stream = self.held.stream
        meter = self.proxy.meters.of(small, self.ingress.operation)
        self.tally.discarded(stream.usage if stream else usage, meter)
        return opened

    def _take_held(self) -> Opened | None:
        """Nobody better answered: give what the small model said after all."""
        held = self.held
        if held is not None:
            self.upstream, self.tier, self.lossy = held.upstream, Tier.SMALL, held.call.lossy
            self.at_work = True
        return held

    def _only_short(self) -> bool:
        """Whether money alone was missing: everybody who could be paid would have been asked."""
        return self.short and self.last is None

    async def _fall_back(self, ask: Ask, route: Route) -> Opened | None:
        """With no frontier, an answer of the small class is better than none, late or doubtful."""
        failed, short, hosted = self.last, self._only_short(), self.runtime.hosted
        opened = await self._try_small(ask, route.priority, bounded=bool(hosted), looked_at=False)
        if opened is None and not self._is_final():
            opened = await self._try_all(hosted, ask)
        self.reason = Reason.BUDGET_EXHAUSTED if short else Reason.FRONTIER_FAILED
        if opened is None and failed is not None:
            self.last = failed  # the client asked the frontier: its error is the one to tell
        return opened

    def _is_final(self) -> bool:
        """Whether trying on is in vain: the request is wrong, or its time is up.

        That it is wrong is the frontier's to say. A small model says so too of what only it cannot
        do: a longer context, an image, tools that it was not started for.
        """
        wrong = self.final and self.upstream is not None and self.upstream.tier is Tier.FRONTIER
        return wrong or self._is_late()

    def _is_late(self) -> bool:
        return self.proxy.now_s() >= self.deadline_s

    # -- one's own machines
    async def _try_small(
        self, ask: Ask, priority: int, *, bounded: bool, looked_at: bool
    ) -> Opened | None:
        """Try endpoints until one answers or none is left.

        `bounded`: a stream has to begin in time. `looked_at`: somebody may answer better.
        """
        proxy, tried = self.proxy, set[str]()
        capacity = proxy.capacity
        home = ask.conversation() if capacity.several else None
        while True:
            slot = proxy.room.take(tried, home, priority)
            if slot is None and not tried and self.runtime.queue_s > 0:
                slot = await self._wait_for_room(home, priority)
            if slot is None:
                if not tried:
                    healthy = capacity.has_healthy(proxy.now_s())
                    self.reason = Reason.SLOTS_FULL if healthy else Reason.NO_ENDPOINTS
                return None
            tried.add(slot.address)
            try:
                opened = await self._ask_small(slot, ask, bounded=bounded, looked_at=looked_at)
            except BaseException:
                proxy.room.give_back(slot)
                raise
            if opened is not None:
                opened.release = partial(proxy.room.give_back, slot)
                return opened
            proxy.room.give_back(slot)
            if self._is_late() or self.unfit or self.reason in _NOT_ELSEWHERE:
                return None

    async def _wait_for_room(self, home: int | None, priority: int) -> Slot | None:
        proxy, began_s = self.proxy, self.proxy.now_s()
        until_s = min(began_s + self.runtime.queue_s, self.deadline_s)
        if not proxy.capacity.has_healthy(until_s):
            return None  # nothing can come free
        try:
            return await proxy.room.wait(home, priority, until_s)
        finally:
            self.queued_s = proxy.now_s() - began_s
            proxy.meters.queue_wait_s.observe(self.queued_s)

    async def _ask_small(
        self, slot: Slot, ask: Ask, *, bounded: bool, looked_at: bool
    ) -> Opened | None:
        proxy, runtime = self.proxy, self.runtime
        upstream = runtime.small.get(slot.address)  # a slot may be of a newer configuration
        upstream = upstream or endpoint(slot.address, runtime.small_target)
        began_s = proxy.now_s()
        until_s = began_s + runtime.first_token_s if bounded and ask.stream else FOREVER
        try:
            opened = await self._ask(upstream, ask, until_s)
        except Untranslatable as unfit:
            self.reason, self.unfit = Reason.NOT_TRANSLATABLE, unfit
            self._not_for_small()
            return None
        except AttemptFailed as failure:
            now_s = proxy.now_s()
            if failure.final:
                self.reason = Reason.SMALL_REFUSED
                self._not_for_small()
            elif failure.kind == "first_token":
                self.reason = Reason.FIRST_TOKEN_DEADLINE
                proxy.capacity.overloaded(slot, now_s)
            elif failure.kind != "deadline":
                self.reason = Reason.SMALL_FAILED
                proxy.capacity.failed(slot, now_s)
                if failure.overload:
                    proxy.capacity.overloaded(slot, now_s)
            return None
        took_s = proxy.now_s() - began_s
        in_time = took_s <= LATE_SHARE * runtime.first_token_s if ask.stream else None
        proxy.capacity.answered(slot, in_time=in_time, now_s=began_s + took_s)
        proxy.room.call_next()  # where it was a probe, others may follow
        if not runtime.checks or not looked_at or not is_checked(opened):
            return opened
        return opened if await self._will_do(ask, opened, slot) else None

    async def _will_do(self, ask: Ask, opened: Opened, slot: Slot) -> bool:
        """Look at the small model's answer before the client gets any; keep one that won't do."""
        try:
            wrong = await checked(self, ask, opened)
        except AttemptFailed as failure:
            opened.close()
            self.reason, self.at_work = Reason.SMALL_FAILED, False
            self.proxy.capacity.failed(slot, self.proxy.now_s())
            self._failed(opened.upstream, failure)
            return False
        except BaseException:
            opened.close()
            raise
        opened.raw = None
        if wrong is None:
            return True
        opened.close()
        self.held, self.reason, self.at_work = opened, Reason.NOT_VERIFIED, False
        self.proxy.meters.not_verified(wrong)
        self._not_for_small()
        return False

    # -- who is paid
    async def _try_frontier(self, ask: Ask) -> Opened | None:
        """Try who is asked when all others failed: nobody else can answer better."""
        return await self._try_all(self.runtime.frontier, ask, patient=self.held is None)

    async def _try_all(
        self, providers: tuple[Upstream, ...], ask: Ask, *, patient: bool = False
    ) -> Opened | None:
        """Try providers in order; the ejected last, and those that asked to be left alone never.

        `patient` calls the last of those in favour again where no connection reached it.
        """
        now_s = self.proxy.now_s()
        good = [one for one in providers if one.health.usable(now_s)]
        doubtful = [one for one in providers if one not in good]
        for upstream in (*good, *doubtful):
            cooling_s = upstream.health.cooling_s(self.proxy.now_s())
            if cooling_s > 0:
                if self.last is None or not _worded(self.last):
                    self.last = AttemptFailed("cooling", 429, retry_after_s=cooling_s)
                continue
            if self._is_late():
                break
            again_s = CONNECT_AGAIN_S if patient and good and upstream is good[-1] else ()
            opened = await self._try_provider(upstream, ask, again_s)
            if opened is not None or self.final:
                return opened
        return None

    async def _try_provider(
        self, upstream: Upstream, ask: Ask, again_s: tuple[float, ...]
    ) -> Opened | None:
        health, sent_s = upstream.health, self.proxy.now_s()
        probe = health.tried()
        try:
            opened = await self._ask_again(upstream, ask, again_s)
        except Untranslatable as unfit:
            self.unfit = unfit
            return None
        except Unaffordable:
            return None
        except AttemptFailed as failure:
            if not failure.final and failure.kind != "deadline":
                rest_s = failure.retry_after_s if failure.overload else None
                health.failed(sent_s, self.proxy.now_s(), rest_s)
            return None
        finally:
            health.ended(probe)
        health.succeeded(sent_s)
        return opened

    async def _ask_again(self, upstream: Upstream, ask: Ask, again_s: tuple[float, ...]) -> Opened:
        """Ask, and after each pause again where no connection came about: nothing was sent."""
        until_s = min(self.proxy.now_s() + CALLS_FOR_S, self.deadline_s)
        for pause_s in again_s:
            try:
                return await self._ask(upstream, ask, FOREVER)
            except AttemptFailed as failure:
                if failure.kind != "connect" or self.proxy.now_s() + pause_s >= until_s:
                    raise
            await asyncio.sleep(pause_s)
        return await self._ask(upstream, ask, FOREVER)

    # -- one attempt
    async def _ask(self, upstream: Upstream, ask: Ask, first_byte_s: float) -> Opened:
        proxy = self.proxy
        native = self.ingress.wire is upstream.target.wire
        headers = self.request.headers
        if self.span:
            headers = {**headers, **self.span.headers()}
        own_headers = upstream.own_headers(headers, native=native)
        left_out = upstream.left_out(headers, native=native)
        self.final = False
        call = self.ingress.call(ask, upstream.target)
        purse, price = self.purse, upstream.price
        if purse is not None and price is not None and self.ingress.metered:
            await self._reserve(purse, price, upstream, ask, call)
        self.upstream, self.at_work = upstream, True
        try:
            opened = await open_upstream(
                proxy.pool,
                upstream,
                self.ingress,
                ask,
                own_headers,
                call=call,
                now_s=proxy.unix_s(),
                deadline_s=self.deadline_s,
                first_byte_s=first_byte_s,
                keep_raw=self.watched
                or (bool(self.runtime.checks) and upstream.tier is Tier.SMALL),
            )
        except AttemptFailed as failure:
            failure.body = upstream.masked(failure.body)
            self.lossy, self.at_work, self.final = left_out, False, failure.final
            if self.reserved is not None:
                self._failed_under(self.reserved, failure)
            self._failed(upstream, failure)
            raise
        self.tier, self.lossy = upstream.tier, (*opened.call.lossy, *left_out)
        return opened

    def _note(self, failure: AttemptFailed) -> None:
        """Keep what to tell: the last failure that an upstream worded, else the last."""
        if self.last is None or failure.final or _worded(failure) or not _worded(self.last):
            self.last = failure

    def _failed(self, upstream: Upstream, failure: AttemptFailed) -> None:
        """Keep, count and log a failed attempt."""
        self._note(failure)
        self.failures += 1
        if failure.final and upstream.tier is Tier.SMALL:
            return
        self.proxy.meters.failed(upstream.tier, upstream.name, failure.kind)
        told = {"tier": upstream.tier, "provider": upstream.name, "kind": failure.kind}
        log.warning(json.dumps({"event": "attempt failed", **told}))

    def _not_for_small(self) -> None:
        assert self.tally
        self.tally.not_for_small()

    def _decided(self, tier: Tier) -> None:
        self.proxy.meters.decided(tier, self.reason)

    # -- money, where a budget is in force
    async def _reserve(
        self, purse: Purse, price: TokenPrice, upstream: Upstream, ask: Ask, call: Call
    ) -> None:
        """Reserve what this attempt may cost. Raises: Unaffordable."""
        worst = worst_cost_usd_micros(self.ingress.bound(ask, upstream.target, call), price)
        began_s = self.proxy.now_s()
        self.reserved = await purse.reserve(worst, self.pay_until_s)
        if self.reserved is None:
            self.short = True
            self.pay_until_s = min(self.pay_until_s, began_s + WAIT_S)
            raise Unaffordable

    def charge(self, usage: Usage | None) -> int:
        """End the reservation at what was used, or at worst case where nobody told."""
        reserved, self.reserved = self.reserved, None
        upstream, tally = self.upstream, self.tally
        assert reserved
        assert tally
        assert upstream
        assert upstream.price
        metered = usage is not None
        cost = cost_usd_micros(usage, upstream.price) if usage else reserved.worst_usd_micros
        reserved.settle(cost, metered=metered)
        tally.pay(cost, self.proxy.meters.of(upstream, self.ingress.operation), metered=metered)
        return cost

    def _failed_under(self, reserved: Reservation, failure: AttemptFailed) -> None:
        """An attempt failed: nothing is paid, unless the provider may charge for it."""
        if failure.free:
            self.reserved = None
            reserved.give_back()
        else:
            self.charge(None)


def _worded(failure: AttemptFailed) -> bool:
    """Whether an upstream said it, by a body or by Retry-After, and not we in its place."""
    return bool(failure.body) or failure.retry_after_s is not None
