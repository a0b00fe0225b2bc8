"""The prior that ships with the package: a score to begin with, and which prompts it has seen."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.learning.design import design_of
from overspill.learning.examples import joined
from overspill.learning.likeness import marks, without
from overspill.learning.linear import PRIOR_PENALTY, Linear, learn, linear_of
from overspill.routing.score import Score

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from overspill.learning.examples import Examples

SCORE: Final = "prior.json"
SEEN: Final = "prior.seen"
_MARK: Final = np.dtype("<u4")
LEAST: Final = 20
"""Examples: a smaller set has no mean to speak of."""


@dataclass(frozen=True, slots=True)
class Prior:
    """A score to begin with."""

    score: Score
    seen: frozenset[int]
    """Marks of the prompts it was trained on: whoever tests it on these tests nothing."""

    def linear(self) -> Linear:
        """Return what to start learning from."""
        return linear_of(self.score)

    def share_seen(self, prompts: Sequence[str]) -> float:
        """Return which part of these prompts it was trained on."""
        known = sum(not marks(prompt).isdisjoint(self.seen) for prompt in prompts)
        return known / len(prompts)


@lru_cache(maxsize=1)
def shipped() -> Prior:
    """Load the prior of this package."""
    routing, learning = files("overspill.routing"), files("overspill.learning")
    seen = np.frombuffer(zlib.decompress((learning / SEEN).read_bytes()), _MARK)
    return Prior(Score.load((routing / SCORE).read_text()), frozenset(seen.tolist()))


def train(sets: Mapping[str, Examples], unwanted: Collection[int] = ()) -> Linear | None:
    """Learn from several sets what they have in common; None where nothing is left.

    Each set's gains count from its own mean: how much better one pair's frontier is says nothing of
    the next pair. `unwanted` has marks of prompts to leave out.
    """
    kept = [without(one, unwanted) for one in sets.values()]
    kept = [one for one in kept if len(one) >= LEAST]
    if not kept:
        return None
    gains = np.concatenate([one.gains - one.gains.mean() for one in kept])
    found = learn(design_of(joined(kept).prompts), gains, penalty=PRIOR_PENALTY)
    mean = float(np.mean([one.gains.mean() for one in kept]))
    return Linear(weights=found.weights, base=mean)


def pack(seen: Collection[int]) -> bytes:
    """Write marks as the package carries them."""
    return zlib.compress(np.array(sorted(seen), _MARK).tobytes(), 9)
