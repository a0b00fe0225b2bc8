"""Prompts as rows of a sparse matrix, in plain numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.routing.features import KNOTS, MEASURES, WORDS, features, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]
    Bools = NDArray[np.bool_]

COLUMNS: Final = WORDS + MEASURES * KNOTS
"""Hashed words first, then the knots of the measures."""


@dataclass(frozen=True, slots=True)
class Design:
    """A sparse matrix of rows × COLUMNS. Row i owns `columns[starts[i]:starts[i + 1]]`.

    A row's words all have the value 1 / sqrt(how many they are), so that long prompts weigh as much
    as short ones; knots have the shares of `spread`.
    """

    starts: Indices
    columns: Indices
    values: Floats

    @property
    def rows(self) -> int:
        """How many prompts."""
        return len(self.starts) - 1

    def times(self, weights: Floats) -> Floats:
        """Return one sum of values × weights a row. Each row has values: its knots."""
        sums: Floats = np.add.reduceat(self.values * weights[self.columns], self.starts[:-1])
        return sums

    def transposed_times(self, per_row: Floats) -> Floats:
        """Return one sum of values × `per_row` a column."""
        spread_out = np.repeat(per_row, np.diff(self.starts))
        found = np.bincount(self.columns, self.values * spread_out, minlength=COLUMNS)
        return found.astype(np.float64, copy=False)

    def take(self, rows: Indices) -> Design:
        """Return the matrix of these rows, in this order."""
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], lengths)
        return Design(starts, self.columns[places], self.values[places])

    def scaled(self, per_column: Floats) -> Design:
        """Multiply each column; what becomes 0 is left out."""
        values = self.values * per_column[self.columns]
        kept = values != 0.0
        before = np.concatenate([[0], np.cumsum(kept)])
        return Design(before[self.starts], self.columns[kept], values[kept])

    def counts(self) -> Floats:
        """Return in how many rows each column stands."""
        return np.bincount(self.columns, minlength=COLUMNS).astype(np.float64)


def design_of(prompts: Sequence[str]) -> Design:
    """Look at each prompt, once."""
    seen = map(features, prompts)
    return designed((sorted(one.words), one.shape) for one in seen)


def designed(rows: Iterable[tuple[list[int], list[float]]]) -> Design:
    """Lay rows out: each the places of its words, ascending, and its measures. One row at least."""
    lengths, columns, values = [0], [], []
    for words, shape in rows:
        knots = list(spread(shape))
        columns += [np.array(words, np.intp)]
        columns += [np.array([WORDS + place for place, _ in knots], np.intp)]
        values += [np.full(len(words), max(1, len(words)) ** -0.5)]
        values += [np.array([share for _, share in knots])]
        lengths.append(len(words) + len(knots))
    return Design(np.cumsum(lengths), np.concatenate(columns), np.concatenate(values))
