"""The series that requests count into, looked up once and not once a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from overspill.routing.decide import PRIORITY_NAMES, Reason, Tier
from overspill.telemetry import names
from overspill.trials.grade import Grader
from overspill.wire.errors import Wire

if TYPE_CHECKING:
    from overspill.sidecar.metrics import Cell, Histogram, Metrics
    from overspill.sidecar.runtime import Runtime, Upstream
    from overspill.wire.verify import Check

SELF_HOSTED: Final = "self_hosted"
"""`gen_ai.provider.name` of the small tier; the conventions have no name for one's own servers."""
WELL_KNOWN: Final = {Wire.OPENAI: "openai", Wire.ANTHROPIC: "anthropic"}


@dataclass(slots=True, kw_only=True)
class UpstreamMeter:
    """Series of one upstream and one kind of call."""

    metrics: Metrics
    tier: str
    name: str
    answered: Cell
    input_tokens: Cell
    output_tokens: Cell
    spend_usd: Cell | None
    unmetered_usd: Cell | None
    ttft_s: Histogram
    duration_s: Histogram
    labels: dict[str, str]
    gen_ai_input: Histogram
    gen_ai_output: Histogram
    gen_ai_first_chunk: Histogram
    gen_ai_answered: Histogram

    def paid(self, cost_usd_micros: int, *, metered: bool = True) -> None:
        """Count dollars."""
        if self.spend_usd is not None:
            self.spend_usd.value += cost_usd_micros / 1e6
        if not metered and self.unmetered_usd is not None:
            self.unmetered_usd.value += cost_usd_micros / 1e6

    def ended(self, outcome: str, duration_s: float) -> None:
        """Count a request that ended."""
        self.duration_s.observe(duration_s)
        if outcome == "answered":
            self.answered.value += 1
            self.gen_ai_answered.observe(duration_s)
            return
        labels = {"tier": self.tier, "provider": self.name, "outcome": outcome}
        self.metrics.cell(names.REQUESTS, **labels).value += 1
        failed = {**self.labels, "error_type": outcome}
        self.metrics.histogram(names.GEN_AI_DURATION, **failed).observe(duration_s)


@dataclass(slots=True)
class Meters:
    """All series of a sidecar's requests."""

    metrics: Metrics
    work: Cell = field(init=False)
    queue_wait_s: Histogram = field(init=False)
    equivalent: dict[bool, Cell] = field(init=False)
    asked: dict[int, Cell] = field(init=False)
    """Of the frontier, by priority."""
    overflow: Cell = field(init=False)
    _upstreams: dict[tuple[str, str, str, str], UpstreamMeter] = field(default_factory=dict)
    _decisions: dict[tuple[Tier, Reason], Cell] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cell = self.metrics.cell
        self.work = cell(names.WORK_TOKENS)
        self.queue_wait_s = self.metrics.histogram(names.QUEUE_WAIT_SECONDS)
        self.equivalent = {
            eligible: cell(names.FRONTIER_EQUIVALENT_USD, eligible=str(eligible).lower())
            for eligible in (True, False)
        }
        self.asked = {
            priority: cell(names.FRONTIER_ASKED_USD, priority=name)
            for priority, name in PRIORITY_NAMES.items()
        }
        self.overflow = cell(names.OVERFLOW_USD)

    @property
    def offered_usd_micros(self) -> float:
        """What all answers would have cost outside the small tier."""
        return sum(cell.value for cell in self.equivalent.values()) * 1e6

    def trimmed(self, tokens: int, usd_micros: int) -> None:
        """Count input that was left out, and what that saved."""
        self.metrics.cell(names.TRIMMED_TOKENS).value += tokens
        self.metrics.cell(names.TRIMMED_USD).value += usd_micros / 1e6

    def not_verified(self, check: Check) -> None:
        """Count an answer that was held back."""
        self.metrics.cell(names.NOT_VERIFIED, check=check).value += 1

    def decided(self, tier: Tier, reason: Reason) -> None:
        """Count a decision."""
        found = self._decisions.get((tier, reason))
        if found is None:
            found = self.metrics.cell(names.DECISIONS, tier=tier, reason=reason)
            self._decisions[tier, reason] = found
        found.value += 1

    def rejected(self) -> None:
        """Count a request that nobody answered."""
        self._of_nobody("rejected")

    def estimated(self) -> None:
        """Count a request that we answered ourselves."""
        self._of_nobody("answered")

    def _of_nobody(self, outcome: str) -> None:
        labels = {"tier": Tier.NONE, "provider": "", "outcome": outcome}
        self.metrics.cell(names.REQUESTS, **labels).value += 1

    def failed(self, tier: Tier, provider: str, kind: str) -> None:
        """Count an attempt that failed before the first byte."""
        labels = {"tier": tier, "provider": provider, "kind": kind}
        self.metrics.cell(names.UPSTREAM_ERRORS, **labels).value += 1

    def of(self, upstream: Upstream, operation: str) -> UpstreamMeter:
        """Return the series of an upstream."""
        key = (upstream.tier, upstream.name, upstream.target.model, operation)
        found = self._upstreams.get(key)
        if found is None:
            found = self._upstreams[key] = self._made(upstream, operation)
        return found

    def _made(self, upstream: Upstream, operation: str) -> UpstreamMeter:
        cell, histogram = self.metrics.cell, self.metrics.histogram
        tier, name, wire = upstream.tier.value, upstream.name, upstream.target.wire
        labels = {
            "gen_ai_operation_name": operation,
            "gen_ai_provider_name": WELL_KNOWN[wire] if upstream.price else SELF_HOSTED,
            "gen_ai_request_model": upstream.target.model,
        }
        into, out = ({**labels, "gen_ai_token_type": kind} for kind in ("input", "output"))
        return UpstreamMeter(
            metrics=self.metrics,
            tier=tier,
            name=name,
            answered=cell(names.REQUESTS, tier=tier, provider=name, outcome="answered"),
            input_tokens=cell(names.INPUT_TOKENS, tier=tier, provider=name),
            output_tokens=cell(names.OUTPUT_TOKENS, tier=tier, provider=name),
            spend_usd=cell(names.SPEND_USD, provider=name) if upstream.price else None,
            unmetered_usd=cell(names.UNMETERED_USD, provider=name) if upstream.price else None,
            ttft_s=histogram(names.TTFT_SECONDS, tier=tier),
            duration_s=histogram(names.DURATION_SECONDS, tier=tier),
            labels=labels,
            gen_ai_input=histogram(names.GEN_AI_TOKENS, **into),
            gen_ai_output=histogram(names.GEN_AI_TOKENS, **out),
            gen_ai_first_chunk=histogram(names.GEN_AI_FIRST_CHUNK, **labels),
            gen_ai_answered=histogram(names.GEN_AI_DURATION, **labels),
        )

    def show_from_zero(self, runtime: Runtime) -> None:
        """Make the series that Prometheus should see before the first request."""
        self.metrics.cell(names.CONFIG_GENERATION).value = float(runtime.config.generation)
        for tier, reason in ((Tier.SMALL, Reason.SMALL_FITS), (Tier.FRONTIER, Reason.SLOTS_FULL)):
            self._decisions[tier, reason] = self.metrics.cell(
                names.DECISIONS, tier=tier, reason=reason
            )
        for upstream in (*list(runtime.small.values())[:1], *runtime.providers):
            self.of(upstream, "chat")
        if Grader.JUDGE in runtime.graders:
            self.metrics.cell(names.JUDGES_USD)
        labels = {"tier": Tier.SMALL.value, "provider": ""}
        self.metrics.cell(names.REQUESTS, **labels, outcome="answered")
        for name in (names.INPUT_TOKENS, names.OUTPUT_TOKENS):
            self.metrics.cell(name, **labels)
