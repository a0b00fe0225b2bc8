"""The plain HTTP side of every replica: liveness, readiness, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

    from overspill.controller.meters import Meters


def application(meters: Meters, ready: Callable[[], bool]) -> web.Application:
    """Return the application; `ready` says whether webhooks are served."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if ready():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the webhook has no certificate yet\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=meters.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
