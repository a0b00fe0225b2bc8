"""Break-even's memory survives a restart, and nobody is fooled by what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.controller.memory import (
    Memory,
    dump_levels,
    elapsed_s,
    load_levels,
    worth_writing,
)
from overspill.scaling import LevelState

levels = st.builds(
    LevelState,
    on=st.integers(0, 20),
    accrued_usd=st.lists(st.floats(0, 1e6), max_size=20).map(tuple),
)


@given(levels)
def test_a_state_comes_back_to_the_micro_dollar(state: LevelState) -> None:
    back = load_levels(dump_levels(state, "2026-11-24T00:00:00Z"))
    assert back.on == state.on
    for k in range(1, len(state.accrued_usd) + 1):
        assert back.level(k) == pytest.approx(state.level(k), abs=1e-6)


UNREADABLE = [
    pytest.param({"version": 2, "updatedAt": "x", "replicasOn": 1}, "version 2", id="newer"),
    pytest.param({"version": 1}, "cannot be read", id="fields missing"),
    pytest.param("garbage", "cannot be read", id="no object"),
    pytest.param({"version": 1, "updatedAt": "x", "replicasOn": -1}, "negative", id="negative"),
]


@pytest.mark.parametrize(("saved", "said"), UNREADABLE)
def test_what_cannot_be_read_is_said(saved: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=said):
        load_levels(saved)


ELAPSED = [
    pytest.param(None, 0.0, id="first look"),
    pytest.param(985.0, 15.0, id="one interval"),
    pytest.param(100.0, 30.0, id="a long gap is credited as two intervals"),
    pytest.param(1001.0, 0.0, id="the clock went back"),
]


@pytest.mark.parametrize(("decided_at_s", "credited"), ELAPSED)
def test_only_time_that_was_looked_at_is_credited(
    decided_at_s: float | None, credited: float
) -> None:
    assert elapsed_s(Memory(uid="u", decided_at_s=decided_at_s), 1000.0, 15.0) == credited


WRITES = [
    pytest.param(None, LevelState(), True, id="never written"),
    pytest.param(LevelState(on=1), LevelState(on=2), True, id="a level turned"),
    pytest.param(LevelState(), LevelState(accrued_usd=(1.9,)), False, id="moved by 1.9%"),
    pytest.param(LevelState(), LevelState(accrued_usd=(0.0, 2.0)), True, id="moved by 2%"),
    pytest.param(LevelState(accrued_usd=(0.0,)), LevelState(), False, id="trailing zero"),
]


@pytest.mark.parametrize(("written", "now", "worth"), WRITES)
def test_what_a_restart_would_miss_is_written(
    written: LevelState | None, now: LevelState, worth: bool
) -> None:
    assert worth_writing(written, now, start_cost_usd=100.0) is worth
