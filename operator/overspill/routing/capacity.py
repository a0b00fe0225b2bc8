"""Room at the small tier as one sidecar sees it: slots per endpoint, and who is out of favour.

A failed endpoint is ejected for a time that doubles with each further failure; after that one
request probes it, and only its success lets others follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

FIRST_EJECTION_S = 1.0
LONGEST_EJECTION_S = 30.0


@dataclass(slots=True)
class _Endpoint:
    in_flight: int = 0
    failures: int = 0
    ejected_until_s: float = 0.0


class SmallCapacity:
    """Slots of all endpoints. Time is an argument."""

    def __init__(self) -> None:
        self._endpoints: dict[str, _Endpoint] = {}
        self._leaving: dict[str, _Endpoint] = {}
        self._slots = 1

    def configure(self, endpoints: Iterable[str], slots_per_endpoint: int) -> None:
        """Take over a new list; requests in flight stay counted."""
        known = {**self._leaving, **self._endpoints}
        self._slots = slots_per_endpoint
        self._endpoints = {address: known.get(address, _Endpoint()) for address in endpoints}
        self._leaving = {
            address: endpoint
            for address, endpoint in known.items()
            if address not in self._endpoints and endpoint.in_flight
        }

    @property
    def slots(self) -> int:
        """Requests that may be in flight, over all endpoints."""
        return self._slots * len(self._endpoints)

    @property
    def in_flight(self) -> int:
        """Requests in flight, at endpoints that are leaving too."""
        everyone = (*self._endpoints.values(), *self._leaving.values())
        return sum(endpoint.in_flight for endpoint in everyone)

    def has_healthy(self, now_s: float, without: Collection[str] = ()) -> bool:
        """Whether any endpoint, full or not, would be tried."""
        return any(
            endpoint.ejected_until_s <= now_s
            for address, endpoint in self._endpoints.items()
            if address not in without
        )

    def acquire(self, now_s: float, without: Collection[str] = ()) -> str | None:
        """Take a slot at the least loaded endpoint; None where there is no room."""
        best: tuple[int, str] | None = None
        for address, endpoint in self._endpoints.items():
            if address in without or not self._has_room(endpoint, now_s):
                continue
            if best is None or endpoint.in_flight < best[0]:
                best = (endpoint.in_flight, address)
        if best is None:
            return None
        self._endpoints[best[1]].in_flight += 1
        return best[1]

    def _has_room(self, endpoint: _Endpoint, now_s: float) -> bool:
        if endpoint.failures:  # ejected, or half open: one probe at a time
            return endpoint.ejected_until_s <= now_s and endpoint.in_flight == 0
        return endpoint.in_flight < self._slots

    def release(self, address: str) -> None:
        """Give the slot back."""
        endpoint = self._endpoints.get(address) or self._leaving.get(address)
        if endpoint is None:
            return
        endpoint.in_flight -= 1
        if not endpoint.in_flight:
            self._leaving.pop(address, None)

    def succeeded(self, address: str) -> None:
        """The endpoint answered: it is in favour again."""
        if endpoint := self._endpoints.get(address):
            endpoint.failures = 0

    def failed(self, address: str, now_s: float) -> None:
        """The endpoint did not answer: keep off it for a while."""
        if endpoint := self._endpoints.get(address):
            away_s = min(FIRST_EJECTION_S * 2**endpoint.failures, LONGEST_EJECTION_S)
            endpoint.failures += 1
            endpoint.ejected_until_s = now_s + away_s
