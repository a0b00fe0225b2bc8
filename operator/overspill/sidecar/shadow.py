"""One trial: the small model answers in the background what the frontier has answered, and both
answers are graded.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from overspill.sidecar.attempt import AttemptFailed, open_upstream
from overspill.sidecar.held import whole
from overspill.sidecar.runtime import endpoint
from overspill.sidecar.upstream import UpstreamError
from overspill.trials import judge
from overspill.trials.grade import DIFFERENT, Grader, Verdict, grade
from overspill.wire.document import compact, read_json
from overspill.wire.errors import BadRequest, Untranslatable, Wire
from overspill.wire.ingress import INGRESSES
from overspill.wire.said import Said, said_in
from overspill.wire.usage import cost_usd_micros, worst_cost_usd_micros
from overspill.wire.verify import problem

if TYPE_CHECKING:
    from overspill.routing.capacity import Slot
    from overspill.sidecar.proxy import Proxy
    from overspill.sidecar.runtime import Runtime, Upstream, Webhook
    from overspill.trials.lot import Draw
    from overspill.wire.ask import Ask
    from overspill.wire.ingress import Ingress

ANSWER_S: Final = 300.0
"""The longest that the small model, or a judge, may take."""
VERDICT_BYTES: Final = 2**16
"""Of a webhook's answer."""
CHAT: Final = INGRESSES["/v1/chat/completions"]
_ELSEWHERE: Final = frozenset({Grader.WEBHOOK, Grader.JUDGE})


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the frontier has answered, and that is to become a trial."""

    ingress: Ingress
    ask: Ask
    runtime: Runtime
    draw: Draw
    raw: bytes
    """The frontier's answer, as it came."""
    wire: Wire
    """In whose words that is."""
    size: int
    """Bytes that are kept for it."""
    since_s: float
    """The loop's time."""


class NotGraded(Exception):
    """A trial that came to nothing; the text is a metric label."""


async def tried(proxy: Proxy, watched: Watched, slot: Slot) -> Verdict:
    """Have the small model answer too, and grade both. Raises: NotGraded.

    The slot goes back before answers are graded: that takes time, and judges that were paid must
    not be called off to be paid again.
    """
    frontier = said_in(watched.raw, stream=watched.ask.stream, wire=watched.wire)
    if frontier is None:
        raise NotGraded("unreadable")
    if not _can_be_judged(watched.runtime, proxy.now_s()):
        raise NotGraded("no_judge")
    small, request, in_time = await _small_answer(proxy, watched, slot)
    proxy.room.give_back_loan(slot)
    grading = _Grading(proxy, watched.runtime, request)
    return await grading.verdict(watched, small, frontier, in_time=in_time)


def _can_be_judged(runtime: Runtime, now_s: float) -> bool:
    """Whether a judge that may be needed can be asked and paid.

    Else nothing is tried: only what other graders find equal would come through.
    """
    if Grader.JUDGE not in runtime.graders:
        return True
    told, purse = runtime.config.trials, runtime.trial_purse or runtime.purse
    unbound = bool(told and told.limited) and runtime.trial_purse is None  # as in mode Observe
    paid = purse is None or not (purse.wallet.exhausted or purse.problem)
    return paid and not unbound and any(one.health.usable(now_s) for one in runtime.frontier)


async def _small_answer(
    proxy: Proxy, watched: Watched, slot: Slot
) -> tuple[Said, dict[str, Any], bool]:
    """Return what the small model says, what it was asked, and whether a cascade would have waited
    for all of it.
    """
    runtime, ask = watched.runtime, watched.ask
    upstream = runtime.small.get(slot.address) or endpoint(slot.address, runtime.small_target)
    try:
        call = watched.ingress.call(ask, upstream.target)
        opened = await open_upstream(
            proxy.pool,
            upstream,
            watched.ingress,
            ask,
            b"",
            call=call,
            now_s=proxy.unix_s(),
            deadline_s=proxy.now_s() + ANSWER_S,
            keep_raw=True,
        )
        began_s = proxy.now_s()
        try:
            came = opened.stream is None or await whole(opened, ANSWER_S)
        finally:
            opened.close()
    except (Untranslatable, BadRequest):
        raise NotGraded("untranslatable") from None
    except AttemptFailed:
        raise NotGraded("small_failed") from None
    said = said_in(bytes(opened.raw or b""), stream=ask.stream) if came else None
    if said is None:
        raise NotGraded("unreadable")
    in_time = opened.stream is None or proxy.now_s() - began_s <= runtime.hold_s
    return said, read_json(call.body), in_time


class _Grading:
    """Asks whom the policy names, one after the other, until somebody can tell."""

    def __init__(self, proxy: Proxy, runtime: Runtime, request: dict[str, Any]) -> None:
        self._proxy, self._runtime, self._request = proxy, runtime, request

    async def verdict(
        self, watched: Watched, small: Said, frontier: Said, *, in_time: bool
    ) -> Verdict:
        """Raises: NotGraded where nobody could tell, whatever the answers. `in_time`: a cascade
        would have looked at the small model's; what takes longer goes out unchecked.

        Where somebody before had found no likeness they differ: to leave these out would leave
        only those that are alike.
        """
        limited = watched.ask.max_tokens is not None
        checks = self._runtime.checks if in_time else None
        if checks and problem(checks, self._request, small, limited=limited) is not None:
            return Verdict(1.0, 1.0)  # the cascade would have had the frontier answer it
        left = self._runtime.graders
        while left:
            found = grade(left, self._request, small, frontier)
            if isinstance(found, Verdict):
                return found
            told = await self._elsewhere(found[0], small, frontier)
            if told is not None:
                return told
            left = found[1:]
        if _ELSEWHERE.issuperset(self._runtime.graders):
            raise NotGraded("ungraded")
        return DIFFERENT

    async def _elsewhere(self, grader: Grader, small: Said, frontier: Said) -> Verdict | None:
        if grader is Grader.JUDGE:
            questions = judge.questions(self._request, small, frontier)
            first, second = await asyncio.gather(*map(self._judged, questions))
            return judge.verdict(first, second) if first and second else None
        webhook = self._runtime.webhook
        return await self._called(webhook, small, frontier) if webhook else None

    # -- the frontier as judge
    async def _judged(self, question: bytes) -> str:
        """Return what a judge says; nothing where none can be asked, or paid."""
        now_s = self._proxy.now_s()
        usable = [one for one in self._runtime.frontier if one.health.usable(now_s)]
        return await self._ask(usable[0], CHAT.read(question)) if usable else ""

    async def _ask(self, upstream: Upstream, ask: Ask) -> str:
        proxy, purse = self._proxy, self._runtime.trial_purse or self._runtime.purse
        assert upstream.price
        call = CHAT.call(ask, upstream.target)
        reserved = None
        if purse is not None:
            worst = worst_cost_usd_micros(CHAT.bound(ask, upstream.target, call), upstream.price)
            reserved = await purse.reserve(worst, proxy.now_s() + ANSWER_S)
            if reserved is None:
                return ""
        paid, metered = reserved.worst_usd_micros if reserved else 0, False
        sent_s = proxy.now_s()
        try:
            opened = await open_upstream(
                proxy.pool,
                upstream,
                CHAT,
                ask,
                upstream.own_headers({}, native=False),
                call=call,
                now_s=proxy.unix_s(),
                deadline_s=proxy.now_s() + ANSWER_S,
                keep_raw=True,
            )
            opened.close()
            metered = not opened.estimated
            if opened.usage and (metered or reserved is None):
                paid = cost_usd_micros(opened.usage, upstream.price)
        except AttemptFailed as failure:
            if failure.overload:
                upstream.health.failed(sent_s, proxy.now_s(), failure.retry_after_s)
            paid, metered = (0, True) if failure.free else (paid, False)
            return ""
        finally:
            if reserved:
                reserved.settle(paid, metered=metered)
            proxy.meters.of(upstream, CHAT.operation).paid(paid, metered=metered)
            proxy.trials.judged(paid)
        said = said_in(bytes(opened.raw or b""), stream=False, wire=upstream.target.wire)
        cut = said is not None and said.finish == "length"  # a heading may look like a verdict
        return said.text if said and not cut else ""

    # -- somebody's own grader
    async def _called(self, webhook: Webhook, small: Said, frontier: Said) -> Verdict | None:
        told = {"request": self._request, "small": _told(small), "frontier": _told(frontier)}
        head = (
            f"POST {webhook.path} HTTP/1.1\r\nhost: {webhook.origin.authority}\r\n"
            "content-type: application/json\r\n"
        )
        try:
            response = await self._proxy.pool.post(
                webhook.origin,
                head.encode("latin-1"),
                compact(told),
                deadline_s=self._proxy.now_s() + webhook.timeout_s,
            )
            async with response:
                answer = await response.read_some(VERDICT_BYTES, webhook.timeout_s)
            return _verdict(answer) if response.status == 200 else None
        except UpstreamError:
            return None


def _told(said: Said) -> dict[str, Any]:
    calls = [{"name": name, "arguments": arguments} for name, arguments in said.calls]
    return {"text": said.text, "toolCalls": calls, "finishReason": said.finish}


def _verdict(answer: bytes) -> Verdict | None:
    """Read `{"small": 0..1, "frontier": 0..1}`; None where it says anything else."""
    try:
        told = read_json(answer)
        found = Verdict(float(told["small"]), float(told["frontier"]))
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return found if all(0.0 <= one <= 1.0 for one in found) else None
