"""How much one renewal grants: plenty while there is plenty, at the end no more than is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LARGEST_PART: Final = 100
"""Of the limit: no single grant is more, but for one dear request."""
FAIR_PART: Final = 2
"""Of an even share of what is left: who asks next finds as much again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one lease would like added, in micro-dollars."""

    need: int = 0
    """What a waiting request lacks; 0 where none waits."""
    want: int = 0
    spare: int = 0
    """What it would like on top, where there is plenty."""
    least: int = 0
    """Less than this is of no use."""


def granted(
    wish: Wish, *, available_usd_micros: int, limit_usd_micros: int, holders: int
) -> tuple[int, bool]:
    """Return what to add to one lease, and whether money is scarce: others must give back.

    Shares shrink with what is left, and crumbs are not given out: so the last dollar goes out one
    request at a time.
    """
    share = max(0, available_usd_micros) // (FAIR_PART * max(1, holders))
    scarce = share < max(wish.want, wish.need)
    if available_usd_micros < max(1, wish.need):
        return 0, scarce
    generous = min(wish.want + wish.spare, share, limit_usd_micros // LARGEST_PART)
    if not wish.need and generous < wish.least:
        return 0, scarce
    return max(wish.need, generous), scarce
