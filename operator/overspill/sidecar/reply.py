"""What the client gets: the answer, whole or as a stream, or an honest error in its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from overspill.routing.decide import Reason, Route, Tier
from overspill.sidecar.answer import JSON
from overspill.sidecar.upstream import UpstreamError
from overspill.wire.errors import UNREADABLE, message_in, speaks, status_for

if TYPE_CHECKING:
    from overspill.sidecar.attempt import AttemptFailed, Opened
    from overspill.sidecar.exchange import Exchange
    from overspill.sidecar.tally import Tally
    from overspill.wire.stream import EventStream

EVENT_STREAM: Final = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
)


async def relay(exchange: Exchange, opened: Opened, tally: Tally) -> None:
    """Pass an answer on; set the exchange's outcome."""
    upstream, stream = opened.upstream, opened.stream
    exchange.ttft_s = ttft_s = exchange.proxy.now_s() - exchange.began_s
    meter = exchange.proxy.meters.of(upstream, exchange.ingress.operation)
    meter.ttft_s.observe(ttft_s)
    headers = exchange.told()
    if upstream.tier is not Tier.SMALL:
        headers += opened.ids()
    if stream is not None:
        meter.gen_ai_first_chunk.observe(ttft_s)
        if await _relay_stream(exchange, opened, stream, headers, tally):
            exchange.outcome = "answered"
        return
    cost_usd_micros = exchange.cost_usd_micros(opened)
    if cost_usd_micros is not None:
        headers += b"x-overspill-cost: %.6f\r\n" % (cost_usd_micros / 1e6)
    exchange.answer.send(200, opened.first, JSON + headers)
    exchange.outcome = "answered"


async def _relay_stream(
    exchange: Exchange, opened: Opened, stream: EventStream, headers: bytes, tally: Tally
) -> bool:
    """Relay events until the protocol's own end; say whether it came."""
    answer, response = exchange.answer, opened.response
    answer.start(200, EVENT_STREAM + headers, opened.first)
    tally.delivered(stream.events)
    unreadable: list[Exception] = []

    def sink(raw: bytes) -> bool:
        try:
            out = stream.feed(raw)
        except UNREADABLE as error:
            unreadable.append(error)
            return False
        if opened.raw is not None:
            opened.keep(raw)
        if not answer.push(out):
            response.pause()
            answer.when_drained(response.resume)
        tally.delivered(stream.events)
        return not stream.done and stream.failed is None

    try:
        try:
            if not stream.done and stream.failed is None:
                await response.pour_into(sink)
        finally:
            answer.when_drained(None)  # the connection may serve somebody else by then
        if not stream.done and stream.failed is None and not unreadable:
            answer.push(stream.rest())
    except UpstreamError as error:
        _break_off(exchange, str(error))
        return False
    except UNREADABLE as error:
        unreadable.append(error)
    if unreadable or not stream.done:
        _broke_off(exchange, opened, stream, readable=not unreadable)
        return False
    answer.end()
    return True


def _broke_off(exchange: Exchange, opened: Opened, stream: EventStream, *, readable: bool) -> None:
    if readable:
        told = opened.upstream.masked(stream.failed or b"")
        _break_off(exchange, "the upstream ended the stream early", told)
    else:
        _break_off(exchange, "the upstream sent an event that cannot be read")


def _break_off(exchange: Exchange, message: str, body: bytes = b"") -> None:
    """Tell the client in its own protocol; the connection is closed without a clean end."""
    told = f"the answer broke off: {message}"
    error = body or exchange.ingress.error(502, told, code="upstream_failed")
    exchange.answer.push(exchange.ingress.error_event(error))


def refuse(exchange: Exchange, route: Route) -> None:
    """Say why there is no answer, and when to come back."""
    if exchange.last is not None:
        _tell_failure(exchange, exchange.last)
    elif exchange.proxy.now_s() >= exchange.deadline_s:
        _tell(exchange, 504, "the request took longer than it may", "deadline", None)
    elif route.reason is Reason.BUDGET_EXHAUSTED and route.tier is Tier.NONE:
        wait_s = _resets_s(exchange)
        message = "the frontier budget of this period is spent"
        _tell(exchange, 429, message, "budget_exhausted", wait_s)
    elif exchange.short and route.tier is not Tier.SMALL:
        _tell(exchange, 429, _unpaid(exchange), "budget_exhausted", _short_s(exchange))
    elif exchange.unfit is not None and _only_unfit(exchange, route):
        _tell(exchange, 400, exchange.unfit.message, "not_translatable", None)
    else:
        wait_s = exchange.proxy.room.retry_after_s(route.priority)
        message = "the small tier has no room, and this request may go nowhere else"
        if exchange.short:
            message = f"the small tier has no room, and {_unpaid(exchange)}"
        if exchange.unfit is not None:
            message += f": {exchange.unfit.message}"
        _tell(exchange, 503, message, "no_capacity", wait_s)


def _resets_s(exchange: Exchange) -> int:
    """Return in how many seconds the period ends."""
    purse, resets_at_s = exchange.runtime.purse, exchange.runtime.config.budget.resets_at_s
    if resets_at_s is None:
        return purse.resets_in_s() if purse is not None else 1
    return max(1, int(resets_at_s - exchange.proxy.unix_s()))


def _short_s(exchange: Exchange) -> int:
    """Return when to try again what could not be paid: others may give back, or time passes."""
    purse = exchange.runtime.purse
    return _resets_s(exchange) if purse is not None and purse.wallet.exhausted else 1


def _unpaid(exchange: Exchange) -> str:
    """Say why there was no money for it."""
    purse = exchange.runtime.purse
    if purse is not None and purse.problem:
        return f"nobody lends it what the frontier would cost: {purse.problem}"
    return "what is left of the frontier budget does not cover this request"


def _only_unfit(exchange: Exchange, route: Route) -> bool:
    """Whether nothing but the wire stood in the way: waiting would not help."""
    return route.tier is not Tier.SMALL or exchange.reason is Reason.NOT_TRANSLATABLE


def _tell(
    exchange: Exchange, status: int, message: str, code: str, retry_after_s: int | None
) -> None:
    param = exchange.unfit.param if exchange.unfit else None
    body = exchange.ingress.error(status, message, param=param, code=code)
    headers = JSON + exchange.told()
    if retry_after_s is not None:
        headers += b"retry-after: %d\r\n" % retry_after_s
    exchange.answer.send(status_for(exchange.ingress.wire, status), body, headers)


def _tell_failure(exchange: Exchange, failure: AttemptFailed) -> None:
    """Pass on the upstream's own error, in the client's protocol."""
    ingress = exchange.ingress
    status = status_for(ingress.wire, failure.status)
    if failure.body and failure.wire is ingress.wire and speaks(ingress.wire, failure.body):
        body = failure.body
    elif failure.body:
        code = None if failure.final else failure.kind
        body = ingress.error(status, message_in(failure.body), code=code)
    else:
        message = (
            "no provider answered, and the last one left has asked to be left alone for a while"
            if failure.kind == "cooling"
            else f"no upstream answered; the last one failed: {failure.kind}"
        )
        if exchange.short:
            message += f"; others were not asked: {_unpaid(exchange)}"
        body = ingress.error(status, message, code="upstream_failed")
    headers = JSON + exchange.told() + failure.kept
    if failure.retry_after_s is not None:
        headers += b"retry-after: %d\r\n" % max(1, round(failure.retry_after_s))
    exchange.answer.send(status, body, headers)
