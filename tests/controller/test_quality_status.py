"""`status.quality` and its condition: what a person reads, written where it says something new."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from overspill.api.status import QualityStatus
from overspill.controller import conditions, happenings, plans
from overspill.controller.evidence import evidence_in
from overspill.controller.plans import Aim, Quality
from overspill.controller.quality_status import quality_status
from overspill.learning.book import Book
from overspill.learning.promise import Bank
from tests.trials.batches import batch, trial

AIM = Aim(floor=0.9, confidence=0.95, sample_rate=0.5)


def told(**changes: Any) -> QualityStatus:  # noqa: ANN401 - any field
    said: dict[str, Any] = {
        "floor": "0.95",
        "confidence": "0.95",
        "estimate": "0.962",
        "low": "0.951",
        "high": "0.973",
        "trials": 400,
        "paidTrials": 100,
        "careful": False,
        "limit": 0.3,
        "trialRate": "0.100",
        "expectedFrontierShare": "0.400",
        "unseenShare": "0.000",
        "display": "0.962≥0.95",
    }
    return QualityStatus.model_validate(said | changes)


def known(many: int, small: float = 1.0, *, sent: float = 0.5, aim: Aim = AIM) -> Quality:
    trials = [trial(small=small, sent=sent, seen=0.5) for _ in range(many)]
    evidence = evidence_in(Book.of([batch(*trials, variance=0.0)]), {})
    return plans.replanned(plans.informed(plans.begun("s", aim), evidence))


@pytest.mark.parametrize(
    ("quality", "display"),
    [
        pytest.param(known(10), "?~0.9", id="too few"),
        pytest.param(known(400), "1.000≥0.9", id="held"),
        pytest.param(known(400, small=0.0), "0.500<0.9", id="below"),
        pytest.param(known(60, small=0.8), "0.900~0.9", id="not proven"),
        pytest.param(
            known(400, aim=Aim(floor=None, confidence=0.95, sample_rate=0.5)),
            "1.000",
            id="no floor",
        ),
    ],
)
def test_the_column_says_quality_and_floor(quality: Quality, display: str) -> None:
    made = quality_status(None, quality)
    assert made is not None
    assert made.display == display


def test_with_a_share_no_quality_is_certain_while_the_lot_has_drawn_nothing() -> None:
    aim = Aim(floor=None, confidence=0.95, sample_rate=0.5)
    free = [trial(small=float(number % 2), sent=1.0, seen=1.0) for number in range(60)]
    alone = {"alone": 100, "trial_rate": 0.02, "variance": 0.0}
    evidence = evidence_in(Book.of([batch(*free, **alone)]), {})
    made = quality_status(None, plans.replanned(plans.informed(plans.begun("s", aim), evidence)))
    assert made is not None
    assert made.low is not None
    assert made.low < Decimal("0.5")


@pytest.mark.parametrize(
    ("margin", "says", "display"),
    [
        pytest.param(-0.1, "Unknown", "0.900~0.9", id="the lower end is just below the floor"),
        pytest.param(0.1, "True", "0.900≥0.9", id="just above"),
    ],
)
def test_no_rounding_makes_a_floor_held(margin: float, says: str, display: str) -> None:
    bank = Bank(requests=1000.0, margin=margin, variance=0.0, frontier=1000.0)
    made = quality_status(None, replace(known(400), bank=bank))
    assert made is not None
    assert made.display == display
    found = conditions.quality(made)
    assert found is not None
    assert found.status == says


def test_no_rounding_makes_a_floor_broken() -> None:
    bank = Bank(requests=1000.0, margin=0.1, variance=0.0, frontier=1000.0)
    aim = replace(AIM, floor=0.9003)
    made = quality_status(None, replace(known(400), aim=aim, bank=bank))
    assert made is not None
    assert made.display.partition("<")[1] == ""


def test_a_chance_next_to_nothing_leaves_something_to_write() -> None:
    """Whatever a sidecar tells, its policy is looked at."""
    trials = [trial(seen=1e-12, frontier=1e-9) for _ in range(60)]
    evidence = evidence_in(Book.of([batch(*trials)]), {})
    quality = plans.replanned(plans.informed(plans.begun("s", AIM), evidence))
    made = quality_status(None, quality)
    assert made is not None
    assert made.high == Decimal("9.999")


def test_where_nothing_is_tried_there_is_nothing_to_say() -> None:
    assert quality_status(told().to_json(), None) is None


def test_what_moved_little_is_not_written_again() -> None:
    made = quality_status(None, known(400))
    assert made is not None
    for before, stays in (
        ({"estimate": "0.998"}, True),
        ({"trials": made.trials - 10}, True),
        ({"estimate": "0.990"}, False),
        ({"trials": made.trials - 40}, False),
        ({"careful": False}, False),
        ({"display": "0.998~0.9"}, False),
        ({"unknown": 1}, False),
    ):
        written = made.to_json() | before
        after = quality_status(written, known(400))
        assert after is not None
        assert (after.to_json() == written) == stays, before


@pytest.mark.parametrize(
    ("changes", "status", "reason", "words"),
    [
        pytest.param({}, "True", "FloorHeld", "0.962 of the frontier's quality", id="held"),
        pytest.param({"low": "0.949"}, "Unknown", "NotProven", "the floor is 0.95", id="unclear"),
        pytest.param(
            {"low": "0.900", "high": "0.949"}, "False", "BelowFloor", "stricter", id="below"
        ),
        pytest.param(
            {"careful": True}, "True", "FloorHeld", "no other plan would hold", id="held by caution"
        ),
        pytest.param(
            {"low": None, "high": None, "trials": 7, "careful": True},
            "Unknown",
            "TooFewTrials",
            "7 of the 50 trials",
            id="too few",
        ),
    ],
)
def test_the_condition_says_whether_the_floor_is_held(
    changes: dict[str, Any], status: str, reason: str, words: str
) -> None:
    found = conditions.quality(told(**changes))
    assert found is not None
    assert (found.status, found.reason) == (status, reason)
    assert words in found.message


def test_without_a_floor_there_is_no_such_condition() -> None:
    assert conditions.quality(told(floor=None)) is None
    assert conditions.quality(None) is None


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        pytest.param(None, {}, [], id="a first look"),
        pytest.param({"careful": True}, {}, ["PromiseKept"], id="no caution any more"),
        pytest.param({}, {"careful": True}, ["PromiseAtRisk"], id="caution again"),
        pytest.param({}, {"limit": 0.2}, [], id="another plan"),
        pytest.param({"careful": True}, {"floor": None}, [], id="nothing is promised any more"),
    ],
)
def test_events_tell_where_caution_ends_or_begins(
    before: dict[str, Any] | None, after: dict[str, Any], reasons: list[str]
) -> None:
    old = {} if before is None else {"quality": told(**before).to_json()}
    new = {"quality": told(**after).to_json()}
    assert [one.reason for one in happenings.happenings(old, new, applied=True)] == reasons


def test_what_is_written_can_be_read_back() -> None:
    made = quality_status(None, known(400))
    assert made is not None
    assert QualityStatus.model_validate(made.to_json()) == made
    assert made.floor == Decimal("0.9")
