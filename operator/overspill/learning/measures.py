"""How good a ranking of requests is, as the field measures it.

Send the share x of requests with the highest scores to the frontier: PGR(x) is the part of the
quality gap between small and frontier that this closes. APGR is its mean over x, 0.5 at random;
CPT(p) is the least x with PGR ≥ p. Source: Ong et al. (2024), "RouteLLM", arXiv:2406.18665.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from overspill.learning.design import Floats

_ROUNDING: Final = 1e-12
"""Of a request: grades such as 0.1 and 0.3 do not add up exactly; so little is no gap."""


def recovered(scores: Floats, gains: Floats) -> Floats | None:
    """Return PGR after 0, 1, … all requests; None where the frontier is no better on the whole.

    Equal scores share their gain: the order in a file decides nothing.
    """
    gap = float(gains.sum())
    if gap <= _ROUNDING * len(gains):
        return None
    _, rank = np.unique(-scores, return_inverse=True)
    shared = np.bincount(rank, gains) / np.bincount(rank)
    found: Floats = np.concatenate([[0.0], np.cumsum(shared[np.sort(rank)])]) / gap
    return found


def apgr(curve: Floats) -> float:
    """Return the mean of PGR over the share, by trapezoids."""
    return float((curve[1:] + curve[:-1]).mean() / 2)


def cpt(curve: Floats, part: float) -> float:
    """Return the least share that recovers `part`."""
    return float(np.argmax(curve >= part - 1e-12)) / (len(curve) - 1)


def threshold(scores: Floats, small: Floats, frontier: Floats, floor: float) -> float:
    """Return the highest score above which requests go to the frontier so that quality holds.

    `floor` is of the frontier's mean quality. -inf where not even all would do. Equal scores go the
    same way.
    """
    order = np.argsort(-scores, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum((frontier - small)[order])])
    held = small.sum() + gained >= floor * frontier.sum() - 1e-9
    parted = np.diff(scores[order], prepend=np.inf, append=-np.inf) != 0.0
    enough = np.flatnonzero(held & parted)
    if not len(enough):
        return -np.inf
    sent = int(enough[0])
    return np.inf if sent == 0 else float(scores[order[sent - 1]])
