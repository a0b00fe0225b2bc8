"""The score as its trainer has it: one weight a column, and how it becomes the sidecar's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.learning.design import COLUMNS
from overspill.learning.ridge import Rows, ridge
from overspill.routing.features import KNOTS, MEASURES, WORDS
from overspill.routing.score import MIDDLE, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.learning.design import Design, Floats

PENALTY: Final = 10.0
"""Of learning from one's own examples. From 6 to 16 the mean APGR of the bench moves by 0.003."""
PRIOR_PENALTY: Final = 100.0
"""Of the prior: less is closer to its own sets, and further from others."""
LEAST_ROWS: Final = 2
"""A word seen in fewer examples teaches nothing about others."""
_KNOT: Final = 0.1
_SLOPE: Final = 0.05
_PRIOR: Final = 0.3
"""How large a bend and a slope of a measure and the prior are beside the words: what is small has
to be worth more before the penalty lets it count."""
_FEWEST: Final = 0.3
"""Knots: a measure that varies less than this is not stretched further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """`base` + design × `weights` is the expected gain in quality of the frontier over the small
    model. `weights` has COLUMNS places.
    """

    weights: Floats
    base: float

    def gains(self, design: Design) -> Floats:
        """Return the expected gain of each row."""
        return design.times(self.weights) + self.base


def learn(
    design: Design, gains: Floats, *, prior: Linear | None = None, penalty: float = PENALTY
) -> Linear:
    """Learn from examples; `gains` is frontier less small quality, -1..1, one a row."""
    scales = _scales(design)
    slopes = _slopes(design)
    offset, spread_of_prior = _from_prior(design, prior)
    dense = np.column_stack([_measures(design, slopes), offset * spread_of_prior])
    base = float(gains.mean())
    target = gains - base - offset  # the prior counts in full until examples say otherwise
    found = ridge(Rows(design.scaled(scales), dense), target, penalty)
    weights = found[:COLUMNS] * scales
    weights[WORDS:] += (slopes * found[COLUMNS:-1, None]).ravel()
    if prior is None:
        return Linear(weights=weights, base=base)
    share = 1.0 + float(found[-1]) * spread_of_prior
    middle = float(design.times(prior.weights).mean())
    return Linear(weights=weights + share * prior.weights, base=base - share * middle)


def _from_prior(design: Design, prior: Linear | None) -> tuple[Floats, float]:
    """Return what the prior says, less its mean here, and what brings that to the size _PRIOR."""
    if prior is None:
        return np.zeros(design.rows), 0.0
    said = design.times(prior.weights)
    said = said - said.mean()
    width = float(said.std())
    return said, _PRIOR / width if width > 0.0 else 0.0


def _scales(design: Design) -> Floats:
    """Weigh rare words more (inverse document frequency), around 1."""
    counts = design.counts()
    rarity = np.log((1 + design.rows) / (1 + counts)) + 1
    rarity[counts < LEAST_ROWS] = 0.0
    seen = counts[:WORDS].sum()
    mean = float((rarity[:WORDS] * counts[:WORDS]).sum()) / seen if seen else 0.0
    scales = rarity / mean if mean else rarity
    scales[WORDS:] = _KNOT
    return scales


def _knots(design: Design) -> Floats:
    """Return the knots' shares, rows × (MEASURES × KNOTS)."""
    rows = np.repeat(np.arange(design.rows), np.diff(design.starts))
    knots = design.columns >= WORDS
    table = np.zeros((design.rows, MEASURES * KNOTS))
    table[rows[knots], design.columns[knots] - WORDS] = design.values[knots]
    return table


def _slopes(design: Design) -> Floats:
    """Return a straight line's value at each knot, MEASURES × KNOTS: centred, as wide as here."""
    table = _knots(design).reshape(-1, MEASURES, KNOTS)
    at = table @ np.arange(KNOTS)
    mean, width = at.mean(axis=0), np.maximum(at.std(axis=0), _FEWEST)
    lines = (np.arange(KNOTS) - mean[:, None]) / width[:, None]
    found: Floats = _SLOPE * np.clip(lines, -3.0, 3.0)
    return found


def _measures(design: Design, slopes: Floats) -> Floats:
    """Return each row's place on the lines, rows × MEASURES."""
    table = _knots(design).reshape(-1, MEASURES, KNOTS)
    found: Floats = np.einsum("rmk,mk->rm", table, slopes)
    return found


def score_of(linear: Linear, trained_on: Sequence[str], examples: int) -> Score:
    """Round to what the sidecar carries."""
    words = linear.weights[:WORDS]
    unit = float(np.abs(words).max()) / (MIDDLE - 1) or 1.0
    return Score(
        base=round(linear.base, 6),
        shape=tuple(round(float(one), 6) for one in linear.weights[WORDS:]),
        words=(np.rint(words / unit) + MIDDLE).astype(np.uint8).tobytes(),
        words_unit=unit,
        trained_on=tuple(trained_on),
        examples=examples,
    )


def linear_of(score: Score) -> Linear:
    """Go on from what a sidecar carries."""
    words = (np.frombuffer(score.words, np.uint8).astype(np.float64) - MIDDLE) * score.words_unit
    return Linear(weights=np.concatenate([words, score.shape]), base=score.base)
