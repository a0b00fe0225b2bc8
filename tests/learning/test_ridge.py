"""Ridge regression, beside the formula."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from overspill.learning.design import COLUMNS, design_of
from overspill.learning.ridge import Rows, ridge

PROMPTS = ["a b c", "b c d", "c d e", "what is 12 + 30?", "write code:\n```\nreturn 1\n```"]


def test_it_finds_what_the_formula_finds() -> None:
    chance = np.random.default_rng(1)
    design, dense = design_of(PROMPTS), chance.normal(size=(len(PROMPTS), 2))
    target, penalty = chance.normal(size=len(PROMPTS)), 0.7
    whole = np.column_stack([table(design.rows), dense])
    found = ridge(Rows(design, dense), target, penalty)
    # in the rows' space: X' (X X' + λ)⁻¹ y
    kernel = whole @ whole.T + penalty * np.eye(len(PROMPTS))
    assert found == pytest.approx(whole.T @ np.linalg.solve(kernel, target), abs=1e-3)


def table(rows: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    design = design_of(PROMPTS)
    full = np.zeros((rows, COLUMNS))
    for row in range(rows):
        own = slice(design.starts[row], design.starts[row + 1])
        full[row, design.columns[own]] = design.values[own]
    return full


def test_rows_can_be_taken_in_any_order() -> None:
    design = design_of(PROMPTS)
    weights = np.random.default_rng(2).normal(size=COLUMNS)
    order = np.array([3, 0, 3])
    assert design.take(order).times(weights) == pytest.approx(design.times(weights)[order])


def test_a_column_of_scale_0_is_left_out() -> None:
    design = design_of(PROMPTS)
    scales = np.ones(COLUMNS)
    scales[design.columns[0]] = 0.0
    thinner = design.scaled(scales)
    assert len(thinner.values) < len(design.values)
    assert thinner.times(np.ones(COLUMNS)) == pytest.approx(design.times(scales))


def test_nothing_to_explain_gives_no_weights() -> None:
    design = design_of(PROMPTS)
    dense = np.zeros((len(PROMPTS), 1))
    assert not ridge(Rows(design, dense), np.zeros(len(PROMPTS)), 1.0).any()


THREADED = """
import hashlib
import numpy as np
from overspill.learning.design import COLUMNS, Design
from overspill.learning.ridge import Rows, ridge
dice, many = np.random.default_rng(1), 3_000
sparse = Design(np.arange(many + 1) * 20, dice.integers(0, COLUMNS, 20 * many), np.ones(20 * many))
rows = Rows(sparse, dice.normal(size=(many, 34)))
print(hashlib.sha256(ridge(rows, dice.normal(size=many), 10.0).tobytes()).hexdigest())
"""


def test_the_weights_are_the_same_whatever_the_number_of_threads() -> None:
    found = set()
    for threads in "12":
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        command = [sys.executable, "-c", THREADED]
        done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
        found.add(done.stdout)
    assert len(found) == 1
