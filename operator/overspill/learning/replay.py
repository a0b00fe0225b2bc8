"""Examples as live traffic: from a cold start, learning only from what both tiers answered.

All goes to the frontier until trials show that a plan holds the floor; then by plan. The small
model answers what goes to the frontier too, in the background: that is supposed to find room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.learning.crossfit import PARTS, cross_fitted
from overspill.learning.design import design_of
from overspill.learning.promise import CAREFUL, FEWEST, Bank, Plan, Spell, Trials, bank_of, planned
from overspill.learning.trial import Served

if TYPE_CHECKING:
    from overspill.learning.design import Design, Floats, Indices
    from overspill.learning.examples import Examples
    from overspill.learning.linear import Linear

LOOKS: Final = 1.05
"""From look to look, in requests."""
LEAST_LOOK: Final = 10
LEARNS: Final = 1.5
"""From one score learned anew to the next, in requests."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What happened, and what was known of it at the end."""

    served: Served
    bank: Bank
    plan: Plan
    paid_trials: int
    """Requests that went to the frontier by lot."""
    worst_quality: float
    """The least that had been achieved at any look, of the frontier's."""


def replay(
    examples: Examples,
    prior: Linear | None,
    *,
    floor: float,
    confidence: float,
    sample_rate: float,
    seed: int = 0,
    design: Design | None = None,
) -> Replay:
    """Play the examples in their order. `sample_rate` is the highest of paid trials; `seed` chooses
    which requests become trials. `design` is that of the examples, where it is known already.
    """
    design = design_of(examples.prompts) if design is None else design
    played = _Played(examples, design, prior, np.random.default_rng(seed))
    plan, due, learn_at, worst = CAREFUL, float(FEWEST), float(FEWEST), 1.0
    while True:
        played.serve(int(min(due, len(examples))), plan)
        bank, worst = bank_of(played.trials(), played.spells, floor), min(worst, played.quality())
        if played.done == len(examples):
            return Replay(played.served(), bank, plan, played.paid_trials(), worst)
        if played.done >= learn_at:
            played.learn()
            learn_at = played.done * LEARNS
        plan = planned(
            played.trials(), bank, floor=floor, confidence=confidence, highest_rate=sample_rate
        )
        due = max(played.done * LOOKS, played.done + LEAST_LOOK)


class _Played:
    """The traffic so far."""

    def __init__(
        self,
        examples: Examples,
        design: Design,
        prior: Linear | None,
        chance: np.random.Generator,
    ) -> None:
        many = len(examples)
        self._examples, self._prior, self._chance = examples, prior, chance
        self._design = design
        self._linear: Linear | None = prior
        self.done = 0
        self._scores: Floats = np.zeros(many)
        self._odds: Floats = np.ones(many)
        self._frontier = np.zeros(many, dtype=bool)
        self.spells: list[Spell] = []

    def serve(self, until: int, plan: Plan) -> None:
        """Route the next requests."""
        rows = np.arange(self.done, until)
        self.done = until
        if self._linear is not None:
            self._scores[rows] = self._linear.gains(self._design.take(rows))
        above = self._scores[rows] >= plan.limit
        self._odds[rows] = np.where(above, 1.0, plan.trial_rate)
        self._frontier[rows] = above | (self._chance.random(len(rows)) < plan.trial_rate)
        self.spells.append(Spell(answers=int((~self._frontier[rows]).sum()), plan=plan))

    def _known(self) -> Indices:
        return np.flatnonzero(self._frontier[: self.done])

    def trials(self) -> Trials:
        """Return all that both tiers answered."""
        known = self._known()
        return Trials(
            scores=self._scores[known],
            small=self._examples.small[known],
            frontier=self._examples.frontier[known],
            sent=self._odds[known],
            seen=self._odds[known],
        )

    def quality(self) -> float:
        """Return what was achieved so far, of the frontier's: trials do not tell it."""
        seen = self._examples.take(np.arange(self.done))
        got = np.where(self._frontier[: self.done], seen.frontier, seen.small)
        whole = float(seen.frontier.sum())
        return float(got.sum()) / whole if whole else 1.0

    def paid_trials(self) -> int:
        """Count what went to the frontier by lot."""
        return int((self._frontier & (self._odds < 1.0)).sum())

    def learn(self) -> None:
        """Learn the score anew, and score each trial by what was learned from others."""
        known = self._known()
        design, gains = self._design.take(known), self._examples.gains[known]
        part = self._chance.integers(0, PARTS, len(known))
        self._scores[known], self._linear = cross_fitted(
            design, gains, part, self._prior, self._scores[known]
        )

    def served(self) -> Served:
        """Return who answered what."""
        alone = ~self._frontier
        return Served(scores=self._scores, frontier=self._frontier, small=alone | self._frontier)
