"""The outlook: demand is remembered at several time scales, and trusted as far as it foretold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.scaling.outlook import (
    GROWTH,
    PRIOR,
    SPANS,
    Outlook,
    blank,
    expected_use,
    fitted,
    reach_of,
    seen,
)

STARTUP_S = 160.0
"""The shortest memory is then 20 s, one look."""
REACH = 10


def watched(*replicas: float, outlook: Outlook | None = None) -> Outlook:
    """Look every 20 s at demand in replicas of 100 tokens/s."""
    outlook = outlook or blank(REACH, 100.0)
    for demand in replicas:
        outlook = seen(outlook, demand * 100.0, 20.0, STARTUP_S)
    return outlook


def memory(outlook: Outlook, which: int) -> list[float]:
    """Use of the first five replicas in one memory."""
    use: list[float] = np.diff(outlook.filled[which] / outlook.known[which])[:5].tolist()
    return use


def trust(outlook: Outlook, scenario: int) -> float:
    return float(outlook.trust[scenario])


def test_one_look_is_all_there_is_to_expect() -> None:
    once = watched(2.5)
    assert memory(once, 0) == memory(once, 5) == [1, 1, 0.5, 0, 0]
    use = expected_use(once)
    assert use[:3] == pytest.approx([1.0, 1.0, 0.5], abs=0.02)
    assert 0 < use[3] < 0.03  # only if demand grows by 30% or more
    assert use[6] == 0


def test_short_memories_forget_first() -> None:
    after = watched(*[4.0] * 100, *[1.0] * 4)
    assert memory(after, 0) == [1, 0, 0, 0, 0]
    assert memory(after, 2)[3] == pytest.approx((1 - 1 / 16) ** 4, abs=1e-3)
    assert memory(after, 5)[3] > 0.95


def test_nothing_is_expected_of_replicas_that_nothing_ever_reached() -> None:
    assert not expected_use(watched(1.0, 2.0, 1.0))[5:].any()


def test_trust_moves_to_short_memories_where_demand_jumps() -> None:
    jumps = [1.0] * 64 + [6.0] * 64
    after = watched(*jumps * 20)
    assert trust(after, 1) > 5 * trust(after, 3)


def test_trust_moves_to_long_memories_where_work_comes_in_bursts() -> None:
    burst = [4.0, 4.0] + [0.0] * 30
    after = watched(*burst * 100)
    assert after.trust[3:7].sum() > 1.5 * PRIOR[3:7].sum()
    assert expected_use(after)[3] > 0.01  # 30 idle looks after the last burst


def test_trust_moves_to_growth_where_demand_grows() -> None:
    after = blank(20, 100.0)
    for _ in range(60):
        after = watched(*(1.02**step for step in range(128)), outlook=after)
    grown = slice(len(SPANS) + 2, None)
    assert after.trust[grown].sum() > 4 * PRIOR[grown].sum()


@pytest.mark.parametrize("idle_or_full", [0.0, 1000.0])
def test_what_all_scenarios_foretold_teaches_nothing(idle_or_full: float) -> None:
    assert watched(*[idle_or_full] * 500).trust == pytest.approx(PRIOR)


def test_no_scenario_is_lost_for_good() -> None:
    jumps = [1.0] * 64 + [6.0] * 64
    assert watched(*jumps * 100).trust.min() > 1e-7


def test_the_prior_is_whole() -> None:
    assert PRIOR.sum() == pytest.approx(1.0)
    assert len(PRIOR) == len(SPANS) + len(GROWTH) + 1


def test_a_replica_of_twice_the_capacity_is_used_half_as_much() -> None:
    before = watched(*[3.0] * 20)
    after = fitted(before, REACH, 200.0)
    assert memory(after, 2) == pytest.approx([1, 0.5, 0, 0, 0])
    assert after.trust is before.trust


def test_trust_moves_as_far_where_capacity_is_measured_anew_at_every_look() -> None:
    steady = measured = blank(REACH, 100.0)
    for look, demand in enumerate(([1.0] * 64 + [6.0] * 64) * 10):
        steady = watched(demand, outlook=steady)
        measured = watched(demand, outlook=fitted(measured, REACH, 100.0 + 0.5 * (look % 2)))
    assert trust(steady, 0) > 4 * PRIOR[0]
    assert measured.trust == pytest.approx(steady.trust, abs=0.1)


def test_more_replicas_keep_what_was_known() -> None:
    before = watched(*[3.5] * 20)
    after = fitted(before, reach_of(200), 100.0)
    assert memory(after, 2) == pytest.approx([1, 1, 1, 0.5, 0])
    assert memory(fitted(after, REACH, 100.0), 2) == pytest.approx([1, 1, 1, 0.5, 0])


def test_what_stays_the_same_is_not_restated() -> None:
    before = watched(3.0)
    assert fitted(before, REACH, 100.0) is before


looks = st.lists(
    st.tuples(st.floats(0, 3000), st.floats(1, 3000), st.floats(0, 4000)), min_size=1, max_size=60
)


@given(looks, st.integers(1, 200))
def test_use_is_a_share_and_falls_from_replica_to_replica(
    path: list[tuple[float, float, float]], most: int
) -> None:
    outlook = blank(reach_of(most), 100.0)
    for tokens_per_s, elapsed_s, startup_s in path:
        outlook = seen(outlook, tokens_per_s, elapsed_s, startup_s)
        use = expected_use(outlook)
        assert -1e-9 <= use.min() <= use.max() <= 1 + 1e-9
        assert (np.diff(use) <= 1e-9).all()
        assert outlook.trust.sum() == pytest.approx(1.0)
        assert (outlook.trust > 0).all()


def test_nothing_seen_is_known_as_such() -> None:
    assert blank(REACH, 100.0).blank
    assert not watched(0.0).blank
