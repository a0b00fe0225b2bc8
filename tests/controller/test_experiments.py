"""A small tier on trial: from what Prometheus shows to what is written down and said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from overspill.api.policy import Experiment as Asked
from overspill.budget.experiment import Experiment, Window
from overspill.controller.experiments import (
    continued,
    ended_words,
    experiment_status,
    looked,
    recalled,
)
from overspill.controller.snapshot import Snapshot
from overspill.scaling import Economics, Replicas

POLICY = "legal/contracts"
ASKED = Asked.model_validate({"window": "1h", "leastSavedPerUSD": "2"})
ECONOMICS = Economics(
    capacity_tokens_per_s=1000.0,
    rent_usd_per_s=0.001,
    startup_s=60.0,
    min_replicas=0,
    max_replicas=4,
)
SEEN = Snapshot(
    taken_at_s=1.0,
    work_tokens_per_s={POLICY: 100.0},
    frontier_usd_per_s={POLICY: 0.010},
    overflow_usd_per_s={POLICY: 0.002},
    small_output_tokens_per_s={POLICY: 70.0},
    small_input_tokens_per_s={POLICY: 100.0},
    small_occupancy={POLICY: 0.2},
    no_room_per_s={POLICY: 0.0},
)
"""Of 0.010 USD/s of work the small tier does 80%: 70 tokens of output and a tenth of 100."""


def seen(snapshot: Snapshot = SEEN, ready: int | None = 2) -> Window:
    replicas = None if ready is None else Replicas(requested=ready, ready=ready)
    found = looked(
        Experiment(),
        ASKED,
        snapshot,
        POLICY,
        replicas=replicas,
        economics=ECONOMICS,
        weight=0.1,
        elapsed_s=10.0,
    )
    return found.window


def test_it_saves_what_its_answers_would_have_cost_and_costs_its_rent() -> None:
    window = seen()
    assert window.watched_s == 10.0
    assert window.saved_usd == pytest.approx(0.08)
    assert window.cost_usd == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("changes", "saved_usd"),
    [
        pytest.param(
            {"overflow_usd_per_s": {POLICY: 0.0}}, 0.08, id="work that was shed is saved by nobody"
        ),
        pytest.param(
            {"small_output_tokens_per_s": {POLICY: 170.0}},
            0.08,
            id="answers that were held back save nothing",
        ),
        pytest.param(
            {"work_tokens_per_s": {POLICY: 0.0}, "frontier_usd_per_s": {POLICY: 0.0}},
            0.0,
            id="there was no work",
        ),
        pytest.param({"overflow_usd_per_s": {POLICY: 0.02}}, 0.0, id="never less than nothing"),
    ],
)
def test_what_is_saved(changes: dict[str, Any], saved_usd: float) -> None:
    assert seen(replace(SEEN, **changes)).saved_usd == pytest.approx(saved_usd)


def test_judges_cost_too() -> None:
    judged = replace(SEEN, judges_usd_per_s={POLICY: 0.003})
    assert seen(judged).cost_usd == pytest.approx(0.05)


@pytest.mark.parametrize(
    "name",
    [
        "frontier_usd_per_s",
        "overflow_usd_per_s",
        "work_tokens_per_s",
        "small_output_tokens_per_s",
    ],
)
def test_time_in_which_something_is_not_known_does_not_count(name: str) -> None:
    nothing: dict[str, Any] = {name: {}}
    assert seen(replace(SEEN, **nothing)) == Window()


def test_a_replica_that_starts_costs_its_rent() -> None:
    idle = {"small_output_tokens_per_s": {POLICY: 0.0}, "small_input_tokens_per_s": {POLICY: 0.0}}
    no_slots: dict[str, Any] = {"small_occupancy": {}, **idle}
    window = seen(replace(SEEN, **no_slots))
    assert (window.watched_s, window.saved_usd) == (10.0, 0.0)
    assert window.cost_usd == pytest.approx(0.02)


def test_nor_does_time_without_a_target() -> None:
    assert seen(ready=None) == Window()


ENDED = Experiment(
    last=Window(watched_s=3600.0, saved_usd=3.0, cost_usd=7.2),
    window=Window(),
    ended=True,
)


def test_it_outlives_the_process() -> None:
    known = Experiment(
        window=Window(watched_s=30.0, saved_usd=1.25, cost_usd=0.5),
        last=Window(watched_s=3600.0, saved_usd=9.0, cost_usd=2.0),
    )
    for one in (known, ENDED):
        assert recalled(experiment_status(None, one, 3, 0.0), 3) == one


def test_an_edit_begins_what_has_ended_anew_and_leaves_what_goes_on() -> None:
    assert recalled(experiment_status(None, ENDED, 3, 0.0), 4) == Experiment()
    known = Experiment(window=Window(watched_s=30.0, saved_usd=1.0, cost_usd=1.0))
    assert recalled(experiment_status(None, known, 3, 0.0), 4) == known


def test_an_end_that_could_not_be_written_down_is_one_all_the_same() -> None:
    going_on = Experiment(window=Window(watched_s=30.0, saved_usd=1.0, cost_usd=1.0))
    before = experiment_status(None, going_on, 3, 0.0)
    assert continued(ENDED, before, 3) == ENDED
    assert continued(ENDED, None, 3) == ENDED
    assert continued(ENDED, experiment_status(None, ENDED, 3, 0.0), 3) == ENDED
    assert continued(ENDED, experiment_status(None, ENDED, 3, 0.0), 4) == Experiment()


@pytest.mark.parametrize("saved", [None, {}, {"window": 3}, "nothing"])
def test_what_cannot_be_read_is_begun_anew(saved: object) -> None:
    assert recalled(saved, 1) == Experiment()


def test_it_is_written_now_and_then_and_its_end_at_once() -> None:
    known = Experiment(window=Window(watched_s=30.0, saved_usd=1.0, cost_usd=1.0))
    more = replace(known, window=replace(known.window, watched_s=60.0))
    before = experiment_status(None, known, 3, 0.0)
    assert experiment_status(before, more, 3, 60.0) is before
    assert experiment_status(before, more, 3, 301.0) != before
    assert (experiment_status(before, ENDED, 3, 60.0) or {})["endedAtGeneration"] == 3
    assert experiment_status(before, None, 3, 60.0) is None


def test_the_end_says_what_it_cost_and_what_it_brought() -> None:
    said = ended_words(ENDED, ASKED)
    assert "in 1.0 hours the small tier cost 7.20 USD and saved 3.00 USD, 0.42 a dollar" in said
    assert "asks for 2" in said
    assert "edit spec" in said
