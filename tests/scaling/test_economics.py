"""Prices and physics: the policy's words, what was learned, and what nodes cost."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.api import InvalidPolicy, parse_policy
from overspill.scaling import Learned
from overspill.scaling.economics import economics_of
from tests.api.policies import policy

BY_TYPE = {"costs": {"l4": "0.80", "h100": "3.20"}}
TYPE = "node.kubernetes.io/instance-type"
LABELS = {
    "a": {TYPE: "l4", "gpu": "h100"},
    "b": {TYPE: "h100"},
    "c": {TYPE: "t4"},
    "d": {},
}


def test_nothing_learned_leaves_the_policys_guesses() -> None:
    economics = economics_of(parse_policy(policy()))
    assert (economics.startup_s, economics.capacity_tokens_per_s) == (180.0, 2500.0)


def test_what_was_learned_goes_before_the_policys_guesses() -> None:
    learned = Learned(startups_s=(60,) * 5, full_tokens_per_s=(900,) * 5)
    economics = economics_of(parse_policy(policy()), learned)
    assert (economics.startup_s, economics.capacity_tokens_per_s) == (60.0, 900.0)


RENTS = [
    pytest.param(None, ("a", "b"), 2.49, id="no costs by label"),
    pytest.param(BY_TYPE, ("a",), 0.80, id="one replica"),
    pytest.param(BY_TYPE, ("a", "a", "b"), (0.80 * 2 + 3.20) / 3, id="the mean over replicas"),
    pytest.param(BY_TYPE, ("a", "c"), (0.80 + 2.49) / 2, id="a value without a cost"),
    pytest.param(BY_TYPE, ("d",), 2.49, id="a node without the label"),
    pytest.param(BY_TYPE, ("unread",), 2.49, id="a node that could not be read"),
    pytest.param(BY_TYPE, (), 2.49, id="no replica"),
    pytest.param(BY_TYPE | {"label": "gpu"}, ("a",), 3.20, id="another label"),
]


@pytest.mark.parametrize(("costs", "nodes", "usd_per_hour"), RENTS)
def test_rent_is_the_mean_cost_of_the_replicas_nodes(
    costs: dict[str, Any] | None, nodes: tuple[str, ...], usd_per_hour: float
) -> None:
    changes = {} if costs is None else {"small__replicaCostByNodeLabel": costs}
    economics = economics_of(parse_policy(policy(**changes)), None, nodes, LABELS)
    assert economics.rent_usd_per_s * 3600 == pytest.approx(usd_per_hour)


def test_where_no_node_could_be_read_a_replica_costs_what_is_usual() -> None:
    economics = economics_of(
        parse_policy(policy(small__replicaCostByNodeLabel=BY_TYPE)), None, ("a",)
    )
    assert economics.rent_usd_per_s * 3600 == pytest.approx(2.49)


def test_a_cost_that_is_no_string_is_refused_with_its_path() -> None:
    with pytest.raises(InvalidPolicy, match=r"small.replicaCostByNodeLabel.costs.l4.*\"0.8\""):
        parse_policy(policy(small__replicaCostByNodeLabel={"costs": {"l4": 0.8}}))
