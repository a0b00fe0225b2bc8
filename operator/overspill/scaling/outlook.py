"""What is expected of a tier: learned from its own demand, and from nothing else.

Demand is remembered at several time scales, from the last look to days. Each memory is a scenario:
the next start-up will look like it. Some scenarios say that demand grows or falls first. Each has
trust, which moves to the scenarios that foretell best; what is expected is their mean under it.

Prices play no part in learning, so dearer overflow never means fewer replicas.

Sources: Littlestone and Warmuth (1994), "The weighted majority algorithm", and Kivinen and Warmuth
(1997), "Exponentiated gradient versus gradient descent for linear predictors", for how trust moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from overspill.scaling.axis import FloatArray, edges, slopes, widths

SPANS: Final = np.array([1 / 8, 1 / 2, 2, 8, 32, 128])
"""Time scales of the memories, in start-ups."""
SHORTEST_S: Final = 120.0
"""A start-up counts as at least this long for them: bursts do not shorten with it."""
MOMENT_S: Final = 1e-3
"""Time too short to have seen anything in."""
_RECENT: Final = 1
_EARLIER: Final = 2
_MOSTLY: Final = 1 - 1 / np.e
"""Part of a memory's span that is known after as much time."""
GROWTH: Final = np.array([0.8, 1.12, 1.3, 1.7])
"""What recent demand is multiplied by in the scenarios of change. One more goes on as it went."""
PRIOR: Final = np.array([0.15, 0.5, 0.1, 0.02, 0.006, 0.002, 0.08, 0.1, 0.01, 0.003, 0.03]) / 1.001
"""Trust before anything was learned: in `SPANS`, in `GROWTH`, in the trend. It sums to 1."""
_RATE: Final = 2.0
"""How fast trust moves; half and twice of it cost the same within 0.5% on recorded traffic."""
_RETURN: Final = 1e-4
"""Part of the prior that each lesson mixes in, so that no scenario is lost for good."""
_RARE: Final = 0.03
"""Use of a replica below which errors no longer weigh more for being small."""
_SURE: Final = 1e-5
"""A replica that all scenarios and the outcome call idle, or busy, within this teaches nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wager:
    """What the scenarios foretold, and what came of it so far."""

    foretold: FloatArray
    """Mean of min(edge, demand); scenarios × edges."""
    came: FloatArray
    """Replica-seconds of work up to each edge."""
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """Memories, in replicas of `capacity_tokens_per_s`, and the trust in them."""

    reach: int
    """Replicas that the axis covers."""
    capacity_tokens_per_s: float
    filled: FloatArray
    """Mean of min(edge, demand) × `known`; memories × edges. Slopes are the use of replicas."""
    known: FloatArray
    """How much of each memory's span was seen, 0 to 1."""
    trust: FloatArray
    wager: Wager | None = None

    @property
    def blank(self) -> bool:
        """Whether nothing was seen yet."""
        return not self.known[0]

    @property
    def watched(self) -> bool:
        """Whether demand was seen for at least half a start-up."""
        return bool(self.known[_RECENT] >= _MOSTLY)


def blank(reach: int, capacity_tokens_per_s: float) -> Outlook:
    """Nothing seen, nothing learned."""
    return Outlook(
        reach=reach,
        capacity_tokens_per_s=capacity_tokens_per_s,
        filled=np.zeros((len(SPANS), len(edges(reach)))),
        known=np.zeros(len(SPANS)),
        trust=PRIOR,
    )


def reach_of(max_replicas: int) -> int:
    """How far the axis must go, so that the least growth still sees the last replica."""
    return int(max_replicas / GROWTH.min()) + 1


def fitted(outlook: Outlook, reach: int, capacity_tokens_per_s: float) -> Outlook:
    """Restate memories in replicas of another size or number.

    A wager goes on: where capacity is measured more often than replicas start, none would end.
    """
    if outlook.reach == reach and outlook.capacity_tokens_per_s == capacity_tokens_per_s:
        return outlook
    size = capacity_tokens_per_s / outlook.capacity_tokens_per_s
    at, known = edges(reach) * size, edges(outlook.reach)

    def restated(rows: FloatArray) -> FloatArray:
        return np.array([np.interp(at, known, row) for row in rows]) / size

    wager = outlook.wager
    if wager is not None:
        foretold, came = restated(wager.foretold), restated(wager.came[None])[0]
        wager = replace(wager, foretold=foretold, came=came)
    return replace(
        outlook,
        reach=reach,
        capacity_tokens_per_s=capacity_tokens_per_s,
        filled=restated(outlook.filled),
        wager=wager,
    )


def seen(outlook: Outlook, tokens_per_s: float, elapsed_s: float, startup_s: float) -> Outlook:
    """Take in demand that stood for `elapsed_s` seconds, more than 0."""
    work = np.minimum(edges(outlook.reach), tokens_per_s / outlook.capacity_tokens_per_s)
    share = _shares(elapsed_s, max(startup_s, SHORTEST_S))
    filled = outlook.filled + share[:, None] * (work - outlook.filled)
    known = outlook.known + share * (1 - outlook.known)
    trust, wager = outlook.trust, outlook.wager
    if wager is not None:
        came, age_s = wager.came + work * elapsed_s, wager.age_s + elapsed_s
        wager = Wager(foretold=wager.foretold, came=came, age_s=age_s)
        if age_s >= startup_s:
            trust, wager = _settled(outlook, wager), None
    if wager is None:
        wager = _wager(outlook.reach, filled / known[:, None])
    return Outlook(
        reach=outlook.reach,
        capacity_tokens_per_s=outlook.capacity_tokens_per_s,
        filled=filled,
        known=known,
        trust=trust,
        wager=wager,
    )


def expected_use(outlook: Outlook) -> FloatArray:
    """Part of the next start-up that replicas will work, cell by cell; falls from 1 to 0."""
    means = outlook.filled / outlook.known[:, None]
    kept, changed = outlook.trust[: len(SPANS)], outlook.trust[len(SPANS) :]
    filled = kept @ means + changed @ _changed(outlook.reach, means)
    return slopes(filled, outlook.reach)


@lru_cache(maxsize=256)
def _shares(elapsed_s: float, startup_s: float) -> FloatArray:
    """How much of each memory a look replaces."""
    share: FloatArray = np.minimum(1.0, elapsed_s / (startup_s * SPANS))
    return share


def _changed(reach: int, means: FloatArray) -> FloatArray:
    """Restate recent demand as if it had been so many times as large; changes × edges."""
    growth = np.append(GROWTH, _trend(means))[:, None]
    found = np.interp((edges(reach) / growth).ravel(), edges(reach), means[_RECENT])
    changed: FloatArray = found.reshape(len(growth), -1) * growth
    return changed


def _trend(means: FloatArray) -> float:
    """Growth if the next start-up changes demand as the last one and a half have."""
    recent, earlier = float(means[_RECENT, -1]), float(means[_EARLIER, -1])
    growth = recent / earlier if earlier > 0 else 1.0
    return min(max(growth, float(GROWTH[0])), float(GROWTH[-1]))


def _wager(reach: int, means: FloatArray) -> Wager:
    foretold = np.vstack([means, _changed(reach, means)])
    return Wager(foretold=foretold, came=np.zeros(foretold.shape[1]), age_s=0.0)


@lru_cache(maxsize=256)
def _taught(reach: int) -> FloatArray:
    """Replicas in each cell that every scenario can see; 0 beyond."""
    seen_by_all: FloatArray = widths(reach) * (edges(reach)[1:] <= GROWTH.min() * edges(reach)[-1])
    return seen_by_all


def _settled(outlook: Outlook, wager: Wager) -> FloatArray:
    """Move trust towards the scenarios that were right, replica by replica."""
    came = slopes(wager.came, outlook.reach) / wager.age_s
    foretold = slopes(wager.foretold, outlook.reach)
    guess = foretold.mean(axis=0)
    idle = (guess < _SURE) & (came < _SURE)
    busy = (guess > 1 - _SURE) & (came > 1 - _SURE)
    weight = _taught(outlook.reach) * ~(idle | busy) / (guess * (1 - guess) + _RARE)
    if not (total := weight.sum()):
        return outlook.trust
    missed = came - outlook.trust @ foretold
    trust = outlook.trust * np.exp(_RATE * (foretold @ (weight * missed)) / total)
    moved: FloatArray = (1 - _RETURN) * trust / trust.sum() + _RETURN * PRIOR
    return moved
