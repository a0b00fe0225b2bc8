"""One leader by a Lease.

The client library's election neither releases the Lease on shutdown nor survives a dropped
connection, and compares two machines' clocks; this one follows client-go: a candidate takes a
Lease over once it has itself seen no renewal for the Lease's whole duration.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from overspill.controller.errors import Conflict, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from overspill.controller.keys import Manifest
    from overspill.controller.kube import Api

log = logging.getLogger(__name__)

DURATION_S: Final = 15.0
RENEW_WITHIN_S: Final = 10.0
RETRY_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A Lease's record and when this process first saw it like that, by its own clock."""

    record: tuple[Any, ...]
    at_s: float


class LeaseStore(Protocol):
    """Where the Lease is kept. Raises: Conflict, Refused, Unavailable."""

    async def read(self) -> Manifest | None:
        """Return the Lease, None where there is none."""

    async def write(self, lease: Manifest) -> None:
        """Create it, or replace exactly the version that was read."""


def sighting(before: Sighting | None, lease: Manifest, now_s: float) -> Sighting:
    """Note a Lease; one that has not changed keeps the time of its first sighting."""
    spec = lease.get("spec") or {}
    record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
    if before is not None and before.record == record:
        return before
    return Sighting(record=record, at_s=now_s)


def may_take(lease: Manifest, seen: Sighting, me: str, now_s: float) -> bool:
    """Whether the Lease is mine, free, or has not been renewed for its whole duration."""
    spec = lease.get("spec") or {}
    holder = spec.get("holderIdentity")
    duration_s = spec.get("leaseDurationSeconds") or DURATION_S
    return not holder or holder == me or now_s - seen.at_s > duration_s


def claimed(lease: Manifest, me: str, now: datetime) -> Manifest:
    """Return the Lease as held by me; everything else about it stays."""
    spec = dict(lease.get("spec") or {})
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if spec.get("holderIdentity") != me:
        spec["acquireTime"] = stamp
        spec["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + 1
    spec |= {"holderIdentity": me, "renewTime": stamp, "leaseDurationSeconds": int(DURATION_S)}
    return lease | {"spec": spec}


def released(lease: Manifest) -> Manifest:
    """Return the Lease as free: the next candidate takes it at its next try."""
    return lease | {"spec": (lease.get("spec") or {}) | {"holderIdentity": ""}}


class Election:
    """One candidate. Everything is bounded by `RENEW_WITHIN_S`, less than the Lease's duration."""

    def __init__(
        self, store: LeaseStore, me: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._me = me
        self._clock = clock
        self._seen: Sighting | None = None
        self._over = False
        self._renewed_s = 0.0
        """When the last write that counts was asked for: others count from when it was done."""

    async def acquire(self) -> None:
        """Return once this process leads."""
        while not await self.attempt():  # noqa: ASYNC110 - the Lease has nothing to wait on
            await asyncio.sleep(RETRY_S)
        log.info("leading as %s", self._me)

    async def hold(self) -> None:
        """Renew; return when the Lease could not be renewed in time and is to be taken as lost."""
        while self._clock() - self._renewed_s < RENEW_WITHIN_S:
            await asyncio.sleep(RETRY_S)
            left_s = RENEW_WITHIN_S - (self._clock() - self._renewed_s)
            try:
                renewed = await asyncio.wait_for(self.attempt(), max(left_s, 0.1))
                if not renewed and self._somebody_else_leads():
                    return
            except TimeoutError:
                return

    async def release(self) -> None:
        """Give the Lease back, if it is ours. Best effort: it runs out by itself."""
        self._over = True
        try:
            lease = await self._store.read()
            if lease and (lease.get("spec") or {}).get("holderIdentity") == self._me:
                await self._store.write(released(lease))
                log.info("gave the lease back")
        except (Refused, Unavailable) as error:
            log.warning("the lease was not given back and runs out: %s", error)

    async def attempt(self) -> bool:
        """Try once to take or renew the Lease; return whether this process leads."""
        if self._over:
            return False
        asked_s = self._clock()
        try:
            lease = await self._store.read() or {}
            self._seen = sighting(self._seen, lease, self._clock())
            if lease and not may_take(lease, self._seen, self._me, self._clock()):
                return False
            await self._store.write(claimed(lease, self._me, datetime.now(UTC)))
        except Conflict:
            return False
        except (Refused, Unavailable) as error:
            log.warning("the lease could not be had: %s", error)
            return False
        self._renewed_s = asked_s
        return True

    def _somebody_else_leads(self) -> bool:
        holder = self._seen.record[0] if self._seen else None
        return bool(holder) and holder != self._me


class ApiLease:
    """A Lease behind the API server; writes are compare-and-swap by resourceVersion."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api = api
        self._folder = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name

    async def read(self) -> Manifest | None:
        """Return the Lease, None where there is none."""
        try:
            return await self._api.get(f"{self._folder}/{self._name}")
        except NotFound:
            return None

    async def write(self, lease: Manifest) -> None:
        """Create it, or replace exactly the version that was read."""
        if "metadata" in lease:
            await self._api.replace(f"{self._folder}/{self._name}", lease)
            return
        new = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
        }
        await self._api.create(self._folder, new | lease)
