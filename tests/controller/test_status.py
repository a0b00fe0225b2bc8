"""Statuses: written only where they differ; conditions: moved only when they turn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.controller.conditions import Finding, merge
from overspill.controller.happenings import event_manifest, happenings
from overspill.controller.status import merge_patch
from tests.controller.fakes import merged, resource

names = st.sampled_from(["a", "b", "c"])
objects = st.recursive(
    st.dictionaries(names, st.integers() | st.text(max_size=2) | st.lists(st.integers())),
    lambda inner: st.dictionaries(names, inner | st.integers()),
    max_leaves=8,
)


@given(objects, objects)
def test_the_patch_turns_one_status_into_the_other(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    patch = merge_patch(before, after)
    assert merged(before, patch) == after
    assert bool(patch) == (before != after)


def finding(status: Any = "True", reason: str = "Fresh", message: str = "") -> Finding:  # noqa: ANN401
    return Finding(type="MetricsAvailable", status=status, reason=reason, message=message)


def test_a_condition_is_dated_when_its_status_turns_and_not_when_its_reason_does() -> None:
    first = merge([], [finding()], 1, "t1")
    same = merge(first, [finding(reason="Fresher")], 2, "t2")
    turned = merge(same, [finding("False", "Stale")], 3, "t3")
    assert [c[0]["lastTransitionTime"] for c in (first, same, turned)] == ["t1", "t1", "t3"]
    assert (same[0]["reason"], same[0]["observedGeneration"]) == ("Fresher", 2)


def test_a_condition_that_was_not_looked_at_stays() -> None:
    other = {"type": "Ready", "status": "True", "lastTransitionTime": "t0"}
    assert merge([other], [finding()], 1, "t1")[0] == other


def told(before: dict[str, Any], after: dict[str, Any], **flags: bool) -> list[str]:
    return [h.reason for h in happenings(before, after, applied=flags.get("applied", True))]


def decided(desired: int) -> dict[str, Any]:
    return {"lastDecision": {"desired": desired, "reason": "StartPays", "message": "m"}}


def with_condition(status: str, reason: str, kind: str = "MetricsAvailable") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": "m"}]}


NEWS = [
    pytest.param({}, decided(3), [], id="a first decision is no change"),
    pytest.param(decided(1), decided(3), ["ScaledUp"], id="up"),
    pytest.param(decided(3), decided(1), ["ScaledDown"], id="down"),
    pytest.param(decided(3), decided(3), [], id="same"),
    pytest.param({}, with_condition("True", "Fresh"), [], id="well from the start"),
    pytest.param({}, with_condition("False", "NoSamples"), ["NoSamples"], id="ill from the start"),
    pytest.param(
        with_condition("False", "NoSamples"), with_condition("True", "Fresh"), ["Fresh"], id="well"
    ),
    pytest.param(
        with_condition("False", "NoSamples"),
        with_condition("False", "StaleSamples"),
        ["StaleSamples"],
        id="another illness",
    ),
    pytest.param(
        with_condition("True", "Current"), with_condition("False", "Outdated"), [], id="in passing"
    ),
    pytest.param(
        with_condition("True", "Holding", "ScalingActive"),
        with_condition("False", "DemandUnknown", "ScalingActive"),
        [],
        id="told by MetricsAvailable already",
    ),
]


@pytest.mark.parametrize(("before", "after", "reasons"), NEWS)
def test_events_tell_what_a_person_wants_to_know(
    before: dict[str, Any], after: dict[str, Any], reasons: list[str]
) -> None:
    assert told(before, after) == reasons


def test_in_observe_events_say_what_would_have_been() -> None:
    assert told(decided(1), decided(3), applied=False) == ["WouldHaveScaledUp"]


def test_an_event_is_on_the_policy() -> None:
    [happening] = happenings(decided(1), decided(3), applied=True)
    event = event_manifest(resource(), happening, "t1")
    assert event["involvedObject"]["kind"] == "RoutingPolicy"
    assert event["message"] == "1 → 3 (StartPays): m"
