"""A small tier on trial: windows are watched whole, and each is judged by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.budget.experiment import Experiment, Line, Window, watched

LINE = Line(window_s=100.0, least_saved_per_usd=1.5)


def look(
    before: Experiment, saved: float, cost: float, elapsed_s: float = 10.0, line: Line = LINE
) -> Experiment:
    return watched(before, line, saved_usd_per_s=saved, cost_usd_per_s=cost, elapsed_s=elapsed_s)


def after_a_window(saved: float, cost: float, before: Experiment | None = None) -> Experiment:
    found = before or Experiment()
    for _ in range(10):
        found = look(found, saved, cost)
    return found


@pytest.mark.parametrize(
    ("saved", "cost", "ended"),
    [
        pytest.param(3.0, 1.0, False, id="it saves more than is asked"),
        pytest.param(1.5, 1.0, False, id="just so much"),
        pytest.param(1.4, 1.0, True, id="a little less"),
        pytest.param(0.0, 1.0, True, id="nothing"),
        pytest.param(0.0, 0.0, False, id="it was not needed, and cost nothing"),
    ],
)
def test_a_window_is_judged_by_what_it_saved_a_dollar(
    saved: float, cost: float, ended: bool
) -> None:
    found = after_a_window(saved, cost)
    assert found.ended is ended
    assert found.last == Window(watched_s=100.0, saved_usd=100 * saved, cost_usd=100 * cost)
    assert found.window == Window()


def test_nothing_is_judged_before_its_time() -> None:
    found = Experiment()
    for _ in range(9):
        found = look(found, 0.0, 1.0)
    assert (found.ended, found.last) == (False, None)


def test_a_good_past_covers_up_nothing() -> None:
    good = after_a_window(30.0, 1.0)
    assert after_a_window(0.0, 1.0, good).ended


def test_what_has_ended_stays_so() -> None:
    ended = after_a_window(0.0, 1.0)
    assert after_a_window(99.0, 1.0, ended) == ended


@given(st.lists(st.floats(0, 50), min_size=1, max_size=60), st.floats(0, 9), st.floats(0.01, 9))
def test_it_ends_where_the_same_rates_would_have_it_however_time_is_cut(
    steps: list[float], saved: float, cost: float
) -> None:
    found, line = Experiment(), Line(window_s=100.0, least_saved_per_usd=1.0)
    for step in steps:
        found = look(found, saved, cost, step, line)
    full = found.last is not None
    assert full is (sum(steps) >= 100.0 - 1e-9) or abs(sum(steps) - 100.0) < 1e-6
    clear = abs(saved - cost) > 1e-6
    assert not (full and clear) or found.ended is (saved < cost)
