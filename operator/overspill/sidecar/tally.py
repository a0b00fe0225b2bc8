"""What one request counts: work, tokens and dollars, each once, while it runs and when it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from overspill.routing.decide import Tier
from overspill.telemetry import names
from overspill.wire.usage import Usage, cost_usd_micros

if TYPE_CHECKING:
    from overspill.sidecar.metrics import Metrics
    from overspill.sidecar.runtime import Provider, Runtime

EVENTS_WITHOUT_TOKEN: Final = 6
"""At most so many events of a stream carry no token: its start, end, usage, blocks and pings."""


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
        """Count the tokens of a stream of which this many events have passed so far."""
        tokens = max(0, events - EVENTS_WITHOUT_TOKEN)
        fresh = max(0, tokens - self._live_tokens)
        self._live_tokens += fresh
        self._equivalent.value += fresh * self._output_usd
        if self._eligible:
            self._work.value += fresh

    def settle(
        self, usage: Usage | None, tier: Tier, provider: Provider | None, outcome: str
    ) -> None:
        """End a request that an upstream worked on, whatever became of it.

        An answer is metered by its usage; one that was cut, by what was delivered of it.
        """
        name = provider.name if provider else ""
        final = self._final(usage, complete=outcome == "answered")
        cell = self._metrics.cell
        cell(names.REQUESTS, tier=tier, provider=name, outcome=outcome).value += 1
        cell(names.INPUT_TOKENS, tier=tier, provider=name).value += final.input_tokens
        cell(names.OUTPUT_TOKENS, tier=tier, provider=name).value += final.output_tokens
        if provider:
            spent = cost_usd_micros(final, provider.price)
            cell(names.SPEND_USD, provider=name).value += spent / 1e6
        self._count_demand(final)

    def _final(self, usage: Usage | None, *, complete: bool) -> Usage:
        if usage is None:
            return Usage(input_tokens=self._input_estimate, output_tokens=self._live_tokens)
        if complete:
            return usage
        return replace(usage, output_tokens=max(usage.output_tokens, self._live_tokens))

    def shed(self, output_estimate: int) -> None:
        """End a request that nobody answered; what it asked for is demand all the same."""
        self.refuse()
        self._count_demand(Usage(input_tokens=self._input_estimate, output_tokens=output_estimate))

    def refuse(self) -> None:
        """End a request that was wrong in itself."""
        labels = {"tier": Tier.NONE, "provider": "", "outcome": "rejected"}
        self._metrics.cell(names.REQUESTS, **labels).value += 1

    def _count_demand(self, usage: Usage) -> None:
        counted = Usage(output_tokens=self._live_tokens)
        price = self._runtime.list_price
        rest = cost_usd_micros(usage, price) - cost_usd_micros(counted, price)
        self._equivalent.value += max(0, rest) / 1e6
        if self._eligible:
            late = usage.output_tokens - self._live_tokens
            self._work.value += max(0, late) + usage.input_tokens * self._runtime.input_weight
