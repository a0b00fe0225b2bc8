"""What the operator remembers between two looks."""

from __future__ import annotations

import pytest

from overspill.controller.memory import Memory, elapsed_s

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
