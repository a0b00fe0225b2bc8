"""Score examples that were not learned from, and say what that is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.learning.design import design_of
from overspill.learning.examples import InvalidExamples
from overspill.learning.likeness import folds, instructions_of, marks_of, sketch, without
from overspill.learning.linear import learn
from overspill.learning.measures import apgr, cpt, recovered, threshold

if TYPE_CHECKING:
    from overspill.learning.design import Bools, Floats, Indices
    from overspill.learning.examples import Examples
    from overspill.learning.linear import Linear

FOLDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What routing by these scores gives; shares and qualities are 0..1."""

    n: int
    small_quality: float
    frontier_quality: float
    apgr: float | None
    """None, as CPT, where the frontier is no better: there is no gap to close."""
    cpt50: float | None
    cpt80: float | None
    floor: float
    """Asked for, of the frontier's quality."""
    achieved_quality: float
    """Got, of the frontier's quality, with a threshold from examples that were not tested."""
    frontier_share: float
    cost_saving: float
    """Of the bill if all went to the frontier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Who answered which example."""

    scores: Floats
    frontier: Bools
    """The client got the frontier's answer."""
    small: Bools
    """The small model answered, for the client or in the background."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of examples by models that saw others, and the fold in which each was tested."""

    scores: Floats
    fold: Indices
    limits: Floats
    """From this score on a request goes to the frontier; one a fold."""

    def served(self) -> Served:
        """Return who answers by these limits."""
        sent = self.scores >= self.limits[self.fold]
        return Served(scores=self.scores, frontier=sent, small=~sent)


def cross_validated(
    examples: Examples, prior: Linear | None, *, floor: float, seed: int = 0
) -> Scored:
    """Test each fifth by what was learned from the others, starting from the prior."""
    design = design_of(examples.prompts)
    parts = folds(examples.prompts, FOLDS, seed)
    scores, fold = np.zeros(len(examples)), np.zeros(len(examples), dtype=np.intp)
    for number, (seen, tested) in enumerate(parts):
        fold[tested] = number
        if len(seen):
            linear = learn(design.take(seen), examples.gains[seen], prior=prior)
            scores[tested] = linear.gains(design.take(tested))
    limits = [
        _limit(examples, scores, np.flatnonzero(fold != one), floor) for one in range(len(parts))
    ]
    return Scored(scores, fold, np.array(limits))


def learned_elsewhere(
    examples: Examples, train: Examples, prior: Linear | None, *, floor: float
) -> Scored:
    """Test all by what was learned from `train`, less what is nearly the same as a tested one.

    Raises: InvalidExamples where nothing is left.
    """
    common = instructions_of((*train.prompts, *examples.prompts))
    same = {sketch(prompt) for prompt in examples.prompts}
    train = without(train, same | (marks_of(examples.prompts) - common))
    if not len(train):
        raise InvalidExamples("each example to learn from is also tested; give others")
    inner = cross_validated(train, prior, floor=floor)
    linear = learn(design_of(train.prompts), train.gains, prior=prior)
    limit = _limit(train, inner.scores, np.arange(len(train)), floor)
    scores = linear.gains(design_of(examples.prompts))
    return Scored(scores, np.zeros(len(examples), dtype=np.intp), np.array([limit]))


def _limit(examples: Examples, scores: Floats, rows: Indices, floor: float) -> float:
    """Return the limit that holds the floor on these rows; all to the frontier without any."""
    if not len(rows):
        return -np.inf
    return threshold(scores[rows], examples.small[rows], examples.frontier[rows], floor)


def verdict(examples: Examples, served: Served, *, floor: float, price_ratio: float) -> Verdict:
    """Judge. `price_ratio` is the frontier's price of a request in the small tier's.

    What both tiers answered is paid for twice.
    """
    got = float(np.where(served.frontier, examples.frontier, examples.small).mean())
    best = float(examples.frontier.mean())
    curve = recovered(served.scores, examples.gains)
    share = float(served.frontier.mean())
    return Verdict(
        n=len(examples),
        small_quality=float(examples.small.mean()),
        frontier_quality=best,
        apgr=None if curve is None else apgr(curve),
        cpt50=None if curve is None else cpt(curve, 0.5),
        cpt80=None if curve is None else cpt(curve, 0.8),
        floor=floor,
        achieved_quality=got / best if best else 1.0,
        frontier_share=share,
        cost_saving=1.0 - share - float(served.small.mean()) / price_ratio,
    )
