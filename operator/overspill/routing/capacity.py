"""Room at the small tier as one sidecar sees it: slots per endpoint, and who is out of favour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from overspill.routing.affinity import Ring
from overspill.routing.health import Health
from overspill.routing.limit import ConcurrencyLimit
from overspill.routing.queue import DrainRate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

HOME_LOAD: Final = 1.25
"""A conversation stays at its home while that is at most this many times as busy as the mean.
Source: Mirrokni et al. (2016), "Consistent hashing with bounded loads", arXiv:1608.01350."""
HOME_SLOTS: Final = 0.5
"""And while less than this share of its slots is taken: with little going on the mean says nothing,
and two requests are many times it."""


@dataclass(slots=True)
class _Endpoint:
    address: str
    limit: ConcurrencyLimit
    health: Health = field(default_factory=Health)
    in_flight: int = 0

    def has_room(self, now_s: float) -> bool:
        if self.in_flight >= self.limit.slots:
            return False
        health = self.health
        return not health.failures or health.usable(now_s)


class Slot(msgspec.Struct, frozen=True, gc=False):
    """Room for one request at one endpoint, until it is released."""

    address: str
    endpoint: _Endpoint
    taken_s: float
    probe: int
    """What the endpoint's `Health.tried` said."""


class SmallCapacity:
    """Slots of all endpoints. Time is an argument."""

    def __init__(self) -> None:
        self._endpoints: dict[str, _Endpoint] = {}
        self._leaving: dict[str, _Endpoint] = {}
        self._ring = Ring(())
        self.drain = DrainRate()

    def configure(self, endpoints: Iterable[str], slots_per_endpoint: int) -> None:
        """Take over a new list; requests in flight stay counted, and what was learned stays."""
        known = {**self._leaving, **self._endpoints}
        before = set(self._endpoints)
        self._endpoints = {
            address: known.get(address) or _Endpoint(address, ConcurrencyLimit(slots_per_endpoint))
            for address in endpoints
        }
        for endpoint in self._endpoints.values():
            endpoint.limit.reseed(slots_per_endpoint)
        self._leaving = {
            address: endpoint
            for address, endpoint in known.items()
            if address not in self._endpoints and endpoint.in_flight
        }
        if before != set(self._endpoints):
            self._ring = Ring(self._endpoints)

    @property
    def slots(self) -> int:
        """Requests that may be in flight, over all endpoints."""
        return sum(endpoint.limit.slots for endpoint in self._endpoints.values())

    @property
    def in_flight(self) -> int:
        """Requests in flight, at endpoints that are leaving too."""
        everyone = (*self._endpoints.values(), *self._leaving.values())
        return sum(endpoint.in_flight for endpoint in everyone)

    @property
    def several(self) -> bool:
        """Whether there is a choice of endpoints, so that a conversation may have a home."""
        return len(self._endpoints) > 1

    def has_room(self, now_s: float) -> bool:
        """Whether a slot is free now."""
        return any(endpoint.has_room(now_s) for endpoint in self._endpoints.values())

    def has_healthy(self, by_s: float) -> bool:
        """Whether any endpoint, full or not, is in favour or will be by then."""
        return any(endpoint.health.ejected_until_s <= by_s for endpoint in self._endpoints.values())

    def next_return_s(self, now_s: float) -> float:
        """When the next ejection ends; infinity where no endpoint is ejected."""
        ends = [endpoint.health.ejected_until_s for endpoint in self._endpoints.values()]
        return min((end_s for end_s in ends if end_s > now_s), default=float("inf"))

    def acquire(
        self, now_s: float, without: Collection[str] = (), conversation: int | None = None
    ) -> Slot | None:
        """Take a slot: at the conversation's home unless that is busy, else where least is going
        on. Return None where there is no room.
        """
        best = self._home(now_s, without, conversation) or self._least_loaded(now_s, without)
        if best is None:
            return None
        best.in_flight += 1
        return Slot(best.address, best, now_s, best.health.tried())

    def _home(
        self, now_s: float, without: Collection[str], conversation: int | None
    ) -> _Endpoint | None:
        address = None if conversation is None else self._ring.home(conversation)
        if address is None or address in without:
            return None
        home = self._endpoints[address]
        if not home.has_room(now_s):
            return None
        if home.in_flight < HOME_SLOTS * home.limit.slots:
            return home
        mean = self.in_flight / len(self._endpoints)
        return home if home.in_flight <= HOME_LOAD * mean else None

    def _least_loaded(self, now_s: float, without: Collection[str]) -> _Endpoint | None:
        best: _Endpoint | None = None
        for address, endpoint in self._endpoints.items():
            if address in without or not endpoint.has_room(now_s):
                continue
            if best is None or endpoint.in_flight < best.in_flight:
                best = endpoint
        return best

    def release(self, slot: Slot, now_s: float) -> None:
        """Give the slot back."""
        endpoint = slot.endpoint
        endpoint.in_flight -= 1
        endpoint.health.ended(slot.probe)
        self.drain.freed(now_s)
        if self._leaving and not endpoint.in_flight:
            self._leaving.pop(slot.address, None)

    def answered(self, slot: Slot, *, in_time: bool | None, now_s: float) -> None:
        """The endpoint answered: in time, late, or where nobody can tell, None."""
        endpoint = slot.endpoint
        endpoint.health.succeeded(slot.taken_s)
        if in_time:
            endpoint.limit.in_time(endpoint.in_flight)
        elif in_time is not None:
            endpoint.limit.overloaded(endpoint.in_flight, now_s)

    def overloaded(self, slot: Slot, now_s: float) -> None:
        """The endpoint did not begin in time, or refused for load; nothing else is wrong."""
        slot.endpoint.limit.overloaded(slot.endpoint.in_flight, now_s)

    def failed(self, slot: Slot, now_s: float) -> None:
        """The endpoint did not answer: keep off it for a while. To be followed by `release`."""
        slot.endpoint.health.failed(slot.taken_s, now_s)
