"""The axis that demand is measured on: replicas, singly where they are few, in steps of 3% beyond.

Replica k takes the slice of demand between k - 1 and k. Slices not told apart share a cell.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SINGLE: Final = 64
"""Replicas that have a cell each."""
PER_DOUBLING: Final = 32
"""Cells for as many replicas again."""


@lru_cache(maxsize=256)
def edges(reach: int) -> FloatArray:
    """Bounds of the cells from 0 to at least `reach` replicas, rising; cells + 1 of them."""
    bounds = list(range(min(reach, SINGLE) + 1))
    while bounds[-1] < reach:
        width = 1 << (bounds[-1] // SINGLE).bit_length() - 1
        bounds.append(bounds[-1] + width * SINGLE // PER_DOUBLING)
    return _constant(bounds)


@lru_cache(maxsize=256)
def widths(reach: int) -> FloatArray:
    """Replicas in each cell."""
    return _constant(np.diff(edges(reach)))


def slopes(filled: FloatArray, reach: int) -> FloatArray:
    """Use of each cell's replicas, where `filled` has what is done up to each edge, in replicas."""
    use: FloatArray = (filled[..., 1:] - filled[..., :-1]) / widths(reach)
    return use


def cell_of(replica: int, reach: int) -> int:
    """Index of the cell in which a replica is, counted from 1."""
    return int(np.searchsorted(edges(reach), replica)) - 1


def _constant(values: list[int] | FloatArray) -> FloatArray:
    made = np.asarray(values, dtype=np.float64)
    made.setflags(write=False)
    return made
