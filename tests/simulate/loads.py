"""Small loads with round numbers: a replica does 100 tokens a step for 1 USD of rent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

from overspill.scaling import Economics
from overspill.simulate.load import Load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from overspill.simulate.load import FloatArray

STEP_S = 10.0


def load(
    work_tokens: Sequence[float],
    *,
    usd_per_token: float | Sequence[float] = 0.05,
    startup_s: float = 20.0,
    low: int = 0,
    high: int = 8,
    rungs: Mapping[str, FloatArray] | None = None,
) -> Load:
    work = np.array(work_tokens, dtype=np.float64)
    usd = work * np.array(usd_per_token)
    return Load(
        step_s=STEP_S,
        work_tokens=work,
        frontier_usd=usd,
        economics=Economics(
            capacity_tokens_per_s=10.0,
            rent_usd_per_s=0.1,
            startup_s=startup_s,
            min_replicas=low,
            max_replicas=high,
        ),
        rungs=rungs or {"frontier": usd},
    )


@st.composite
def loads(draw: st.DrawFn, *, longest: int = 60, most: int = 4) -> Load:
    """Any load: idle stretches, bursts, prices that change with the mix of tokens."""
    work = draw(st.lists(st.integers(0, 5).map(lambda n: 70.0 * n), min_size=1, max_size=longest))
    prices = st.sampled_from([0.0, 0.005, 0.02, 0.1, 1.0])
    usd = draw(st.lists(prices, min_size=len(work), max_size=len(work)))
    low = draw(st.integers(0, 2))
    return load(
        work,
        usd_per_token=usd,
        startup_s=draw(st.sampled_from([1.0, 10.0, 20.0, 45.0])),
        low=low,
        high=draw(st.integers(low, most)),
    )
