"""From what trials tell to a plan: when there is a new one, and what it may ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from overspill.api.sidecar_config import PlanConfig
from overspill.controller import plans
from overspill.controller.evidence import evidence_in
from overspill.controller.plans import Aim, Quality
from overspill.learning.book import Book, part_of
from overspill.learning.lesson import Lesson
from tests.trials.batches import batch, trial

if TYPE_CHECKING:
    from overspill.trials.record import Batch, Trial

AIM = Aim(floor=0.8, confidence=0.95, sample_rate=0.5)
CAREFUL = PlanConfig(careful=True, shadow_rate=0.5)
LESSON = Lesson(score="text", examples=60, scores={})


def batches(many: int, *, trials: int = 20, first: int = 0, **changes: float) -> list[Batch]:
    """Half of the prompts are easy, and have low scores. A minute each."""
    easy: list[Trial] = [trial("a", score=0.1, sent=1.0, seen=0.5) for _ in range(trials // 2)]
    hard = [trial("b", score=0.9, small=0.5, sent=1.0, seen=0.5) for _ in range(trials // 2)]
    return [
        batch(*easy, *hard, name=f"n{n}", ended_s=60.0 * n, **{"at_frontier": 40} | changes)
        for n in range(first, first + many)
    ]


def known(told: list[Batch], *, aim: Aim = AIM, learned: bool = True) -> Quality:
    quality = replace(plans.begun("s", aim), learned=learned)
    informed = plans.informed(quality, evidence_in(Book.of(told), {}))
    return plans.replanned(informed)


@pytest.mark.parametrize(
    ("told", "learned", "careful"),
    [
        pytest.param([], True, True, id="nothing is known"),
        pytest.param(batches(2), True, True, id="too few trials"),
        pytest.param(batches(20), False, True, id="no lesson yet: scores are of another score"),
        pytest.param(batches(20), True, False, id="enough"),
    ],
)
def test_a_plan_takes_trials_and_a_lesson(told: list[Batch], learned: bool, careful: bool) -> None:
    assert known(told, learned=learned).plan.careful == careful


def test_a_plan_says_from_which_score_on_and_how_many_by_lot() -> None:
    quality = known(batches(20))
    assert quality.plan.trial_rate > 0
    assert quality.frontier_share is not None
    assert quality.frontier_share < 1


@pytest.mark.parametrize("score", [0.1234567, -0.1234567])
def test_what_a_plan_sends_up_goes_up_however_its_limit_is_written(score: float) -> None:
    """An application whose prompts are all alike has all of its traffic at one score."""
    hard = [trial("b", score=score, small=0.0, sent=1.0, seen=1.0) for _ in range(10)]
    easy = [trial("a", score=score - 0.5, sent=1.0, seen=1.0) for _ in range(10)]
    quality = known([batch(*hard, *easy, name=f"n{n}", ended_s=60.0 * n) for n in range(20)])
    assert quality.plan.limit is not None
    assert score - 1e-5 < quality.plan.limit <= score


@pytest.mark.parametrize(
    ("more", "fresh"),
    [
        pytest.param(0, 0, id="nothing new"),
        pytest.param(1, 47, id="not yet 5% more"),
        pytest.param(3, 0, id="5% more: a new plan"),
    ],
)
def test_there_is_a_new_plan_after_5_percent_more_requests(more: int, fresh: int) -> None:
    quality = known(batches(30))
    evidence = evidence_in(Book.of([*batches(30), *batches(more, first=30)]), {})
    after = plans.replanned(plans.informed(quality, evidence))
    assert after.fresh_requests == fresh
    assert (after.plan is quality.plan) == (more < 3)


def test_a_stricter_plan_does_not_wait() -> None:
    quality = replace(known(batches(30)), frontier_share=0.01, fresh_requests=0)
    assert plans.replanned(quality).frontier_share != 0.01


def test_what_an_earlier_process_planned_holds_until_there_is_a_lesson() -> None:
    plan = PlanConfig(limit=0.3, trial_rate=0.1, shadow_rate=0.2)
    begun = replace(plans.begun("s", AIM), plan=plan)
    evidence = evidence_in(Book.of(batches(20)), {})
    before = plans.replanned(plans.informed(begun, evidence))
    assert (before.plan.limit, before.plan.trial_rate) == (0.3, 0.1)
    after = plans.replanned(plans.taught(before, LESSON), anew=True)
    assert after.plan != before.plan
    assert after.score == "text"


def test_another_floor_makes_what_was_planned_worthless() -> None:
    quality = known(batches(20))
    high = plans.aimed(quality, replace(AIM, floor=0.999))
    assert high.plan.careful
    assert not plans.aimed(high, AIM).plan.careful
    assert plans.aimed(quality, AIM) is quality


def test_where_nothing_is_told_any_more_all_goes_to_the_frontier() -> None:
    assert plans.informed(known(batches(20)), None).plan == CAREFUL


@pytest.mark.parametrize(
    ("at_frontier", "rate"),
    [
        pytest.param(20, 0.5, id="1,200 an hour: half of them"),
        pytest.param(1_000, 0.01, id="60,000 an hour: 600"),
        pytest.param(0, 0.5, id="none: as much as may be"),
    ],
)
def test_of_what_the_frontier_answers_anyway_no_more_is_tried_than_helps(
    at_frontier: int, rate: float
) -> None:
    assert known(batches(10, at_frontier=at_frontier)).plan.shadow_rate == rate


def test_of_one_moment_no_rate_is_told() -> None:
    assert known(batches(1, at_frontier=10**6)).plan.shadow_rate == 0.5


def test_a_share_is_tried_a_little_and_promises_nothing() -> None:
    share = known(batches(20, at_frontier=20), aim=replace(AIM, floor=None))
    assert share.plan == PlanConfig(trial_rate=0.02, shadow_rate=0.5)
    assert share.frontier_share is None
    assert share.bank is not None
    assert share.bank.quality(1.0, 0.95)[0] == 1.0  # all went to the frontier


@pytest.mark.parametrize(
    ("trials", "asked_with", "fresh", "wanted"),
    [
        pytest.param(40, 0, 40, False, id="too few"),
        pytest.param(60, 0, 60, True, id="the first"),
        pytest.param(70, 60, 10, False, id="a sixth more"),
        pytest.param(80, 60, 20, True, id="a third more"),
        pytest.param(100, 90, 0, False, id="nothing new"),
        pytest.param(5_000, 4_000, 1_000, True, id="a thousand more"),
    ],
)
def test_a_lesson_is_wanted_where_there_is_enough_that_is_new(
    trials: int, asked_with: int, fresh: int, wanted: bool
) -> None:
    evidence = evidence_in(Book.of(batches(2, trials=trials // 2)), {})
    quality = replace(
        plans.begun("s", AIM), evidence=evidence, asked_with=asked_with, fresh_trials=fresh
    )
    assert quality.wants_lesson == wanted


def test_what_is_fresh_is_counted_by_batch_even_where_old_ones_go() -> None:
    quality = known(batches(20))
    evidence = evidence_in(Book.of(batches(10, first=15)), {})
    after = plans.informed(replace(quality, fresh_trials=0, fresh_requests=0), evidence)
    assert (after.fresh_trials, after.fresh_requests) == (5 * 20, 5 * 47)


def test_what_was_planned_before_holds_until_a_lesson_unless_the_bank_is_in_the_red() -> None:
    planned_before = PlanConfig(limit=0.5, trial_rate=0.1, shadow_rate=0.5, variance=0.2)
    started = replace(plans.begun("s", AIM), plan=planned_before)
    good = plans.replanned(plans.informed(started, evidence_in(Book.of(batches(20)), {})))
    assert (good.plan.careful, good.plan.limit) == (False, 0.5)

    wrong = trial("c", score=0.1, small=0.0, sent=0.1, seen=0.1)
    red = batch(*[wrong] * 60, name="red", ended_s=9_000.0, alone=540, trial_rate=0.1)
    bad = plans.replanned(plans.informed(good, evidence_in(Book.of([*batches(20), red]), {})))
    assert bad.plan.careful


def test_a_lesson_takes_trials_of_two_parts() -> None:
    """With one alone no trial would have a score by the lesson, and plans are for that score."""
    names = [[name for name in map(str, range(40)) if part_of(name) == part] for part in (0, 1)]
    told = [batch(*[trial()] * 30, name=name) for name in names[0][:4]]
    assert not known(told).wants_lesson
    assert known([*told, batch(trial(), name=names[1][0])]).wants_lesson
