"""One operator process: probes, webhooks, and, when it leads, the controller."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING, Final

from aiohttp import web

from overspill.api.sidecar_config import LenderConfig
from overspill.controller import admission, counter, probes
from overspill.controller.credentials import Credentials
from overspill.controller.election import ApiLease, Election
from overspill.controller.kube import Api, load_config
from overspill.controller.leading import Leadership
from overspill.controller.lending import Lender
from overspill.controller.live import LiveCluster
from overspill.controller.meters import Meters
from overspill.controller.trials import Keeper
from overspill.controller.webhook_tls import WebhookTLS

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from overspill.controller.settings import Settings

log = logging.getLogger(__name__)

DRAIN_S: Final = 5.0
"""How long webhooks are still answered after a signal: Services forget a pod with a delay."""
OK: Final = 0
LOST_LEASE: Final = 1


async def serve(settings: Settings) -> int:
    """Run until a signal arrives or the Lease is lost; return the exit status."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    meters = Meters()
    meters.leader.set(0)
    async with Api(await load_config()) as api, contextlib.AsyncExitStack() as stack:
        cluster = LiveCluster(api)
        tls = WebhookTLS(api, settings)
        await stack.enter_async_context(
            _site(probes.application(meters, lambda: tls.loaded), settings.http_port)
        )
        if not await _until(stop, tls.prepare()):
            return OK
        webhook = admission.application(settings, cluster.policies)
        counter.serve(webhook, Credentials(api), Lender(api), Keeper(api))
        await stack.enter_async_context(_site(webhook, settings.webhook_port, tls.context))
        await stack.enter_async_context(_background(tls.keep()))
        code = await _lead(api, cluster, meters, settings, stop, lambda: lender_of(tls, settings))
        if code == OK:
            await asyncio.sleep(DRAIN_S)
        return code


def lender_of(tls: WebhookTLS, settings: Settings) -> LenderConfig | None:
    """Say where sidecars get their leases: at every replica, by the webhook's Service."""
    if not settings.lend or not tls.ca_certificate:
        return None
    host = f"{settings.webhook_service}.{settings.operator_namespace}.svc"
    return LenderConfig(url=f"https://{host}", ca_certificate=tls.ca_certificate)


async def _lead(
    api: Api,
    cluster: LiveCluster,
    meters: Meters,
    settings: Settings,
    stop: asyncio.Event,
    lender: Callable[[], LenderConfig | None],
) -> int:
    """Lead, once it is our turn; return the exit status."""
    if not settings.leader_elect:
        await Leadership(cluster, meters, settings, _nothing, lender).run(stop)
        return OK
    store = ApiLease(api, settings.operator_namespace, settings.lease_name)
    election = Election(store, settings.identity)
    if not await _until(stop, election.acquire()):
        return OK
    leadership = Leadership(cluster, meters, settings, election.release, lender)
    # Started before kopf, which ends every task that was started after it.
    async with _background(_hold(election, leadership, stop)) as holding:
        try:
            await leadership.run(stop)
        finally:
            await election.release()
        return LOST_LEASE if holding.done() else OK


async def _hold(election: Election, leadership: Leadership, stop: asyncio.Event) -> None:
    try:
        await election.hold()
        log.error("the lease was lost: another process may lead, so this one ends")
    except Exception:  # whatever it was: who does not renew must not lead
        log.exception("the lease is not renewed any more: this process ends")
    leadership.abandon()
    stop.set()


async def _until(stop: asyncio.Event, work: Awaitable[None]) -> bool:
    """Do the work unless `stop` comes first; return whether it was done."""
    doing = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    done, pending = await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if doing in done:
        await doing
    return doing in done


async def _nothing() -> None:
    return


@contextlib.asynccontextmanager
async def _background(work: Awaitable[None]) -> AsyncIterator[asyncio.Future[None]]:
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _site(
    app: web.Application, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()


def _stop_on_signals(stop: asyncio.Event) -> None:
    """While kopf runs, its own handlers take these signals and end it, which ends us too."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
