"""Which endpoint a conversation belongs to, so that its prefix is in that endpoint's cache.

A hash ring: the same on every sidecar, and a changed list of endpoints moves few conversations.
Source: Karger et al. (1997), doi:10.1145/258533.258660.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable

POINTS: Final = 64
"""Of each endpoint on the ring: conversations spread within some 15%."""


class Ring:
    """Endpoints on a ring of hashes."""

    __slots__ = ("_addresses", "_hashes")

    def __init__(self, addresses: Iterable[str]) -> None:
        points = sorted(
            (crc32(f"{address}/{point}".encode()), address)
            for address in addresses
            for point in range(POINTS)
        )
        self._hashes = [point[0] for point in points]
        self._addresses = [point[1] for point in points]

    def home(self, conversation: int) -> str | None:
        """Return the endpoint of a conversation; None where there is no endpoint."""
        if not self._hashes:
            return None
        return self._addresses[bisect_right(self._hashes, conversation) % len(self._hashes)]
