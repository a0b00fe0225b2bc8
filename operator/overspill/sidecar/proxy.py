"""The sidecar's server: routes requests to handlers, holds what they share, drains."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Final

from overspill.routing.capacity import SmallCapacity
from overspill.routing.decide import Reason, Tier
from overspill.sidecar.exchange import Exchange
from overspill.sidecar.http import JSON, Connection, Limits
from overspill.sidecar.messages import COUNT_TOKENS, MESSAGES, MessagesExchange
from overspill.sidecar.metrics import Metrics
from overspill.sidecar.runtime import compile_runtime
from overspill.sidecar.upstream import Pool
from overspill.telemetry import names
from overspill.wire.errors import openai_error

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.api.sidecar_config import SidecarConfig
    from overspill.sidecar.http import Answer, Headers, Request
    from overspill.sidecar.runtime import Runtime

TEXT: Final[Headers] = [(b"content-type", b"text/plain; charset=utf-8")]
METRICS_TEXT: Final[Headers] = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
EXCHANGES: Final[dict[tuple[str, str], type[Exchange]]] = {
    ("POST", "/v1/chat/completions"): Exchange,
    ("POST", MESSAGES): MessagesExchange,
    ("POST", MESSAGES + COUNT_TOKENS): MessagesExchange,
}
SERVED: Final = (
    "POST /v1/chat/completions, POST /v1/messages, GET /v1/models, /healthz, /readyz, /metrics"
)
log = logging.getLogger(__name__)


class Proxy:
    """Everything that the requests of one sidecar share."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.draining = False
        self.connections: set[Connection] = set()
        self.capacity = SmallCapacity()
        self.pool = Pool()
        self.metrics = Metrics("")
        self.runtime: Runtime | None = None
        self.problem = "no configuration yet"

    # -- configuration
    def configure(self, config: SidecarConfig, folder: Path) -> None:
        """Use this configuration from the next request on; requests under way keep theirs."""
        if self.runtime is None:
            self.metrics = Metrics(config.policy)
        self.runtime = compile_runtime(config, folder)
        self.capacity.configure(config.small.endpoints, config.small.slots_per_endpoint)
        used = {provider.origin for provider in self.runtime.providers}
        self.pool.keep_only(used.union(self.runtime.origins.values()))
        self.problem = ""
        self._show_from_zero(self.runtime)

    def _show_from_zero(self, runtime: Runtime) -> None:
        cell = self.metrics.cell
        cell(names.WORK_TOKENS)
        cell(names.CONFIG_GENERATION).value = float(runtime.config.generation)
        for eligible in ("true", "false"):
            cell(names.FRONTIER_EQUIVALENT_USD, eligible=eligible)
        for tier, reason in ((Tier.SMALL, Reason.SMALL_FITS), (Tier.FRONTIER, Reason.SLOTS_FULL)):
            cell(names.DECISIONS, tier=tier, reason=reason)
        sources = [(Tier.SMALL, ""), *((Tier.FRONTIER, p.name) for p in runtime.providers)]
        for tier, provider in sources:
            cell(names.REQUESTS, tier=tier, provider=provider, outcome="answered")
            cell(names.INPUT_TOKENS, tier=tier, provider=provider)
            cell(names.OUTPUT_TOKENS, tier=tier, provider=provider)
        for payee in runtime.providers:
            cell(names.SPEND_USD, provider=payee.name)

    # -- clocks
    def now_s(self) -> float:
        """Monotonic time."""
        return time.monotonic()

    def unix_s(self) -> float:
        """Unix time."""
        return time.time()

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """Bound a wait."""
        return asyncio.timeout(seconds)

    # -- requests
    async def handle(self, request: Request, answer: Answer) -> None:
        """Answer one request; nothing it raises takes the sidecar down."""
        try:
            await self._dispatch(request, answer)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception(json.dumps({"event": "internal error", "path": request.path}))
            if not answer.started:
                answer.send(500, openai_error(500, "internal error of the sidecar"), JSON)

    async def _dispatch(self, request: Request, answer: Answer) -> None:
        route = (request.method, request.path)
        if exchange := EXCHANGES.get(route):
            await self._exchange(exchange, request, answer)
        elif route == ("GET", "/v1/models"):
            self._models(answer)
        else:
            self.admin(request, answer)

    async def _exchange(self, exchange: type[Exchange], request: Request, answer: Answer) -> None:
        if self.runtime is None:
            body = openai_error(503, f"the sidecar is not ready: {self.problem}")
            answer.send(503, body, [*JSON, (b"retry-after", b"1")])
            return
        await exchange(self, self.runtime, request, answer).run()

    def _models(self, answer: Answer) -> None:
        config = self.runtime.config if self.runtime else None
        found = [config.small.model, *(f.model for f in config.frontier)] if config else []
        cards = [
            {"id": name, "object": "model", "created": 0, "owned_by": "overspill"}
            for name in dict.fromkeys(["overspill/auto", *found])
        ]
        answer.send(200, json.dumps({"object": "list", "data": cards}).encode(), JSON)

    def admin(self, request: Request, answer: Answer) -> None:
        """Health, readiness and metrics."""
        if request.method not in ("GET", "HEAD"):
            self._unknown(request, answer)
        elif request.path == "/healthz":
            answer.send(200, b"ok\n", TEXT)
        elif request.path == "/readyz":
            trouble = "draining" if self.draining else "" if self.runtime else self.problem
            answer.send(503 if trouble else 200, f"{trouble or self._state()}\n".encode(), TEXT)
        elif request.path == "/metrics":
            self._gauges()
            answer.send(200, self.metrics.render(), METRICS_TEXT)
        else:
            self._unknown(request, answer)

    def _state(self) -> str:
        generation = self.runtime.config.generation if self.runtime else 0
        return f"ok, generation {generation}" + (f"; {self.problem}" if self.problem else "")

    def _unknown(self, request: Request, answer: Answer) -> None:
        message = f"{request.method} {request.path} is not served here; there is {SERVED}"
        answer.send(404, openai_error(404, message), JSON)

    def _gauges(self) -> None:
        cell = self.metrics.cell
        cell(names.SMALL_SLOTS).value = float(self.capacity.slots)
        cell(names.IN_FLIGHT, tier=Tier.SMALL).value = float(self.capacity.in_flight)
        for provider in self.runtime.providers if self.runtime else ():
            missing = not provider.credential.key()
            cell(names.CREDENTIAL_MISSING, provider=provider.name).value = float(missing)

    # -- leaving
    async def drain(self, grace_s: float) -> bool:
        """Finish what is under way; say whether all of it ended in time."""
        self.draining = True
        for connection in list(self.connections):
            connection.close_if_idle()
        deadline_s = self.now_s() + grace_s
        while any(connection.busy for connection in self.connections):
            if self.now_s() > deadline_s:
                return False
            await asyncio.sleep(0.05)
        return True


class Admin:
    """The second listener, for the kubelet and Prometheus: no traffic, only how it goes."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.limits = Limits(body_bytes=2**16)
        self.draining = False
        self.connections: set[Connection] = set()

    async def handle(self, request: Request, answer: Answer) -> None:
        """Answer one request."""
        self._proxy.admin(request, answer)
