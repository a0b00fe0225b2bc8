"""Ridge regression by conjugate gradients: sparse rows beside a few dense columns.

No product is BLAS': its sums depend on how many threads there are, and figures would with them.
Source: Hestenes, Stiefel (1952), doi:10.6028/jres.049.044, on the normal equations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from overspill.learning.design import Design, Floats

STEPS: Final = 100
ENOUGH: Final = 1e-3
"""Stop when the gradient is this part of the first one; more makes no difference to a ranking."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Examples to learn from: `dense` is rows × few."""

    sparse: Design
    dense: Floats

    def times(self, weights: Floats) -> Floats:
        """Return one sum a row; the dense columns' weights stand last."""
        few = self.dense.shape[1]
        dense: Floats = np.einsum("rc,c->r", self.dense, weights[-few:])
        return self.sparse.times(weights[:-few]) + dense

    def transposed_times(self, per_row: Floats) -> Floats:
        """Return one sum a column."""
        dense = np.einsum("rc,r->c", self.dense, per_row)
        return np.concatenate([self.sparse.transposed_times(per_row), dense])


def ridge(rows: Rows, target: Floats, penalty: float) -> Floats:
    """Return the weights that minimise |target - rows × weights|² + penalty × |weights|²."""
    gradient = rows.transposed_times(target)
    weights = np.zeros_like(gradient)
    direction, size = gradient.copy(), _square(gradient)
    enough = ENOUGH**2 * size
    for _ in range(STEPS):
        if size <= enough:
            break
        across = rows.times(direction)
        step = size / (_square(across) + penalty * _square(direction))
        weights += step * direction
        gradient = gradient - step * (rows.transposed_times(across) + penalty * direction)
        before, size = size, _square(gradient)
        direction = gradient + (size / before) * direction
    return weights


def _square(values: Floats) -> float:
    return float(np.einsum("i,i->", values, values))
