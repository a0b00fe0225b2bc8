"""The margin: from which part of its time on a replica starts, and stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.scaling.margin import thresholds

THRESHOLDS = [
    pytest.param(0.0, (float("inf"), float("inf")), id="no price"),
    pytest.param(0.5, (2.0, 2.0), id="dearer than the frontier: never"),
    pytest.param(1.0, (1.0, 1.0), id="even"),
    pytest.param(1.2, (1.1 / 1.2, 0.9 / 1.2), id="little to gain: half of it is the margin"),
    pytest.param(5.0, (0.3, 0.1), id="half a rent is the most margin"),
    pytest.param(75.0, (0.02, 0.5 / 75), id="spill is dear"),
    pytest.param(float("inf"), (0.0, 0.0), id="no rent"),
]


@pytest.mark.parametrize(("ratio", "parts"), THRESHOLDS)
def test_the_dearer_spill_is_the_less_a_replica_must_work(
    ratio: float, parts: tuple[float, float]
) -> None:
    assert thresholds(ratio) == pytest.approx(parts)


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_thresholds_fall_with_the_price(one: float, other: float) -> None:
    low, high = sorted((one, other))
    cheap, dear = thresholds(low), thresholds(high)
    assert dear[0] <= cheap[0]
    assert dear[1] <= cheap[1]
