"""What is wrong is told one by one, unless telling it would keep everybody else waiting."""

from __future__ import annotations

import json

import pytest

from overspill.api import InvalidPolicy, parse_policy
from overspill.api.errors import MOST_FAULTS, SHOWN_CHARS, InvalidConfig
from overspill.api.leases import LeaseRequest, read
from tests.api.policies import policy


def problems(spec: object) -> tuple[str, ...]:
    with pytest.raises(InvalidPolicy) as error:
        parse_policy(spec)
    return error.value.problems


@pytest.mark.parametrize("count", [1, MOST_FAULTS])
def test_faults_are_told_one_by_one(count: int) -> None:
    found = problems({**policy(), **{f"x{at}": 1 for at in range(count)}})
    assert len(found) == count
    assert found[0] == "spec.x0: unknown field; remove it or correct its spelling"


def test_of_too_many_faults_only_the_number_is_told() -> None:
    found = problems({**policy(), **{f"x{at}": 1 for at in range(MOST_FAULTS + 1)}})
    assert found == (f"spec: {MOST_FAULTS + 1} faults; correct its structure first",)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(policy(budget={"limit": "x" * 10_000, "period": "Day"}), id="a limit"),
        pytest.param(
            policy(frontier=[{**policy()["frontier"][0], "baseURL": f"a://{'x' * 9_996}"}]),
            id="a URL",
        ),
    ],
)
def test_of_a_long_value_the_beginning_is_told(spec: dict[str, object]) -> None:
    (found,) = problems(spec)
    assert len(found) < SHOWN_CHARS + 200
    assert "of 10000 characters" in found


def test_of_many_reports_the_first_wrong_one_is_told() -> None:
    raw = json.dumps({"policy": "a/b", "reports": [{"lease": "a-1"}] * 50})
    with pytest.raises(InvalidConfig) as error:
        read(LeaseRequest, raw)
    assert "reports[0]" in str(error.value)
    assert "reports[1]" not in str(error.value)
