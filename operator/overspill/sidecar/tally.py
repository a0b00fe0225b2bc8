"""What one request counts: work, tokens and dollars, each once, while it runs and when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from overspill.wire.trim import likely_input_tokens
from overspill.wire.usage import NO_USAGE, Usage, cost_usd_micros

if TYPE_CHECKING:
    from overspill.routing.decide import Route
    from overspill.sidecar.meters import Meters, UpstreamMeter
    from overspill.sidecar.runtime import Runtime
    from overspill.wire.ask import Ask
    from overspill.wire.usage import TokenPrice

SHED_OUTPUT_TOKENS: Final = 256
"""Of a request that nobody answered, at most: a client's limit may be anything, and is no forecast.
One of 2^63 would outweigh all that is ever answered, in counters that then stand still."""
EVENTS_WITHOUT_TOKEN: Final = 6
"""At most so many events of a stream carry no token: its start, end, usage, blocks and pings."""


class Tally:
    """Counts one request.

    Output is counted as it is delivered, one token an event, so that demand does not wait for long
    answers; the usage at the end adds what that left out. Counters only go up.
    """

    __slots__ = ("_ask", "_asked", "_eligible", "_equivalent", "_frontier_price", "_live_tokens",
                 "_meters", "_price", "_weight", "cost_usd_micros",
                 "usage")  # fmt: skip

    def __init__(
        self,
        meters: Meters,
        runtime: Runtime,
        *,
        route: Route,
        ask: Ask,
        now_s: float,
    ) -> None:
        self._meters, self._weight = meters, runtime.input_weight
        self._eligible, self._ask = route.eligible, ask
        self._frontier_price = runtime.frontier_price
        self._price = runtime.spill_price(now_s) if route.eligible else runtime.frontier_price
        self._equivalent = meters.equivalent[route.eligible]
        self._asked = meters.asked[route.priority] if route.asks_frontier else None
        self._live_tokens = 0
        self.usage = NO_USAGE
        """What the request used, once it has ended."""
        self.cost_usd_micros = 0

    def not_for_small(self) -> None:
        """The small model cannot do it after all: more replicas of it would be of no use."""
        self._eligible, self._price = False, self._frontier_price
        self._equivalent = self._meters.equivalent[False]

    def delivered(self, events: int) -> None:
        """Count the tokens of a stream of which this many events have passed so far."""
        fresh = events - EVENTS_WITHOUT_TOKEN - self._live_tokens
        if fresh <= 0:
            return
        self._live_tokens += fresh
        shares = self._price.shares
        self._equivalent.value += fresh * shares[2] / shares[3] / 1e6
        if self._eligible:
            self._meters.work.value += fresh

    def settle(
        self,
        usage: Usage | None,
        meter: UpstreamMeter,
        price: TokenPrice | None,
        outcome: str,
        duration_s: float,
        charged_usd_micros: int | None = None,
    ) -> None:
        """End a request that an upstream worked on, whatever became of it.

        An answer is metered by its usage; one that was cut, by what was delivered of it. Under a
        budget it costs what was `charged`, which is counted already.
        """
        final = self._final(usage, complete=outcome == "answered")
        self.usage = final
        meter.ended(outcome, duration_s)
        meter.input_tokens.value += final.input_tokens
        meter.output_tokens.value += final.output_tokens
        meter.gen_ai_input.observe(final.input_tokens)
        meter.gen_ai_output.observe(final.output_tokens)
        if charged_usd_micros is None and price is not None:
            self.pay(cost_usd_micros(final, price), meter)
        self._count_demand(final)

    def pay(self, cost_usd_micros: int, meter: UpstreamMeter, *, metered: bool = True) -> None:
        """Count what an upstream charges."""
        self.cost_usd_micros += cost_usd_micros
        meter.paid(cost_usd_micros, metered=metered)
        if self._asked is None:
            self._meters.overflow.value += cost_usd_micros / 1e6

    def _final(self, usage: Usage | None, *, complete: bool) -> Usage:
        if usage is None:
            return self._likely(self._live_tokens)
        if complete or usage.output_tokens >= self._live_tokens:
            return usage
        return replace(usage, output_tokens=self._live_tokens)

    def _likely(self, output_tokens: int) -> Usage:
        """Guess what a request used that nobody metered."""
        return Usage(input_tokens=likely_input_tokens(self._ask), output_tokens=output_tokens)

    def discarded(self, usage: Usage | None, meter: UpstreamMeter) -> None:
        """Count an answer that the client did not get; what comes in its place counts on."""
        final = usage or self._likely(0)
        meter.input_tokens.value += final.input_tokens
        meter.output_tokens.value += final.output_tokens

    def shed(self) -> None:
        """End a request that nobody answered; what it asked for is demand all the same."""
        self._meters.rejected()
        most = self._ask.max_tokens or SHED_OUTPUT_TOKENS
        self._count_demand(self._likely(min(most, SHED_OUTPUT_TOKENS)))

    def refuse(self) -> None:
        """End a request that was wrong in itself."""
        self._meters.rejected()

    def _count_demand(self, usage: Usage) -> None:
        if self._asked is not None:
            self._asked.value += cost_usd_micros(usage, self._frontier_price) / 1e6
        rest = cost_usd_micros(usage, self._price)
        live = self._live_tokens
        if live:
            rest = max(0, rest - cost_usd_micros(Usage(output_tokens=live), self._price))
        self._equivalent.value += rest / 1e6
        if self._eligible:
            late = max(0, usage.output_tokens - live)
            self._meters.work.value += late + usage.input_tokens * self._weight
