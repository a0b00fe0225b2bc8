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
LEARNS: Final = 1.2
"""From one score learned anew to the next, in requests."""
MOST_BY_LOT: Final = 0.99
"""Without a score nearly all may have to go up by lot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How it stood when a plan was made."""

    requests: int
    """So far."""
    share: float
    """Of those since the look before, at the frontier."""
    quality: float
    """Achieved so far, of the frontier's: trials do not tell it."""
    estimate: float
    low: float
    high: float
    """What they tell."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What happened, and what was known of it at the end."""

    served: Served
    bank: Bank
    plan: Plan
    paid_trials: int
    """Requests that went to the frontier by lot."""
    looks: tuple[Look, ...]


def replay(
    examples: Examples,
    prior: Linear | None,
    *,
    floor: float,
    confidence: float,
    sample_rate: float,
    seed: int = 0,
    design: Design | None = None,
    learns: bool = True,
) -> Replay:
    """Play the examples in their order. `sample_rate` is the highest of paid trials; `seed` chooses
    which requests become trials. `design` is that of the examples, where it is known already.
    Without a prior, what never `learns` has no score, and can only send by lot.
    """
    design = design_of(examples.prompts) if design is None else design
    played = _Played(examples, design, prior, np.random.default_rng(seed))
    plan, due, learn_at, looks = CAREFUL, float(FEWEST), float(FEWEST), list[Look]()
    while True:
        before = played.done
        played.serve(int(min(due, len(examples))), plan)
        bank = bank_of(played.trials(), played.spells, floor)
        looks.append(played.look(before, bank.quality(floor, confidence)))
        if played.done == len(examples):
            return Replay(played.served(), bank, plan, played.paid_trials(), tuple(looks))
        if learns and played.done >= learn_at:
            played.learn()
            learn_at = played.done * LEARNS
        plan = planned(
            played.trials(), bank, floor=floor, confidence=confidence, highest_rate=sample_rate
        )
        due = max(played.done * LOOKS, played.done + LEAST_LOOK)


def share_by_lot(
    examples: Examples, *, floor: float, confidence: float, seed: int, design: Design
) -> float:
    """Return what the frontier would get by the same promise if nothing were known of requests.

    Also from a cold start: what a router without a score has to find out, too.
    """
    played = replay(
        examples,
        None,
        floor=floor,
        confidence=confidence,
        sample_rate=MOST_BY_LOT,
        seed=seed,
        design=design,
        learns=False,
    )
    return float(played.served.frontier.mean())


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

    def look(self, since: int, told: tuple[float, float, float]) -> Look:
        """Say how it stands; `told` is what trials tell, and `since` when the last look was."""
        done, examples = slice(self.done), self._examples
        got = np.where(self._frontier[done], examples.frontier[done], examples.small[done])
        whole = float(examples.frontier[done].sum())
        estimate, low, high = told
        return Look(
            requests=self.done,
            share=float(self._frontier[since : self.done].mean()),
            quality=float(got.sum()) / whole if whole else 1.0,
            estimate=estimate,
            low=low,
            high=high,
        )

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
