"""What is known of a policy's quality, and the plan that follows from it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, Final

from overspill.api.sidecar_config import PlanConfig
from overspill.learning.promise import CAREFUL, FEWEST, bank_of, planned
from overspill.learning.replay import LEARNS, LOOKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.api.policy import RoutingPolicySpec
    from overspill.controller.evidence import Evidence
    from overspill.learning.design import Floats
    from overspill.learning.lesson import Lesson
    from overspill.learning.promise import Bank, Plan

STRICTER: Final = 0.02
"""A plan that asks the frontier for so much more than the one in force does not wait."""
LEARNS_AT_LEAST_EVERY: Final = 1_000
"""Trials."""
SHARE_TRIAL_RATE: Final = 0.02
"""Of paid trials, where a share is asked for: nothing depends on them but what is known."""
FREE_TRIALS_PER_H: Final = 600.0
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a policy asks of quality."""

    floor: float | None
    """None where it asks for a share of requests only."""
    confidence: float
    sample_rate: float

    @property
    def measure(self) -> float:
        """The floor by which margins are told; all that the frontier has where there is none."""
        return 1.0 if self.floor is None else self.floor


def aim_of(spec: RoutingPolicySpec) -> Aim | None:
    """Return the aim of a policy that tries; None of one that does not."""
    told, trials = spec.routing.complexity, spec.routing.trials
    if told is None or trials is None:
        return None
    return Aim(
        floor=None if told.quality_floor is None else float(told.quality_floor),
        confidence=float(told.confidence),
        sample_rate=float(trials.sample_rate),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of the book as it was last read."""

    version: str
    raw: bytes
    """Empty where it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """All that is known of one policy's quality, and what was made of it."""

    subject: str
    """Whom it is of."""
    aim: Aim
    plan: PlanConfig
    frontier_share: float | None = None
    """That the plan asks for, as expected; None where nobody knows."""
    score: str | None = None
    """The text of what trials have taught."""
    examples: int = 0
    """That taught it."""
    segments: Mapping[str, Segment] = field(default_factory=dict)
    scores: Mapping[str, Floats] = field(default_factory=dict)
    """Of the trials of each batch, as the last lesson had it."""
    learned: bool = False
    """These scores are of the score that is published: without them no plan is made."""
    evidence: Evidence | None = None
    bank: Bank | None = None
    fresh_requests: int = 0
    """Since the plan."""
    fresh_trials: int = 0
    """Since a lesson was asked for."""
    asked_with: int = 0
    """Trials of that lesson."""
    looked_at_s: float | None = None

    @property
    def trials(self) -> int:
        """How many there are."""
        return len(self.evidence.trials) if self.evidence else 0

    @property
    def wants_lesson(self) -> bool:
        """Whether there is enough that is new to learn the score anew, and to test it by others."""
        if self.evidence is None or self.evidence.parts < 2:
            return False
        grown = min((LEARNS - 1.0) * self.asked_with, LEARNS_AT_LEAST_EVERY)
        return self.trials >= FEWEST and self.fresh_trials > 0 and self.fresh_trials >= grown


def begun(subject: str, aim: Aim) -> Quality:
    """Know nothing yet."""
    return Quality(subject=subject, aim=aim, plan=_first(aim))


def _first(aim: Aim, shadow_rate: float | None = None) -> PlanConfig:
    """Return the plan of who knows nothing: with a floor, all to the frontier."""
    shadow = aim.sample_rate if shadow_rate is None else shadow_rate
    if aim.floor is not None:
        return PlanConfig(careful=True, shadow_rate=shadow)
    return PlanConfig(trial_rate=min(aim.sample_rate, SHARE_TRIAL_RATE), shadow_rate=shadow)


def aimed(quality: Quality, aim: Aim) -> Quality:
    """Go on under another aim: a plan for another floor promises nothing of this one."""
    if quality.aim == aim:
        return quality
    start = replace(quality, aim=aim, plan=_first(aim), frontier_share=None)
    return replanned(start, anew=True)


def taught(quality: Quality, lesson: Lesson) -> Quality:
    """Take in what a lesson found; what was made of the scores before has to be made anew."""
    return replace(
        quality,
        score=lesson.score,
        examples=lesson.examples,
        scores=lesson.scores,
        learned=True,
    )


def informed(quality: Quality, evidence: Evidence | None) -> Quality:
    """Take in what the book tells now; where that is nothing, nothing is promised."""
    if evidence is None:
        first = _first(quality.aim)
        return replace(quality, evidence=None, bank=None, plan=first, frontier_share=None)
    before = quality.evidence.batches if quality.evidence else {}
    new = [told for name, told in evidence.batches.items() if name not in before]
    return replace(
        quality,
        evidence=evidence,
        fresh_requests=quality.fresh_requests + sum(told.requests for told in new),
        fresh_trials=quality.fresh_trials + sum(told.trials for told in new),
    )


def replanned(quality: Quality, *, anew: bool = False) -> Quality:
    """Make a plan where one is due: after 5% more requests, or where a stricter one is needed.

    `anew`: whatever was planned before says nothing.
    """
    if (evidence := quality.evidence) is None:
        return quality
    bank = bank_of(evidence.trials, evidence.spells, quality.aim.measure)
    plan, share = _best(quality, evidence, bank)
    known = quality.frontier_share
    stricter = share is not None and (known is None or share > known + STRICTER)
    due = quality.fresh_requests >= (LOOKS - 1.0) * bank.requests
    if not (anew or due or stricter):
        return replace(quality, bank=bank)
    return replace(quality, bank=bank, plan=plan, frontier_share=share, fresh_requests=0)


def _best(quality: Quality, evidence: Evidence, bank: Bank) -> tuple[PlanConfig, float | None]:
    """Return the best plan now, and the frontier's share that it asks for, if that is known."""
    aim, shadow = quality.aim, _shadow_rate(quality.aim, evidence)
    if aim.floor is None:
        return _first(aim, shadow), None
    if quality.trials < FEWEST:
        return _first(aim, shadow), CAREFUL.frontier_share
    if not quality.learned:
        if bank.least(aim.confidence) < 0.0:
            return _first(aim, shadow), CAREFUL.frontier_share
        # what an earlier process planned holds until there is a lesson
        return quality.plan.model_copy(update={"shadow_rate": shadow}), quality.frontier_share
    found = planned(
        evidence.trials,
        bank,
        floor=aim.floor,
        confidence=aim.confidence,
        highest_rate=aim.sample_rate,
    )
    return _config(found, aim, shadow), found.frontier_share


def _shadow_rate(aim: Aim, evidence: Evidence) -> float:
    """Look at no more of what goes to the frontier anyway than there is use for."""
    per_h = evidence.at_frontier_per_h
    enough = FREE_TRIALS_PER_H / per_h if per_h else 1.0
    return float(f"{min(aim.sample_rate, enough):.2g}")


def _config(plan: Plan, aim: Aim, shadow_rate: float) -> PlanConfig:
    if plan == CAREFUL:
        return _first(aim, shadow_rate)
    return PlanConfig(
        limit=None if plan.limit == inf else _rounded_down(plan.limit),
        trial_rate=plan.trial_rate,
        shadow_rate=shadow_rate,
        variance=round(plan.variance, _DIGITS),
    )


def _rounded_down(limit: float) -> float:
    """Round to what is published: what the plan sends up, at its very limit too, still goes up."""
    rounded = round(limit, _DIGITS)
    return rounded if rounded <= limit else round(rounded - 10.0**-_DIGITS, _DIGITS)
