"""A score from all there is, and for each row what others alone have taught of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.learning.linear import learn

if TYPE_CHECKING:
    from overspill.learning.design import Design, Floats, Indices
    from overspill.learning.linear import Linear

PARTS: Final = 5


def cross_fitted(
    design: Design, gains: Floats, part: Indices, prior: Linear | None, before: Floats
) -> tuple[Floats, Linear]:
    """Score each row by what was learned from the other parts, and learn a score from all.

    `gains` and `part` (0 to below PARTS) have one a row, as has `before`: the scores that stay
    where there is no other part to learn from.
    """
    scores = before.copy()
    for one in range(PARTS):
        seen, tested = np.flatnonzero(part != one), np.flatnonzero(part == one)
        if len(seen) and len(tested):
            linear = learn(design.take(seen), gains[seen], prior=prior)
            scores[tested] = linear.gains(design.take(tested))
    return scores, learn(design, gains, prior=prior)
