"""The sidecar's state and its table of paths; each model call becomes an Exchange."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Final

from overspill.routing.capacity import SmallCapacity
from overspill.routing.complexity import MostUseful
from overspill.routing.decide import Tier
from overspill.sidecar.answer import JSON
from overspill.sidecar.exchange import Exchange
from overspill.sidecar.http import Connections
from overspill.sidecar.lender import lease_names
from overspill.sidecar.meters import Meters
from overspill.sidecar.metrics import Metrics
from overspill.sidecar.money import Money
from overspill.sidecar.request import Limits
from overspill.sidecar.room import Room
from overspill.sidecar.runtime import AUTO_MODEL, VERSION_HEADER, compile_runtime
from overspill.sidecar.trials import Trials
from overspill.sidecar.upstream import Pool
from overspill.telemetry import names
from overspill.wire.errors import Wire, openai_error
from overspill.wire.ingress import INGRESSES
from overspill.wire.models import models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from overspill.api.sidecar_config import SidecarConfig
    from overspill.sidecar.answer import Answer
    from overspill.sidecar.request import Request
    from overspill.sidecar.runtime import Runtime
    from overspill.sidecar.tracing import Tracer

TEXT: Final = b"content-type: text/plain; charset=utf-8\r\n"
METRICS_TEXT: Final = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
CALLS: Final = {path.encode(): ingress for path, ingress in INGRESSES.items()}
SERVED: Final = f"POST {', '.join(INGRESSES)}; GET /v1/models, /healthz, /readyz, /metrics"
_STRANGE_PAGE: Final = (
    "origin: a web page asks, and any page may send this much unasked; "
    "send content-type: application/json"
)
ADMIN_LIMITS: Final = Limits(body_bytes=2**10, header_bytes=2**13, pipelined=4)
ADMIN_CONNECTIONS: Final = 128
"""Any pod of the cluster may come, and must cost no app its sidecar."""
log = logging.getLogger(__name__)


class Proxy:
    """Everything that the requests of one sidecar share. Made within its event loop."""

    def __init__(self, limits: Limits | None = None) -> None:
        # asked of a loop that is kept: finding the running one is a system call in Python 3.11
        self.now_s = asyncio.get_running_loop().time
        """The event loop's time: monotonic, and good to a millisecond."""
        self.limits = limits or Limits()
        self.draining = False
        self.connections = Connections()
        self.capacity = SmallCapacity()
        self.room = Room(self.capacity)
        self.most_useful = MostUseful(0.0)
        self.pool = Pool()
        self.metrics = Metrics("")
        self.meters = Meters(self.metrics)
        self.runtime: Runtime | None = None
        self.problem = "no configuration yet"
        self.access_log: Callable[[Exchange], None] | None = None
        self.tracer: Tracer | None = None
        self.money = Money(self.now_s, lambda: self.meters.offered_usd_micros)
        self.trials = Trials(self, lease_names())

    # -- configuration
    def configure(self, config: SidecarConfig, folder: Path) -> None:
        """Use this configuration from the next request on; requests under way keep theirs.

        One that cannot be compiled leaves everything as it was.
        """
        purses = self.money.prepare(config, folder)
        runtime = compile_runtime(config, folder, self.runtime, purses.main, purses.trials)
        self.trials.configure(runtime, folder)
        self.money.use(purses)
        if self.runtime is None:
            self.metrics = Metrics(config.policy)
            self.meters = Meters(self.metrics)
        self.runtime = runtime
        self.most_useful.share = runtime.frontier_share
        self.capacity.configure(config.small.endpoints, config.small.slots_per_endpoint)
        upstreams = (*self.runtime.providers, *self.runtime.small.values())
        self.pool.keep_only({upstream.origin for upstream in upstreams})
        self.problem = ""
        self.meters.show_from_zero(self.runtime)
        self.room.call_next()

    # -- clocks
    def unix_s(self) -> float:
        """Unix time."""
        return time.time()

    # -- requests
    async def handle(self, request: Request, answer: Answer) -> None:
        """Answer one request; nothing it raises takes the sidecar down."""
        ingress = CALLS.get(request.path) if request.method == b"POST" else None
        try:
            if ingress is None:
                self._other(request, answer)
            elif b"origin" in request.headers and not _is_json(request):
                answer.send(403, ingress.error(403, _STRANGE_PAGE), JSON)
            elif self.runtime is None:
                body = ingress.error(503, f"the sidecar is not ready: {self.problem}")
                answer.send(503, body, JSON + b"retry-after: 1\r\n")
            else:
                await Exchange(self, self.runtime, ingress, request, answer).run()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception(json.dumps({"event": "internal error", "path": _shown(request.path)}))
            if not answer.started:
                words = ingress.error if ingress else openai_error
                answer.send(500, words(500, "internal error of the sidecar"), JSON)

    def _other(self, request: Request, answer: Answer) -> None:
        if request.path == b"/v1/models" and request.method in (b"GET", b"HEAD"):
            self._models(request, answer)
        else:
            self.admin(request, answer)

    def _models(self, request: Request, answer: Answer) -> None:
        config = self.runtime.config if self.runtime else None
        known = (*config.hosted, *config.frontier) if config else ()
        found = [config.small.model, *(one.model for one in known)] if config else []
        wire = Wire.ANTHROPIC if VERSION_HEADER in request.headers else Wire.OPENAI
        answer.send(200, models(wire, [*dict.fromkeys([AUTO_MODEL, *found])]), JSON)

    def admin(self, request: Request, answer: Answer) -> None:
        """Health, readiness and metrics."""
        if request.method not in (b"GET", b"HEAD"):
            self._unknown(request, answer)
        elif request.path == b"/healthz":
            answer.send(200, b"ok\n", TEXT)
        elif request.path == b"/readyz":
            trouble = "draining" if self.draining else "" if self.runtime else self.problem
            answer.send(503 if trouble else 200, f"{trouble or self._state()}\n".encode(), TEXT)
        elif request.path == b"/metrics":
            self._gauges()
            answer.send(200, self.metrics.render(), METRICS_TEXT)
        else:
            self._unknown(request, answer)

    def _state(self) -> str:
        generation = self.runtime.config.generation if self.runtime else 0
        return f"ok, generation {generation}" + (f"; {self.problem}" if self.problem else "")

    def _unknown(self, request: Request, answer: Answer) -> None:
        asked = f"{_shown(request.method)} {_shown(request.path)}"
        message = f"{asked} is not served here; there is {SERVED}"
        answer.send(404, openai_error(404, message), JSON)

    def _gauges(self) -> None:
        cell = self.metrics.cell
        cell(names.SMALL_SLOTS).value = float(self.capacity.slots)
        cell(names.IN_FLIGHT, tier=Tier.SMALL).value = float(self.capacity.in_flight)
        cell(names.QUEUED).value = float(self.room.waiting)
        self.metrics.end(names.LEASE_USD, names.LEASE_SPENT_USD, names.CREDENTIAL_MISSING)
        if self.money.purse is not None:
            book = self.money.purse.wallet.book
            cell(names.LEASE_USD).value = book.ceiling / 1e6
            cell(names.LEASE_SPENT_USD).value = book.spent / 1e6
        for provider in self.runtime.providers if self.runtime else ():
            missing = not (provider.credential and provider.credential.key())
            cell(names.CREDENTIAL_MISSING, provider=provider.name).value = float(missing)

    # -- leaving
    async def give_back(self) -> None:
        """Tell of the last trials and return the leases: the last thing a sidecar does.

        Both at once: an operator that does not listen to the one must not cost the other.
        """
        await self.trials.stop()
        await asyncio.gather(self.trials.close(), self.money.close())

    async def drain(self, grace_s: float) -> bool:
        """Finish what is under way; say whether all of it ended in time."""
        self.draining = True
        for connection in list(self.connections):
            connection.close_if_idle()
        deadline_s = self.now_s() + grace_s
        while self.connections:  # a closed one stays until its last byte has gone out
            if self.now_s() > deadline_s:
                return False
            await asyncio.sleep(0.05)
        return True


def _is_json(request: Request) -> bool:
    """Whether a browser would have asked before it sent this for a page of another site."""
    kind = request.headers.get(b"content-type", b"").partition(b";")[0]
    return kind.strip().lower() == b"application/json"


def _shown(raw: bytes) -> str:
    return raw[:200].decode("latin-1")


class Admin:
    """The second listener, for the kubelet and Prometheus: no traffic, only how it goes."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.limits = ADMIN_LIMITS
        self.draining = False
        self.connections = Connections(ADMIN_CONNECTIONS)

    async def handle(self, request: Request, answer: Answer) -> None:
        """Answer one request."""
        self._proxy.admin(request, answer)
