"""A GPU server's own metrics, in vLLM's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

if TYPE_CHECKING:
    from e2e.models.physics import Engine

LABELS = ("model_name", "engine")


class Metrics:
    """Counters and gauges of one server."""

    def __init__(self, model: str) -> None:
        self._registry = CollectorRegistry()
        names = {"model_name": model, "engine": "0"}

        def gauge(name: str) -> Gauge:
            made = Gauge(name, name, LABELS, registry=self._registry)
            return made.labels(**names)

        def counter(name: str) -> Counter:
            made = Counter(name, name, LABELS, registry=self._registry)
            return made.labels(**names)

        self._running = gauge("vllm:num_requests_running")
        self._waiting = gauge("vllm:num_requests_waiting")
        self._cache = gauge("vllm:kv_cache_usage_perc")
        self._prompt = counter("vllm:prompt_tokens")
        self._generated = counter("vllm:generation_tokens")
        self._success = Counter(
            "vllm:request_success",
            "vllm:request_success",
            (*LABELS, "finished_reason"),
            registry=self._registry,
        )
        self._names = names

    def started(self, input_tokens: int) -> None:
        """A request came in."""
        self._prompt.inc(input_tokens)

    def finished(self, output_tokens: int, reason: str) -> None:
        """A request ended."""
        self._generated.inc(output_tokens)
        self._success.labels(**self._names, finished_reason=reason).inc()

    def render(self, engine: Engine) -> bytes:
        """The exposition text."""
        self._running.set(len(engine.running))
        self._waiting.set(len(engine.waiting))
        self._cache.set(len(engine.running) / engine.speed.slots)
        return generate_latest(self._registry)
