"""The promise: quality of at least a part of the frontier's, with a stated confidence, from trials.

A request's *margin* is its quality less `floor` times what the frontier's would have been. Where
the frontier answers, that is a gain, which is banked; where the small model answers, it is mostly a
loss, and known only of trials. The promise is kept while the sum of all margins is above 0.

Some requests that the score would give to the small model go to the frontier by lot, and the small
model answers them in the background: these are the paid trials. They stand for all others that it
answered alone (Horvitz and Thompson, 1952), so nothing has to be supposed about traffic or score.
Of what goes to the frontier anyway, all or a sample are trials for nothing. A plan is a limit of
the score and a rate of paid trials: the pair that asks least of the frontier, and with which the
bound of the bank stays above 0 soon, later and much later; and the latest third of requests alone
must not say that it will be empty: traffic changes. What a plan leaves unknown counts against it:
of few trials each stands for many requests, and such doubt is never told away, only outweighed by
what the frontier banks. Where luck or drift lowers the bank, the next plan is stricter, and without
any that holds all goes to the frontier, which fills it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.learning.design import Floats

RATES: Final = (
    *(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
    *(rate / 100 for rate in range(52, 100, 2)),
)
"""Of paid trials, among what the score would give to the small model; as far as is allowed. Where
most goes up by lot, small steps of it are large parts of what does not."""
HORIZONS: Final = (0.1, 1.0, 5.0)
"""When the bound must hold, in as many requests as came so far."""
LATELY: Final = 1 / 3
"""Of all requests, the latest: with what they tell alone the bank must last, without a bound, as
far as the last horizon."""
STEPS: Final = 40
"""Limits that are tried, equal shares of requests apart."""
NORMAL_ENOUGH: Final = 0.9
"""Of the error that is allowed: the rest is for bounds that suppose normal sums."""
FEWEST: Final = 50
"""Trials. Of fewer nothing is concluded."""
DOUBT_COUNTS: Final = 0.25
"""Of the requests that would bank as much as a plan widens the bound: the bound does not always
bind. With more, more runs are ever below the floor."""
LEAST_WORTH: Final = 0.01
"""Quality that one of them is taken to bank, where it is no more."""
RESERVE: Final = 20.0
"""Squares that a plan supposes to be still unknown of the bank. Each look by itself may be wrong as
often as is allowed, and there are the most looks while the bank is small: with it few runs are ever
below the floor, and of thousands of requests it asks next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Requests that both tiers answered, an element each, in their order."""

    scores: Floats
    """By a score that had not learned from them."""
    small: Floats
    frontier: Floats
    """Qualities, 0..1."""
    sent: Floats
    """The chance that the frontier answered such a request: 1 where it did anyway."""
    seen: Floats
    """The chance that it did, and the request became a trial; not above `sent`."""

    def __len__(self) -> int:
        return len(self.scores)

    def latest(self, part: float) -> Trials:
        """Return those that stand for the last `part` of all requests."""
        stood = np.cumsum(self.stand_for)
        first = int(np.searchsorted(stood, (1.0 - part) * stood[-1])) if len(self) else 0
        return Trials(
            scores=self.scores[first:],
            small=self.small[first:],
            frontier=self.frontier[first:],
            sent=self.sent[first:],
            seen=self.seen[first:],
        )

    @property
    def stand_for(self) -> Floats:
        """How many requests each stands for."""
        return 1.0 / self.seen

    def lost(self, floor: float) -> Floats:
        """Margins, had the small model answered."""
        return self.small - floor * self.frontier

    def gained(self, floor: float) -> Floats:
        """Margins, had the frontier."""
        return (1.0 - floor) * self.frontier

    def margins(self, floor: float) -> Floats:
        """Margins as expected of such requests, by the chances that either answers."""
        return self.sent * self.gained(floor) + (1.0 - self.sent) * self.lost(floor)

    def doubt(self, floor: float) -> Floats:
        """Squares by which a margin that was estimated misses the one that came, as expected.

        With m the expected margin, g and l what either answer gains, f the chance of the
        frontier's and o that of a trial: m²/o - 2mg + fg² + (1-f)l².
        """
        mean, gained, lost = self.margins(floor), self.gained(floor), self.lost(floor)
        came = self.sent * gained**2 + (1.0 - self.sent) * lost**2
        found: Floats = np.maximum(0.0, mean**2 * self.stand_for - 2.0 * mean * gained + came)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to route until the next plan."""

    limit: float
    """From this score on a request goes to the frontier."""
    trial_rate: float
    """Of the others, by lot."""
    frontier_share: float
    """What both take together, as expected."""
    variance: float = 0.0
    """Of the margins of what the small model would answer."""


CAREFUL: Final = Plan(limit=-inf, trial_rate=0.0, frontier_share=1.0)
"""All to the frontier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """What the small model answered alone while one plan was in force."""

    answers: int
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """The sum of all margins so far, as estimated."""

    requests: float
    margin: float
    variance: float
    """Of the estimate."""
    frontier: float
    """The quality that the frontier would have had, summed up."""

    def least(self, confidence: float) -> float:
        """Return the lower bound of the margin."""
        return self.margin - NormalDist().inv_cdf(confidence) * sqrt(self.variance)

    def quality(self, floor: float, confidence: float) -> tuple[float, float, float]:
        """Return the quality achieved, of the frontier's: estimate, and where it lies between."""
        if not self.frontier:
            return 1.0, 0.0, 1.0
        width = NormalDist().inv_cdf(confidence) * sqrt(self.variance) / self.frontier
        middle = floor + self.margin / self.frontier
        return middle, middle - width, middle + width


def bank_of(trials: Trials, spells: Sequence[Spell], floor: float) -> Bank:
    """Add up what is known, and let paid trials stand for what is not.

    While there are few of them their own spread says little: then what the plans had expected does,
    and where a plan expected nothing, what all trials show.
    """
    seen = float((trials.doubt(floor) * trials.stand_for).sum())
    shown = float((trials.lost(floor) ** 2 * trials.stand_for).sum())
    mean = shown / float(trials.stand_for.sum()) if len(trials) else 0.0
    foreseen = sum(
        spell.answers * (spell.plan.variance or mean) / spell.plan.trial_rate
        for spell in spells
        if spell.plan.trial_rate
    )
    return Bank(
        requests=float(trials.stand_for.sum()),
        margin=float((trials.margins(floor) * trials.stand_for).sum()),
        variance=max(seen, foreseen),
        frontier=float((trials.frontier * trials.stand_for).sum()),
    )


def planned(
    trials: Trials, bank: Bank, *, floor: float, confidence: float, highest_rate: float
) -> Plan:
    """Return the plan that asks least of the frontier and holds; CAREFUL where none does."""
    if len(trials) < FEWEST or highest_rate <= 0.0:
        return CAREFUL
    rates = np.array([rate for rate in RATES if rate < highest_rate] + [highest_rate])
    z = NormalDist().inv_cdf(1.0 - NORMAL_ENOUGH * (1.0 - confidence))
    futures = _Futures(trials, floor)
    latest = trials.latest(LATELY)
    lately = _Futures(latest, floor) if len(latest) >= FEWEST else futures
    limits = futures.limits()
    share, margin, variance = futures.of(limits, rates)
    _, of_late, _ = lately.of(limits, rates)
    ahead = np.array(HORIZONS)[:, None, None] * bank.requests
    known = bank.variance + RESERVE
    doubt = np.sqrt(known + ahead * variance)
    holds = (bank.margin + ahead * margin >= z * doubt).all(axis=0)
    holds &= bank.margin + ahead[-1] * of_late >= 0.0
    holds &= share < CAREFUL.frontier_share
    if not holds.any():
        return CAREFUL
    widened = z * (np.sqrt(known + bank.requests * variance) - sqrt(known)) / bank.requests
    price = share + DOUBT_COUNTS * widened / futures.worth
    step, rate = np.unravel_index(np.where(holds, price, inf).argmin(), share.shape)
    return Plan(
        limit=float(limits[step]),
        trial_rate=float(rates[rate]),
        frontier_share=float(share[step, rate]),
        variance=futures.spread(float(limits[step])),
    )


class _Futures:
    """What would come if the small model got all requests of the lowest scores."""

    def __init__(self, trials: Trials, floor: float) -> None:
        order = np.argsort(trials.scores, kind="stable")
        part = trials.stand_for[order] / trials.stand_for.sum()
        margins, gains = trials.lost(floor)[order], trials.gained(floor)[order]
        self._scores = trials.scores[order]
        self._part, self._lost, self._squares, self._gained = (
            np.concatenate([[0.0], np.cumsum(part * one)])
            for one in (np.ones(len(order)), margins, margins**2, gains)
        )

    def limits(self) -> Floats:
        """Return scores from which on the frontier may answer, equal shares of requests apart.

        What scores the same goes the same way: where much does, the steps are as large.
        """
        shares = np.linspace(1.0 / STEPS, 1.0, STEPS)
        found = np.searchsorted(self._part, shares, side="left").clip(1, len(self._scores))
        limits: Floats = np.unique(np.append(self._scores, inf)[found])
        return limits

    @property
    def worth(self) -> float:
        """What a request more at the frontier adds to the bank, or one at the better tier.

        On the mean. Where the small model is the better one, its answers outweigh doubt.
        """
        gained, lost = float(self._gained[-1]), float(self._lost[-1])
        return max(gained - lost, gained, lost, LEAST_WORTH)

    def spread(self, limit: float) -> float:
        """Return the mean square of the margins below a limit. There must be some."""
        many = np.searchsorted(self._scores, limit)
        return float(self._squares[many] / self._part[many])

    def of(self, limits: Floats, rates: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the frontier's share, and a request's mean margin and variance.

        Each has a row a limit and a column a rate of paid trials.
        """
        many = np.searchsorted(self._scores, limits)
        part, gained, lost, squares = (
            sums[many, None] for sums in (self._part, self._gained, self._lost, self._squares)
        )
        share = 1.0 - part + rates * part
        margin = self._gained[-1] - gained + rates * gained + (1.0 - rates) * lost
        return share, margin, squares * (1.0 - rates) / rates
