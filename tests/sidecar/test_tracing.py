"""Spans as a real OTLP endpoint receives them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from e2e.models.ledger import Ledger, Prices
from overspill.sidecar.tracing import Tracer
from tests.sidecar.stage import Stage, serving

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

pytestmark = pytest.mark.asyncio
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """What an OpenTelemetry collector does on /v1/traces."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/v1/traces", self.take)])
        return app

    async def take(self, request: web.Request) -> web.Response:
        found = ExportTraceServiceRequest.FromString(await request.read())
        for resource in found.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return web.Response(content_type="application/x-protobuf")


def attributes(span: Span) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, str(pair.value.WhichOneof("value")))
        for pair in span.attributes
    }


async def test_a_request_is_a_span_below_the_clients_and_above_the_upstreams(stage: Stage) -> None:
    collector = Collector()
    async with serving(collector.application(), Ledger(Prices())) as made:
        tracer = Tracer(OTLPSpanExporter(endpoint=f"http://{made.address}/v1/traces"))
        stage.proxy.tracer = tracer
        body = {"model": "m", "messages": [{"role": "user", "content": "[[in=10]][[out=5]]"}]}
        async with httpx.AsyncClient() as client:
            await client.post(
                f"{stage.url}/chat/completions",
                json=body,
                headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "x-priority": "high"},
            )
        await asyncio.to_thread(tracer.close)
    (span,) = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert stage.opus.ledger.last_headers.count("traceparent") == 1
    told = attributes(span)
    wanted = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "opus",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "overspill.tier": "frontier",
        "overspill.reason": "RuleMatched",
        "overspill.rule": "partner",
    }
    assert {name: told[name] for name in wanted} == wanted
    assert told["overspill.cost_usd"] == pytest.approx(175e-6)
