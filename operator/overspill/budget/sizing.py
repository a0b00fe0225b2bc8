"""How much one renewal grants: plenty while there is plenty, at the end no more than is needed."""

from __future__ import annotations

from typing import Final

LARGEST_PART: Final = 100
"""Of the limit: what one crashed sidecar can cost at most, but for a single dear request."""
FAIR_PART: Final = 2
"""Of an even share of what is left: who asks next finds as much again."""


def granted(
    *,
    available_usd_micros: int,
    limit_usd_micros: int,
    holders: int,
    need_usd_micros: int,
    want_usd_micros: int,
) -> int:
    """Return what to add to one lease, in micro-dollars: 0 where less than the need is left.

    Shares shrink with what is left, so the last dollar goes out one request at a time.
    """
    if available_usd_micros < max(1, need_usd_micros):
        return 0
    share = available_usd_micros // (FAIR_PART * max(1, holders))
    generous = min(share, limit_usd_micros // LARGEST_PART)
    return max(need_usd_micros, min(want_usd_micros, generous))
