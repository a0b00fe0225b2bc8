"""OpenTelemetry spans, one a request, with the gen_ai attributes. Needs `overspill[otel]`.

Loaded only where the environment names an OTLP endpoint; without it, `traceparent` is passed on as
it came. Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from overspill.sidecar.runtime import TRACE_HEADERS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

    from overspill.sidecar.exchange import Exchange

_CONTEXT = TraceContextTextMapPropagator()


class Tracer:
    """Makes spans and exports them in batches, in a thread of its own."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({"service.name": "overspill-sidecar"})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("overspill.sidecar")

    def begin(self, exchange: Exchange) -> OpenSpan:
        """Begin a request's span, below the client's where it sent one."""
        headers = exchange.request.headers
        carrier = {
            name.decode(): headers[name].decode("latin-1")
            for name in TRACE_HEADERS
            if name in headers
        }
        return OpenSpan(
            self._tracer.start_span(
                exchange.ingress.operation,
                context=_CONTEXT.extract(carrier),
                kind=SpanKind.CLIENT,
            )
        )

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class OpenSpan:
    """The span of a request under way."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def headers(self) -> dict[bytes, bytes]:
        """Return the headers that hang the upstream's spans below this one."""
        carrier: dict[str, str] = {}
        _CONTEXT.inject(carrier, set_span_in_context(self._span))
        return {name.encode(): value.encode() for name, value in carrier.items()}

    def end(self, exchange: Exchange) -> None:
        """Describe the request and end the span."""
        span = self._span
        span.set_attributes({**_decision(exchange), **_call(exchange)})
        if exchange.outcome != "answered":
            span.set_attribute("error.type", exchange.outcome)
            span.set_status(StatusCode.ERROR)
        span.end()


def _decision(exchange: Exchange) -> dict[str, str | int | float]:
    told: dict[str, str | int | float] = {
        "overspill.tier": exchange.tier.value,
        "overspill.reason": exchange.reason.value,
        "overspill.outcome": exchange.outcome,
    }
    if exchange.rule:
        told["overspill.rule"] = exchange.rule
    if exchange.tally is not None:
        told["overspill.cost_usd"] = exchange.tally.cost_usd_micros / 1e6
    return told


def _call(exchange: Exchange) -> dict[str, str | int | float]:
    asked, upstream, tally = exchange.asked, exchange.upstream, exchange.tally
    told: dict[str, str | int | float] = {"gen_ai.operation.name": exchange.ingress.operation}
    if asked is not None:
        told["gen_ai.request.model"] = asked.model
        if asked.max_tokens is not None:
            told["gen_ai.request.max_tokens"] = asked.max_tokens
    if upstream is not None:
        told["gen_ai.response.model"] = upstream.target.model
        told["gen_ai.provider.name"] = exchange.provider_name
        told["server.address"] = upstream.origin.host
        told["server.port"] = upstream.origin.port
    if tally is not None:
        told["gen_ai.usage.input_tokens"] = tally.usage.input_tokens
        told["gen_ai.usage.output_tokens"] = tally.usage.output_tokens
    return told
