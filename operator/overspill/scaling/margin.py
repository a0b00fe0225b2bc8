"""The margin of break-even: how far worth must pass rent, and fall short of it, to be acted on."""

from __future__ import annotations

import math
from typing import Final

MOST_MARGIN: Final = 0.5
"""Rents by which worth must pass rent: two start-ups of work then pay for the three of a start."""


def thresholds(ratio: float) -> tuple[float, float]:
    """Part of its time that a replica must be expected to work, to start and to stay.

    `ratio` is its worth in rents if it always worked. Where little can be gained the margin is half
    of it, so that a replica which is always busy starts whenever that pays at all.
    """
    if not ratio:
        return math.inf, math.inf
    margin = min(MOST_MARGIN, max(0.0, (ratio - 1) / 2))
    return (1 + margin) / ratio, (1 - margin) / ratio
