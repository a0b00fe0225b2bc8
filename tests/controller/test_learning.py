"""Starts are told from comebacks, and what was learned outlives the process but not its subject."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from overspill.api import parse_policy
from overspill.controller.cluster import Start
from overspill.controller.learning import (
    Lessons,
    attended,
    learned_status,
    recalled,
    subject_of,
)
from overspill.scaling import Learned, Sight
from overspill.scaling.economics import economics_of
from tests.api.policies import policy

SPEC = parse_policy(policy())
SIGHT = Sight(now_s=0.0, window_s=60.0, ready=None, load=None)
LEARNED = Learned(
    startups_s=(62, 61), full_tokens_per_s=(900, 950, 910, 905), at_least_tokens_per_s=700
)


def pod(uid: str = "a", *, ready_s: float | None = None, placed_s: float | None = 100.0) -> Start:
    return Start(uid=uid, placed_s=placed_s, ready_s=ready_s)


STORIES = [
    pytest.param([[pod()], [pod(ready_s=160.0)]], (60,), id="seen starting, then ready"),
    pytest.param([[pod(ready_s=160.0)]], (), id="ready when it was first seen"),
    pytest.param(
        [[pod()], [pod(ready_s=160.0)], [pod()], [pod(ready_s=9000.0)]], (60,), id="came back"
    ),
    pytest.param([[pod(ready_s=160.0)], [pod()], [pod(ready_s=900.0)]], (), id="old, came back"),
    pytest.param(
        [[pod(placed_s=None)], [pod(placed_s=4000.0)], [pod(placed_s=4000.0, ready_s=4070.0)]],
        (70,),
        id="the wait for a node is no start-up",
    ),
    pytest.param(
        [[pod(), pod("b")], [pod(ready_s=160.0), pod("b")], [pod("b", ready_s=190.0)]],
        (60, 90),
        id="two, one of which goes",
    ),
    pytest.param([[pod()], [], [pod(ready_s=160.0)]], (), id="lost from sight"),
]


@pytest.mark.parametrize(("looks", "startups_s"), STORIES)
def test_only_a_first_readiness_is_a_start(
    looks: list[list[Start]], startups_s: tuple[int, ...]
) -> None:
    lessons = Lessons(subject=subject_of(SPEC))
    for starts in looks:
        lessons = attended(lessons, starts, SIGHT, SPEC)
    assert lessons.learned.startups_s == startups_s


def test_pods_that_are_gone_are_forgotten() -> None:
    lessons = Lessons(subject=subject_of(SPEC))
    for starts in ([pod(), pod("b", ready_s=1.0)], []):
        lessons = attended(lessons, starts, SIGHT, SPEC)
    assert (lessons.starting, lessons.started) == (frozenset(), frozenset())


def saved(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return learned_status(LEARNED, economics_of(SPEC, LEARNED), SPEC) | changes


def test_what_is_written_says_what_is_in_use_beside_the_policys_guess() -> None:
    written = saved()
    assert (written["startupSeconds"], written["outputTokensPerSecond"]) == (121, 930)
    assert written["policy"] == {"startupSeconds": 180, "outputTokensPerSecond": 2500}
    assert written["startupSamplesSeconds"] == [62, 61]


def test_a_new_process_goes_on_with_what_was_written() -> None:
    assert recalled(None, saved(), SPEC).learned == LEARNED


UNUSABLE = [
    pytest.param(saved(version=2), id="a newer version"),
    pytest.param(saved(startupSamplesSeconds=[-1]), id="a negative time"),
    pytest.param(saved(fullSamplesTokensPerSecond=[0] * 3), id="a replica that can do nothing"),
    pytest.param(saved(atLeastTokensPerSecond="many"), id="no number"),
    pytest.param(saved(model="another"), id="another model"),
    pytest.param(saved(inputTokenWeight="0.2"), id="work counted another way"),
    pytest.param(None, id="nothing"),
]


@pytest.mark.parametrize("written", UNUSABLE)
def test_what_cannot_be_used_is_begun_anew(written: object) -> None:
    assert recalled(None, written, SPEC) == Lessons(subject=subject_of(SPEC))


EDITS = [
    pytest.param({"small__startupSeconds": 60}, True, id="another guess"),
    pytest.param({"small__replicaHourlyCost": "1"}, True, id="another price"),
    pytest.param({"small__capacity__inputTokenWeight": "0.10"}, True, id="the same weight"),
    pytest.param({"small__model": "glm-6"}, False, id="another model"),
    pytest.param({"small__capacity__inputTokenWeight": "0.2"}, False, id="another weight"),
]


@pytest.mark.parametrize(("edit", "kept"), EDITS)
def test_an_edit_unlearns_only_what_is_no_longer_so(edit: dict[str, Any], kept: bool) -> None:
    before = replace(Lessons(subject=subject_of(SPEC)), learned=LEARNED)
    after = recalled(before, saved(), parse_policy(policy(**edit)))
    assert after.learned == (LEARNED if kept else Learned())
