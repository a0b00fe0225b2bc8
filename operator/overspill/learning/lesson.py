"""A score that trials have taught, and what it says of these very trials without knowing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.learning.crossfit import PARTS, cross_fitted
from overspill.learning.linear import linear_of, score_of
from overspill.learning.prior import shipped
from overspill.routing.score import Score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.learning.book import Book
    from overspill.learning.design import Floats

TAUGHT_BY: Final = ("trials",)
"""What such a score says of where it comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What was learned from a book."""

    score: str
    """The artefact's text."""
    examples: int
    scores: Mapping[str, Floats]
    """Of the trials of each batch, by models that had not learned from it."""


def lesson_of(book: Book, begin_with: str | None) -> Lesson:
    """Learn from all trials, beginning with a score's text; None for the score of the package.

    Seconds for thousands. Raises: InvalidScore. There must be trials.
    """
    prior = linear_of(Score.load(begin_with)) if begin_with else shipped().linear()
    design, before = book.design(), book.trials().scores
    examples, parts = len(book), book.parts()
    if len(np.unique(parts)) < 2:  # few batches: what stays of the score before has another scale
        parts = np.arange(examples) % PARTS
    scores, linear = cross_fitted(design, book.gains(), parts, prior, before)
    return Lesson(
        score=score_of(linear, TAUGHT_BY, examples).dump(),
        examples=examples,
        scores=book.by_batch(scores),
    )
