"""How many requests one endpoint can take at a time, learned from how it answers.

Additive increase, multiplicative decrease: while answers to a full endpoint begin in time, there is
room for more; one that begins late, or is refused for load, says that there was not. An endpoint
that is hardly busy is late for another reason, such as a long prompt, and that tells nothing.
Source: Chiu and Jain (1989), doi:10.1016/0169-7552(89)90019-6.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

DECREASE: Final = 0.8
DECREASE_EVERY_S: Final = 1.0
"""Requests that queued together tell of one overload, not of many."""
LATE_SHARE: Final = 0.5
"""A first token after this share of its deadline says that the endpoint is full."""
BUSY: Final = 0.5
"""From this share of its limit on, an endpoint may be late for the load it has."""
GROWTH: Final = 2.0
"""At most this many times the policy's guess: a limit that is never reached teaches nothing."""


@dataclass(slots=True)
class ConcurrencyLimit:
    """The limit of one endpoint. Time is an argument."""

    seed: int
    _limit: float = field(init=False)
    _decreased_s: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self._limit = float(self.seed)

    @property
    def slots(self) -> int:
        """Requests that may be in flight."""
        return max(1, int(self._limit))

    def reseed(self, seed: int) -> None:
        """The policy's guess changed, or this sidecar's share of it: keep what was learned."""
        if seed != self.seed:
            self._limit = max(1.0, self._limit * seed / self.seed)
            self.seed = seed

    def in_time(self, in_flight: int) -> None:
        """An answer began in time while this many were in flight."""
        if in_flight >= self.slots:
            self._limit = min(self._limit + 1.0 / self._limit, self.seed * GROWTH)

    def overloaded(self, in_flight: int, now_s: float) -> None:
        """An answer began late, or was refused for load, while this many were in flight.

        A full endpoint's limit falls by its share. Where fewer were in flight nothing is known of
        less than them: it falls to just below at most.
        """
        slots = self.slots
        if in_flight < BUSY * slots or now_s - self._decreased_s < DECREASE_EVERY_S:
            return
        self._decreased_s = now_s
        least = 1.0 if in_flight >= slots else in_flight - 1.0
        self._limit = max(least, self._limit * DECREASE)
