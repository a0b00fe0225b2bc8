"""What a book of trials tells, summed up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from overspill.learning.book import part_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.learning.book import Book
    from overspill.learning.design import Floats
    from overspill.learning.promise import Spell, Trials

_HOUR_S: Final = 3600.0
_LEAST_SPAN_S: Final = 60.0
"""Of less time no rate is told."""


class Told(NamedTuple):
    """How much one batch tells of."""

    requests: int
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a book tells, without its words."""

    trials: Trials
    spells: tuple[Spell, ...]
    batches: Mapping[str, Told]
    """By name."""
    unseen_share: float
    """Which part of all requests no trial stands for."""
    since_s: float
    """End of the oldest batch, Unix time."""
    at_frontier_per_h: float | None
    """Of late; None where too little time was seen."""

    @property
    def parts(self) -> int:
        """In how many parts there are trials: those of one alone have nobody to be scored by."""
        return len({part_of(name) for name, told in self.batches.items() if told.trials})

    @property
    def paid(self) -> int:
        """Trials that went to the frontier by lot."""
        return int((self.trials.sent < 1.0).sum())


def evidence_in(book: Book, scores: Mapping[str, Floats]) -> Evidence | None:
    """Sum a book up; None where it is empty. `scores` are of trials by batch."""
    if not book.batches:
        return None
    requests = [one.alone + one.at_frontier + one.unseen for one in book.batches]
    return Evidence(
        trials=book.trials(scores),
        spells=book.spells(),
        batches={
            one.name: Told(many, len(one.trials))
            for one, many in zip(book.batches, requests, strict=True)
        },
        unseen_share=sum(one.unseen for one in book.batches) / max(1, sum(requests)),
        since_s=min(one.ended_s for one in book.batches),
        at_frontier_per_h=_at_frontier_per_h(book),
    )


def _at_frontier_per_h(book: Book) -> float | None:
    """Take the last hour. What the first of it tells of happened before."""
    newest_s = max(one.ended_s for one in book.batches)
    recent = [one for one in book.batches if newest_s - one.ended_s <= _HOUR_S]
    oldest_s = min(one.ended_s for one in recent)
    if newest_s - oldest_s < _LEAST_SPAN_S:
        return None
    many = sum(one.at_frontier for one in recent if one.ended_s > oldest_s)
    return many * _HOUR_S / (newest_s - oldest_s)
