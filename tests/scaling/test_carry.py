"""An edit in mid-flight takes effect from then on, and turns nothing by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from overspill.scaling import Demand, Economics, LevelState, Replicas, Situation, carried, decide

BEFORE = Economics(
    capacity_tokens_per_s=100.0, rent_usd_per_s=1.0, startup_s=60.0, min_replicas=0, max_replicas=8
)
STATE = LevelState(on=2, accrued_usd=(0.0, 55.0, 55.0, 3.0))
DEMAND = Demand(work_tokens_per_s=250.0, frontier_usd_per_s=2.5)

EDITS = [
    pytest.param({}, 1.0, id="nothing"),
    pytest.param({"rent_usd_per_s": 0.1}, 0.1, id="a tenth of the rent"),
    pytest.param({"startup_s": 20.0}, 1 / 3, id="a start-up time that was learned"),
    pytest.param({"startup_s": 600.0, "rent_usd_per_s": 2.0}, 20.0, id="both, upwards"),
    pytest.param({"max_replicas": 3, "min_replicas": 1}, 1.0, id="bounds"),
    pytest.param({"capacity_tokens_per_s": 300.0}, 1.0, id="capacity"),
    pytest.param({"rent_usd_per_s": 0.0}, 0.0, id="replicas that cost nothing"),
]


@pytest.mark.parametrize(("edit", "scale"), EDITS)
def test_each_level_keeps_its_share_of_a_starts_cost(edit: dict[str, Any], scale: float) -> None:
    state = carried(STATE, BEFORE, replace(BEFORE, **edit))
    assert state.on == STATE.on
    assert state.accrued_usd == pytest.approx([usd * scale for usd in STATE.accrued_usd])


@pytest.mark.parametrize(("edit", "scale"), [e for e in EDITS if "bounds" not in str(e.id)])
def test_an_edit_by_itself_changes_no_count(edit: dict[str, Any], scale: float) -> None:
    now = replace(BEFORE, **edit)
    situation = Situation(demand=DEMAND, replicas=Replicas(requested=2, ready=2))
    assert decide(now, situation, carried(STATE, BEFORE, now), 0.0).desired == 2


def test_free_replicas_leave_nothing_to_scale() -> None:
    free = replace(BEFORE, rent_usd_per_s=0.0)
    assert carried(STATE, free, BEFORE) == STATE
