"""Lessons: asked for at one look, given meanwhile, collected at another."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from overspill.controller.keys import PolicyKey
from overspill.controller.plans import Segment
from overspill.controller.tutor import Tutor
from overspill.trials.record import pack
from tests.trials.batches import batch, trial

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.asyncio

KEY, OTHER = PolicyKey("legal", "contracts"), PolicyKey("legal", "other")


def book(*names: str) -> Mapping[str, Segment]:
    told = [batch(trial("hello"), trial("prove it", small=0.0), name=name) for name in names]
    return {"x-trials-1": Segment(version="1", raw=pack(told))}


async def test_a_lesson_is_collected_once_and_wakes_its_policy() -> None:
    woken: list[PolicyKey] = []
    tutor = Tutor(woken.append)
    tutor.ask(KEY, "s", book("a", "b"), None)
    assert tutor.collect(KEY, "s") is None
    await tutor.work_off()
    assert woken == [KEY]
    lesson = tutor.collect(KEY, "s")
    assert lesson is not None
    assert lesson.examples == 4
    assert tutor.collect(KEY, "s") is None


async def test_a_lesson_of_another_subject_is_no_lesson() -> None:
    tutor = Tutor()
    tutor.ask(KEY, "old", book("a"), None)
    await tutor.work_off()
    assert tutor.collect(KEY, "new") is None


async def test_who_asks_again_meanwhile_gets_one_lesson_on_the_newest() -> None:
    woken: list[PolicyKey] = []
    tutor = Tutor(woken.append)
    tutor.ask(KEY, "s", book("a"), None)
    tutor.ask(OTHER, "s", book("a"), None)
    tutor.ask(KEY, "s", book("a", "b", "c"), None)
    await tutor.work_off()
    assert woken == [KEY, OTHER]
    lesson = tutor.collect(KEY, "s")
    assert lesson is not None
    assert lesson.examples == 6


async def test_nothing_is_learned_for_a_policy_that_is_gone() -> None:
    woken: list[PolicyKey] = []
    tutor = Tutor(woken.append)
    tutor.ask(KEY, "s", book("a"), None)
    tutor.forget(KEY)
    await tutor.work_off()
    assert woken == []


async def test_a_lesson_that_fails_is_logged_and_the_next_is_given(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tutor = Tutor()
    tutor.ask(KEY, "s", book("a"), "no score")
    tutor.ask(OTHER, "s", book("a"), None)
    with caplog.at_level(logging.ERROR):
        await tutor.work_off()
    assert "nothing was learned from the trials of legal/contracts" in caplog.text
    assert tutor.collect(OTHER, "s") is not None


async def test_a_lesson_that_ends_after_its_policy_is_none_of_the_next_by_that_name() -> None:
    woken: list[PolicyKey] = []
    tutor = Tutor(woken.append)
    tutor.ask(KEY, "s", book("a"), None)
    lesson = asyncio.create_task(tutor.work_off())
    await asyncio.sleep(0)  # it has begun
    tutor.forget(KEY)
    await lesson
    assert woken == []
    assert tutor.collect(KEY, "s") is None
