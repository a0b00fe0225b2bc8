"""A trace in a policy's terms."""

from __future__ import annotations

import numpy as np
import pytest

from overspill.api import parse_policy
from overspill.simulate.load import Load, load_of
from overspill.simulate.trace import Trace
from tests.api.policies import policy
from tests.simulate.loads import load

TRACE = Trace(
    step_s=10.0, input_tokens=np.array([1e6, 0, 2e6]), output_tokens=np.array([1e5, 0, 4e5])
)
HOST = {
    "name": "host",
    "api": "OpenAI",
    "baseURL": "https://host.example",
    "model": "glm",
    "credentials": {"secretName": "host"},
    "price": {"inputPerMTok": "0.10", "outputPerMTok": "0.20"},
}
DEAR = HOST | {"price": {"inputPerMTok": "50", "outputPerMTok": "250"}}


def load_with(**changes: object) -> Load:
    return load_of(TRACE, parse_policy(policy(**changes)))


def test_work_is_output_and_weighed_input() -> None:
    assert load_with().work_tokens.tolist() == [2e5, 0, 6e5]


def test_work_is_priced_by_the_first_frontier_provider() -> None:
    assert load_with().frontier_usd.tolist() == pytest.approx([7.5, 0, 20.0])
    assert [*load_with().rungs] == ["frontier"]


@pytest.mark.parametrize(
    ("hosted", "rung"),
    [
        pytest.param(HOST, "hosted", id="a host is cheaper"),
        pytest.param(DEAR, "frontier", id="a host that is dearer is no place to spill to"),
    ],
)
def test_spill_goes_to_the_cheaper_rung(hosted: dict[str, object], rung: str) -> None:
    case = load_with(hosted=[hosted])
    assert case.frontier_usd.tolist() == case.rungs[rung].tolist()
    assert [*case.rungs] == ["frontier", "hosted"]


def test_the_economics_are_the_operators() -> None:
    case = load_with(small__startupSeconds=181)
    assert case.startup_steps == 19
    assert case.replica_tokens == 25_000
    assert case.rent_usd == pytest.approx(2.49 / 360)
    assert case.mean_replicas == pytest.approx(8e5 / 3 / 25_000)


@pytest.mark.parametrize(
    ("peak", "low", "high", "useful"),
    [(250, 0, 8, 3), (0, 0, 8, 0), (100, 2, 8, 2), (2000, 0, 8, 8)],
)
def test_no_more_replicas_than_the_peak_fills(peak: int, low: int, high: int, useful: int) -> None:
    assert load([peak, 0], low=low, high=high).most_useful == useful


def test_a_load_has_a_price_for_each_step() -> None:
    with pytest.raises(ValueError, match="one element a step"):
        load([], usd_per_token=[])
