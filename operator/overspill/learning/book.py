"""What trials of live traffic tell: from batches to what plans and scores are made of."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import TYPE_CHECKING, Self

import numpy as np

from overspill.learning.crossfit import PARTS
from overspill.learning.design import designed
from overspill.learning.promise import Plan, Spell, Trials
from overspill.routing.features import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from overspill.learning.design import Design, Floats, Indices
    from overspill.trials.record import Batch, Trial


@dataclass(frozen=True, slots=True)
class Book:
    """Batches in their order, each name once."""

    batches: tuple[Batch, ...]

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> Self:
        """Leave out what came twice, and what another version has looked at."""
        known: dict[str, Batch] = {}
        for batch in batches:
            if batch.features == VERSION:
                known.setdefault(batch.name, batch)
        return cls(tuple(known.values()))

    def __len__(self) -> int:
        return sum(len(batch.trials) for batch in self.batches)

    @property
    def names(self) -> frozenset[str]:
        """Of its batches."""
        return frozenset(batch.name for batch in self.batches)

    def _all(self) -> list[Trial]:
        return list(chain.from_iterable(batch.trials for batch in self.batches))

    def trials(self, scores: Mapping[str, Floats] | None = None) -> Trials:
        """Return all trials. `scores` are of batches by name; the others keep their own.

        Of trials that were drawn some came to nothing. Those that did not stand for them too, so
        the chance that one is seen is lower than its lot said.
        """
        known, trials = scores or {}, self._all()
        sent, seen = _floats(one.sent for one in trials), _floats(one.seen for one in trials)
        by_lot, (paid, free) = sent < 1.0, self._completion()
        own = [
            known[batch.name] if batch.name in known else _floats(one.score for one in batch.trials)
            for batch in self.batches
        ]
        return Trials(
            scores=np.concatenate([np.zeros(0), *own]),
            small=_floats(one.small for one in trials),
            frontier=_floats(one.frontier for one in trials),
            sent=np.where(by_lot, (sent + self._lost_to_the_frontier()) * paid, sent),
            seen=seen * np.where(by_lot, paid, free),
        )

    def _lost_to_the_frontier(self) -> float:
        """Return how many trials by lot were lost, beside how many requests others stood for.

        Of what those that came through stand for in their place the frontier answered so many, and
        not as many as at their own rate.
        """
        stood_for = sum(self._stood_for(paid=True))
        return sum(batch.lost_paid for batch in self.batches) / stood_for if stood_for else 0.0

    def _stood_for(self, *, paid: bool) -> list[float]:
        """Return how many requests each trial of that kind was drawn to stand for."""
        return [1.0 / one.seen for one in self._all() if (one.sent < 1.0) is paid]

    def spells(self) -> tuple[Spell, ...]:
        """Return what the small model answered alone, under which plans."""
        paid, _ = self._completion()
        return tuple(
            Spell(
                answers=batch.alone,
                plan=Plan(
                    limit=inf,
                    trial_rate=batch.trial_rate * paid,
                    frontier_share=batch.trial_rate,
                    variance=batch.variance,
                ),
            )
            for batch in self.batches
        )

    def _completion(self) -> tuple[float, float]:
        """Return which part of the paid trials, and of those for nothing, told something.

        Each counts as what it stands for: plans differ in their rates, and one may have lost more.
        """
        return (
            _part(
                self._stood_for(paid=True),
                [(batch.lost_paid, batch.missed_paid) for batch in self.batches],
            ),
            _part(
                self._stood_for(paid=False),
                [(batch.lost_free, batch.missed_free) for batch in self.batches],
            ),
        )

    def design(self) -> Design:
        """Return the prompts of all trials, as far as they are known. There must be some."""
        return designed((one.places, one.measures) for one in self._all())

    def gains(self) -> Floats:
        """Return by how much the frontier was better, of each trial."""
        return _floats(one.frontier - one.small for one in self._all())

    def parts(self) -> Indices:
        """Return the part of each trial, 0 to below PARTS: a batch has one, and always the same."""
        numbers = [part_of(batch.name) for batch in self.batches]
        return np.repeat(np.array(numbers, np.intp), [len(one.trials) for one in self.batches])

    def by_batch(self, values: Floats) -> dict[str, Floats]:
        """Part one value a trial by the names of batches."""
        ends = np.cumsum([len(batch.trials) for batch in self.batches])
        cut = np.split(values, ends[:-1])
        return {batch.name: own for batch, own in zip(self.batches, cut, strict=True)}


def part_of(batch: str) -> int:
    """Return the part of a batch by its name, 0 to below PARTS."""
    return zlib.crc32(batch.encode()) % PARTS


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, np.float64)


def _part(seen: Sequence[float], lost: Sequence[tuple[int, float]]) -> float:
    """Return which part was seen; where all were lost, as if half of one had been.

    `seen` has what each stands for; `lost` how many, and what they stood for: where that is not
    told, as much as the others on the mean.
    """
    if not seen:
        return 0.5 / max(sum(many for many, _ in lost), 0.5)
    mean = sum(seen) / len(seen)
    return sum(seen) / (sum(seen) + sum(missed or many * mean for many, missed in lost))
