"""Recorded traffic whose requests are graded prompts, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.simulate.trace import STEP_S, bin_width_s, laid_out, read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.learning.design import Floats, Indices
    from overspill.learning.examples import Examples
    from overspill.simulate.load import FloatArray, Series

GROUPS: Final = 20
"""Equal parts of the graded prompts, by score: shares are multiples of one in so many."""
INPUT_WEIGHT: Final = 0.2
"""Of an input token in work: the price of input ÷ output, so that all work costs the same."""
DAY_STEPS: Final = int(86_400 / STEP_S)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graded:
    """Prompts that both tiers answered; arrays have one element a prompt."""

    group: Indices
    """0 for those that gain most at the frontier, as far as the score knows."""
    small: Floats
    """Quality of the small model's answer, 0..1."""
    frontier: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traffic:
    """What is asked for; `requests`, `small` and `frontier` have the shape (steps, GROUPS)."""

    work_tokens: FloatArray
    """Output + weight × input of each step. Within a step all requests are alike."""
    requests: FloatArray
    small: FloatArray
    """Sum of qualities, were all of these answered by the small model."""
    frontier: FloatArray

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.work_tokens)

    def part(self, groups: slice) -> FloatArray:
        """Return the part of each step's requests that are in these groups; 0 without any."""
        all_of_them = self.requests.sum(axis=1)
        none = np.zeros_like(all_of_them)
        some = self.requests[:, groups].sum(axis=1)
        found: FloatArray = np.divide(some, all_of_them, out=none, where=all_of_them > 0)
        return found


def graded(examples: Examples, scores: Floats) -> Graded:
    """Group prompts by score, highest first; equal scores in the order of the file."""
    many = len(examples)
    rank = np.empty(many, dtype=np.intp)
    rank[np.argsort(-scores, kind="stable")] = np.arange(many)
    return Graded(group=rank * GROUPS // many, small=examples.small, frontier=examples.frontier)


def read_counts(path: Path, steps: int) -> tuple[Series, FloatArray]:
    """Read requests and work of the first steps, one element a step.

    Raises: ValueError where rows are not bins of one step each; InvalidTrace, OSError.
    """
    rows = read_rows(path, counted=True)
    if rows.requests is None or bin_width_s(rows) != STEP_S:
        raise ValueError(f"{path}: has no bins of {STEP_S:g} s; give a trace that has")
    trace = laid_out(rows)
    work = trace.output_tokens + INPUT_WEIGHT * trace.input_tokens
    places = np.rint(rows.since_s / STEP_S).astype(np.int64)
    counts = np.bincount(places, rows.requests, len(work)).astype(np.int64)
    return np.maximum(counts, work > 0)[:steps], work[:steps]


def mixed(counts: Series, work: FloatArray, prompts: Graded, seed: int) -> Traffic:
    """Make each request one of the prompts, drawn evenly and with replacement."""
    chance = np.random.default_rng(seed)
    # Day by day: all of 14 days would be a gigabyte of rows at a time.
    days = [
        _drawn(counts[begin : begin + DAY_STEPS], prompts, chance)
        for begin in range(0, len(counts), DAY_STEPS)
    ]
    requests, small, frontier = (np.concatenate(parts) for parts in zip(*days, strict=True))
    return Traffic(work_tokens=work, requests=requests, small=small, frontier=frontier)


def _drawn(counts: Series, prompts: Graded, chance: np.random.Generator) -> list[FloatArray]:
    """Requests and summed qualities by step and group."""
    rows = chance.integers(len(prompts.group), size=int(counts.sum()), dtype=np.int32)
    place = np.repeat(np.arange(len(counts)) * GROUPS, counts) + prompts.group[rows]
    shape = (len(counts), GROUPS)
    weights = (None, prompts.small[rows], prompts.frontier[rows])
    sums = (np.bincount(place, one, len(counts) * GROUPS) for one in weights)
    return [one.astype(np.float64).reshape(shape) for one in sums]
