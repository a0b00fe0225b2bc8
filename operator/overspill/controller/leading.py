"""What only the leader does: watch, poll Prometheus, and look at policies again and again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, Any, Final, cast

import kopf

from overspill.controller import prometheus, watch
from overspill.controller.errors import Refused, Unavailable
from overspill.controller.reconcile import Reconciler
from overspill.controller.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from overspill.api.sidecar_config import LenderConfig
    from overspill.controller.keys import PolicyKey
    from overspill.controller.live import LiveCluster
    from overspill.controller.meters import Meters
    from overspill.controller.settings import Settings

log = logging.getLogger(__name__)

JITTER: Final = 0.2
"""Share of the interval over which the looks of one round are spread."""
CRD_RETRY_S: Final = 5.0


class Leadership:
    """The controller of one leader, from taking the Lease to giving it back."""

    def __init__(
        self,
        cluster: LiveCluster,
        meters: Meters,
        settings: Settings,
        on_stopped: Callable[[], Awaitable[None]],
        lender: Callable[[], LenderConfig | None],
    ) -> None:
        self._cluster = cluster
        self._meters = meters
        self._settings = settings
        self._on_stopped = on_stopped
        self._watched = watch.Indices()
        self._reconciler = Reconciler(
            cluster,
            self._watched,
            meters,
            interval_s=settings.interval_s,
            stale_after_s=settings.stale_after_s,
            window_s=settings.metrics_window_s,
            lender=lender,
            wake=self._wake,
        )
        self._queue: WorkQueue[PolicyKey] = WorkQueue(
            self._reconciler.look, workers=settings.workers
        )
        self._ask = prometheus.connect(settings.prometheus_url)
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._answered_s = time.time()

    def _wake(self, key: PolicyKey) -> None:
        self._queue.add(key)

    async def run(self, stop: asyncio.Event) -> None:
        """Lead until `stop` is set or a signal arrives. Raises what ended the controller's work."""
        self._stop = stop
        await self._wait_for_policies(stop)
        if stop.is_set():
            return
        registry = watch.registry(self._watched, self._queue, start=self._start, stop=self._finish)
        self._meters.leader.set(1)
        self._meters.metrics_age.set_function(lambda: time.time() - self._answered_s)
        try:
            await kopf.operator(
                registry=registry,
                settings=kopf.OperatorSettings(),
                standalone=True,
                # Else kopf looks up the user's name, which a pod's numeric user does not have.
                identity=cast("Any", self._settings.identity),
                clusterwide=not self._settings.namespaces,
                namespaces=self._settings.namespaces,
                stop_flag=stop,
            )
        finally:
            self._meters.leader.set(0)
        if self._running and not self._running.cancelled() and (why := self._running.exception()):
            raise why

    def abandon(self) -> None:
        """Stop acting at once: somebody else may lead already."""
        if self._running is not None:
            self._running.cancel()

    async def _wait_for_policies(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                if await self._cluster.serves_policies():
                    return
                log.warning("the CustomResourceDefinitions are not both installed; waiting")
            except (Refused, Unavailable) as error:
                log.warning("%s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CRD_RETRY_S)

    async def _start(self) -> None:
        self._running = asyncio.create_task(self._work(), name="overspill controller")
        self._running.add_done_callback(lambda _: self._stop.set())  # never lead without working

    async def _finish(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        await self._on_stopped()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run(), name="overspill workers")
            group.create_task(self._poll(), name="overspill poller")
            group.create_task(self._reconciler.tutor.run(), name="overspill tutor")

    async def _poll(self) -> None:
        """Ask Prometheus, then have every policy looked at with what it said."""
        while True:
            began_s = time.monotonic()
            self._reconciler.snapshot = await prometheus.take_snapshot(
                self._ask, self._settings.metrics_window_s, self._reconciler.period_starts_s()
            )
            if not self._reconciler.snapshot.failure:
                self._answered_s = time.time()
            for key in self._watched.all_keys():
                self._queue.add(key, random.uniform(0, JITTER * self._settings.interval_s))  # noqa: S311
            spent_s = time.monotonic() - began_s
            await asyncio.sleep(max(0.5, self._settings.interval_s - spent_s))
