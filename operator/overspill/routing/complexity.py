"""Which requests are among the most useful for the frontier: a share of the traffic of late."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from typing import Final

KEPT: Final = 1000
"""Requests that a new one is compared with. A share of 20% is then good to about 1.3%."""
CONVERSATIONS: Final = 4096

Place = tuple[float, int, int]
"""A request's expected gain, where that is equal what its conversation draws, and where it is the
same request again what that draws."""
_STEP: Final = 0x9E3779B1
"""2^32 by the golden ratio: its multiples draw evenly, however few or many."""


class MostUseful:
    """Lets the requests of the highest expected gains go up, and conversations stay there.

    What is high is told from traffic, so a score needs no scale of its own: with other prompts, or
    another score, the share stays.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self._latest: deque[tuple[Place, bool]] = deque()
        """With whether it went up for its conversation's sake alone."""
        self._sorted: list[Place] = []
        self._went_up: OrderedDict[int, int] = OrderedDict()
        """Conversations, and how large each was."""
        self._drawn = self._stayed = 0

    def admits(
        self,
        gain: float,
        conversation: int,
        *,
        size_bytes: int,
        goes_on: bool,
        limit: float | None = None,
    ) -> bool:
        """Say whether a request goes up: by its share, or from `limit` on where one is given.

        A conversation that went up stays: there it is known, and its prompt may be cached. What
        goes up for that alone is left out of the share that others have.
        `goes_on`: earlier turns of its conversation came before. A conversation grows: what begins
        like it, as with examples that an app gives as turns, and is no larger, is another.
        """
        self._drawn = (self._drawn + _STEP) % 2**32
        place = (gain, conversation, self._drawn)
        insort(self._sorted, place)
        above = len(self._sorted) - bisect_left(self._sorted, place) - 1
        room = self.share * len(self._sorted) - self._stayed
        up = above < room if limit is None else gain >= limit
        largest = self._went_up.get(conversation, size_bytes)
        stays = not up and goes_on and size_bytes > largest
        self._note(place, stays=stays)
        if up or stays:
            self._went_up[conversation] = max(largest, size_bytes) if goes_on else size_bytes
            self._went_up.move_to_end(conversation)
            if len(self._went_up) > CONVERSATIONS:
                self._went_up.popitem(last=False)
        return up or stays

    def rank(self, gain: float) -> float:
        """Return which part of the requests of late had less to gain, 0..1."""
        return bisect_left(self._sorted, (gain, -1, 0)) / max(1, len(self._sorted))

    def _note(self, place: Place, *, stays: bool) -> None:
        self._latest.append((place, stays))
        self._stayed += stays
        if len(self._latest) > KEPT:
            oldest, stayed = self._latest.popleft()
            self._stayed -= stayed
            del self._sorted[bisect_left(self._sorted, oldest)]
