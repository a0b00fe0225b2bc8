"""A score that trials have taught, and what it says of these very trials without knowing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overspill.learning.book import Book
from overspill.learning.crossfit import cross_fitted
from overspill.learning.linear import linear_of, score_of
from overspill.learning.prior import shipped
from overspill.routing.score import Score

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    scores, linear = cross_fitted(design, book.gains(), book.parts(), prior, before)
    examples = len(book)
    return Lesson(
        score=score_of(linear, TAUGHT_BY, examples).dump(),
        examples=examples,
        scores=book.by_batch(scores),
    )


def rescored(book: Book, text: str, known: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Return `known`, and of batches that are not in it what the score of this text says.

    They came since it learned, and some were drawn by the score before. Raises: InvalidScore.
    """
    new = Book(tuple(one for one in book.batches if one.trials and one.name not in known))
    if not new.batches:
        return known
    return {**known, **new.by_batch(linear_of(Score.load(text)).gains(new.design()))}
