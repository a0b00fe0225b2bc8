"""Examples as live traffic: from a cold start, learning only from the trials of a sampled share.

Until trials show that the floor holds, all goes to the frontier. Limits are tried from the
strictest on, and the first that fails ends the search: so many limits do not need a correction
each. Source: Angelopoulos et al. (2021), "Learn then test", arXiv:2110.01052. Looks repeat, so look
k may err with 1 / (k (k + 1)) of the allowed error. The bound is the normal one, and it supposes
that tomorrow is like today: neither is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.learning.design import design_of
from overspill.learning.linear import learn
from overspill.learning.trial import Scored, cross_validated

if TYPE_CHECKING:
    from overspill.learning.design import Floats, Indices
    from overspill.learning.examples import Examples
    from overspill.learning.linear import Linear

FIRST_LOOK: Final = 50
"""Trials. Fewer bear no normal bound."""
GROWTH: Final = 1.6
"""From look to look."""
STEPS: Final = 40
"""Limits that are tried at one look, equal shares of the trials apart."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What happened. `scored` has one fold and one limit a look."""

    scored: Scored
    sampled: Indices
    """Rows that both tiers answered."""


def replay(
    examples: Examples,
    prior: Linear | None,
    *,
    floor: float,
    confidence: float,
    sample_rate: float,
    seed: int = 0,
) -> Replay:
    """Play the examples in their order. `seed` chooses which requests become trials."""
    design = design_of(examples.prompts)
    many = len(examples)
    sampled = np.flatnonzero(np.random.default_rng(seed).random(many) < sample_rate)
    scores, fold = np.zeros(many), np.zeros(many, dtype=np.intp)
    limits = [-np.inf]
    if prior is not None:
        scores = prior.gains(design)
    for look, known in enumerate(_looks(sampled), start=1):
        rest = np.arange(known[-1] + 1, many)
        if not len(rest):
            break
        linear = learn(design.take(known), examples.gains[known], prior=prior)
        scores[rest], fold[rest] = linear.gains(design.take(rest)), look
        error = (1.0 - confidence) / (look * (look + 1))
        limits.append(_limit(examples.take(known), prior, floor, error))
    return Replay(Scored(scores, fold, np.array(limits)), sampled)


def _looks(sampled: Indices) -> list[Indices]:
    """Return the trials known at each look."""
    found, due = [], float(FIRST_LOOK)
    while due <= len(sampled):
        found.append(sampled[: int(due)])
        due *= GROWTH
    return found


def _limit(trials: Examples, prior: Linear | None, floor: float, error: float) -> float:
    """Return the highest limit for which the trials show that the floor holds."""
    scores = cross_validated(trials, prior, floor=floor).scores
    limit = -np.inf
    steps = np.quantile(scores, np.linspace(0.0, 1.0, STEPS + 1)[1:])
    for candidate in (*steps.tolist(), np.inf):
        sent = scores >= candidate
        if sent.all():
            continue  # says nothing: the small tier would answer none of these
        if not _holds(
            np.where(sent, trials.frontier, trials.small) - floor * trials.frontier, error
        ):
            break
        limit = candidate
    return limit


def _holds(margins: Floats, error: float) -> bool:
    """Say whether the mean of these is above 0, wrongly in at most `error` of cases."""
    width = NormalDist().inv_cdf(1.0 - error) * float(margins.std(ddof=1)) / sqrt(len(margins))
    return float(margins.mean()) - width >= 0.0
