"""What one request counts: work, tokens and dollars, each once, while it runs and when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overspill.routing.decide import Tier
from overspill.telemetry import names
from overspill.wire.usage import Usage, cost_usd_micros

if TYPE_CHECKING:
    from overspill.sidecar.metrics import Metrics
    from overspill.sidecar.runtime import Provider, Runtime


class Tally:
    """Counts one request.

    Output is counted as it is delivered, one token an event, so that demand does not wait for long
    answers; the usage at the end adds what that left out. Counters only go up.
    """

    def __init__(
        self, metrics: Metrics, runtime: Runtime, *, eligible: bool, input_estimate: int
    ) -> None:
        self._metrics, self._runtime = metrics, runtime
        self._eligible, self._input_estimate = eligible, input_estimate
        self._live_tokens = 0
        self._work = metrics.cell(names.WORK_TOKENS)
        self._equivalent = metrics.cell(
            names.FRONTIER_EQUIVALENT_USD, eligible="true" if eligible else "false"
        )
        self._output_usd = float(runtime.list_price.output) / 1e6

    def delivered(self, events: int) -> None:
        """Count events of a stream that reached the client."""
        self._live_tokens += events
        self._equivalent.value += events * self._output_usd
        if self._eligible:
            self._work.value += events

    def settle(
        self, usage: Usage | None, tier: Tier, provider: Provider | None, outcome: str
    ) -> Usage:
        """End it. Without usage (a cut stream) it is metered from what was delivered."""
        told = usage or Usage(input_tokens=self._input_estimate)
        final = Usage(
            input_tokens=told.input_tokens,
            cached_tokens=told.cached_tokens,
            output_tokens=max(told.output_tokens, self._live_tokens),
        )
        name = provider.name if provider else ""
        cell = self._metrics.cell
        cell(names.REQUESTS, tier=tier, provider=name, outcome=outcome).value += 1
        self._count_demand(final)
        if tier is not Tier.NONE:
            cell(names.INPUT_TOKENS, tier=tier, provider=name).value += final.input_tokens
            cell(names.OUTPUT_TOKENS, tier=tier, provider=name).value += final.output_tokens
        if provider:
            spent = cost_usd_micros(final, provider.price)
            cell(names.SPEND_USD, provider=name).value += spent / 1e6
        return final

    def shed(self, output_estimate: int) -> None:
        """End a request that nobody answered; what it asked for is demand all the same."""
        self._metrics.cell(
            names.REQUESTS, tier=Tier.NONE, provider="", outcome="rejected"
        ).value += 1
        usage = Usage(input_tokens=self._input_estimate, output_tokens=output_estimate)
        self._count_demand(usage)

    def _count_demand(self, usage: Usage) -> None:
        counted = Usage(output_tokens=self._live_tokens)
        price = self._runtime.list_price
        rest = cost_usd_micros(usage, price) - cost_usd_micros(counted, price)
        self._equivalent.value += max(0, rest) / 1e6
        if self._eligible:
            late = usage.output_tokens - self._live_tokens
            self._work.value += max(0, late) + usage.input_tokens * self._runtime.input_weight
