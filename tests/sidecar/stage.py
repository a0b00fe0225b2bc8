"""A sidecar between model doubles, all in one process on loopback."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from e2e.models.answering import Worker
from e2e.models.anthropic_server import AnthropicServer
from e2e.models.ledger import Ledger, Prices
from e2e.models.openai_server import OpenAIServer
from e2e.models.physics import Speed
from overspill.api.sidecar_config import SidecarConfig
from overspill.sidecar.http import Connection
from overspill.sidecar.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overspill.sidecar.request import Limits

FAST = Speed(
    slots=8, output_tokens_per_s=1e9, max_stream_tokens_per_s=100, prefill_tokens_per_s=1e9
)
SCALE = 50.0
KEY = "sk-provider"
PRICE = {"inputPerMTok": "5", "outputPerMTok": "25"}


@dataclass(frozen=True)
class Double:
    """A running model double."""

    port: int
    ledger: Ledger

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(app: web.Application, ledger: Ledger, port: int = 0) -> AsyncIterator[Double]:
    """Serve a double, on a port of its own unless told which.

    Its handlers are cancelled when their client goes.
    """
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    assert site._server
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield Double(port, ledger)
    finally:
        await runner.cleanup()


def small_app(scale: float = SCALE) -> tuple[web.Application, Ledger]:
    """An OpenAI-speaking small model."""
    ledger = Ledger(Prices())
    server = OpenAIServer(model="glm", worker=Worker(FAST, scale), ledger=ledger)
    return server.application(), ledger


def anthropic_app(scale: float = SCALE) -> tuple[web.Application, Ledger]:
    """An Anthropic-speaking frontier."""
    ledger = Ledger(Prices(input=5, output=25))
    server = AnthropicServer(model="opus", worker=Worker(FAST, scale), ledger=ledger, api_key=KEY)
    return server.application(), ledger


def openai_app(scale: float = SCALE) -> tuple[web.Application, Ledger]:
    """An OpenAI-speaking frontier."""
    ledger = Ledger(Prices(input=5, output=25))
    server = OpenAIServer(
        model="gpt-frontier", worker=Worker(FAST, scale), ledger=ledger, api_key=KEY
    )
    return server.application(), ledger


@dataclass
class Stage:
    """Everything a test talks to."""

    proxy: Proxy
    port: int
    small: list[Double]
    opus: Double
    gpt: Double
    folder: Path
    base: dict[str, Any]

    def configure(self, **changes: Any) -> None:  # noqa: ANN401 - any JSON value
        """Let the sidecar use the stage's configuration with these fields changed."""
        self.base = self.base | changes
        self.proxy.configure(SidecarConfig.model_validate(self.base), self.folder)

    @property
    def url(self) -> str:
        """What an app sets as OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def metric(self, name: str, **labels: str) -> float:
        """Value of one series; 0 where it is not there."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in self.proxy.metrics.render().decode().splitlines():
            series, _, value = line.rpartition(" ")
            if series.startswith(name + "{") and wanted <= set(
                series[len(name) + 1 : -1].split(",")
            ):
                return float(value)
        return 0.0


@asynccontextmanager
async def staged(
    folder: Path, *, small: int = 1, small_scale: float = SCALE, limits: Limits | None = None
) -> AsyncIterator[Stage]:
    """Start everything."""
    (folder / "credentials").mkdir()
    for name in ("opus", "gpt"):
        (folder / "credentials" / name).write_text(KEY + "\n")
    async with AsyncExitStack() as stack:
        smalls = [
            await stack.enter_async_context(serving(*small_app(small_scale))) for _ in range(small)
        ]
        opus = await stack.enter_async_context(serving(*anthropic_app()))
        gpt = await stack.enter_async_context(serving(*openai_app()))
        proxy = Proxy(limits)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(proxy), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        stage = Stage(proxy, port, smalls, opus, gpt, folder, _config(smalls, opus, gpt))
        stage.configure()
        try:
            yield stage
        finally:
            server.close()
            for connection in list(proxy.connections):
                connection.close()
            proxy.pool.close()
            await asyncio.sleep(0)  # let the transports say good-bye


def _config(smalls: list[Double], opus: Double, gpt: Double) -> dict[str, Any]:
    def frontier(name: str, api: str, model: str, double: Double) -> dict[str, Any]:
        return {
            "name": name,
            "api": api,
            "baseURL": f"http://{double.address}",
            "model": model,
            "credentialFile": f"credentials/{name}",
            "price": PRICE,
            "maxOutputTokens": 4096,
        }

    header = {"name": "x-priority", "value": "high"}
    return {
        "policy": "test/chat",
        "generation": 1,
        "mode": "Enforce",
        "small": {
            "model": "glm",
            "contextWindow": 32768,
            "endpoints": [double.address for double in smalls],
            "slotsPerEndpoint": 4,
            "inputTokenWeight": "0.1",
            "firstTokenDeadlineS": 5.0,
        },
        "frontier": [
            frontier("opus", "Anthropic", "opus", opus),
            frontier("gpt", "OpenAI", "gpt-frontier", gpt),
        ],
        "rules": [{"name": "partner", "when": {"header": header}, "tier": "Frontier"}],
    }
