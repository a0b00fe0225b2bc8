"""The simulator drives the operator's own decision."""

from __future__ import annotations

from overspill.simulate.engine import run
from overspill.simulate.ours import Overspill
from tests.simulate.loads import load


def test_it_starts_when_that_pays_and_stops_when_it_no_longer_does() -> None:
    case = load([100] * 10 + [0] * 10, usd_per_token=0.02, startup_s=20)
    requested = run(case, Overspill(case.economics)).tolist()
    assert requested[0] == 0
    assert max(requested) == 1
    assert requested[-1] == 0


def test_it_owns_nothing_where_the_frontier_is_cheaper() -> None:
    case = load([800] * 50, usd_per_token=0.009)
    assert run(case, Overspill(case.economics)).max() == 0
