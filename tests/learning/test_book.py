"""A book of trials: what came once counts once, and what was seen stands for what was lost."""

from __future__ import annotations

import numpy as np
import pytest

from overspill.learning.book import Book
from overspill.learning.design import design_of
from overspill.learning.lesson import TAUGHT_BY, lesson_of
from overspill.learning.promise import bank_of
from overspill.routing.score import Score
from tests.trials.batches import batch, trial


def test_a_batch_that_comes_twice_counts_once() -> None:
    book = Book.of([batch(trial(), name="a"), batch(name="b"), batch(trial(), name="a")])
    assert len(book) == 1
    assert book.names == frozenset({"a", "b"})


def test_what_another_version_looked_at_is_skipped() -> None:
    assert len(Book.of([batch(trial(), features=-1)])) == 0


def test_an_empty_book_knows_nothing() -> None:
    book = Book.of([])
    assert len(book.trials()) == 0
    assert bank_of(book.trials(), book.spells(), 0.95).requests == 0


@pytest.mark.parametrize(
    ("sent", "lost", "stands_for"),
    [
        pytest.param(0.1, {}, 10.0, id="paid, all seen"),
        pytest.param(0.1, {"lost_paid": 3}, 40.0, id="paid, one in four seen"),
        pytest.param(0.1, {"lost_free": 3}, 10.0, id="what was lost of others is not its own"),
        pytest.param(1.0, {"lost_free": 1}, 20.0, id="for nothing, one in two seen"),
    ],
)
def test_what_was_seen_stands_for_what_was_lost(
    sent: float, lost: dict[str, int], stands_for: float
) -> None:
    book = Book.of([batch(trial(sent=sent, seen=0.1), **lost)])
    assert book.trials().stand_for.tolist() == pytest.approx([stands_for])


@pytest.mark.parametrize(
    ("sent", "lost", "missed"),
    [
        pytest.param([0.02, 0.5], "lost_paid", "missed_paid", id="paid"),
        pytest.param([1.0, 1.0], "lost_free", "missed_free", id="for nothing"),
    ],
)
@pytest.mark.parametrize("busy", [0, 1], ids=["lost at the low rate", "lost at the high rate"])
def test_what_was_lost_counts_as_what_it_was_to_stand_for(
    sent: list[float], lost: str, missed: str, busy: int
) -> None:
    """Of two plans one draws few of many requests, the other many of few; one loses nine in ten."""
    seen = [0.02, 0.5]
    told = [
        batch(
            *[trial(sent=sent[one], seen=seen[one])] * (5 if one == busy else 50),
            name=f"n{one}",
            **({lost: 45, missed: 45 / seen[one]} if one == busy else {}),
        )
        for one in (0, 1)
    ]
    requests = 50 / 0.02 + 50 / 0.5
    assert Book.of(told).trials().stand_for.sum() == pytest.approx(requests)


@pytest.mark.parametrize("busy", [0, 1], ids=["lost at the low rate", "lost at the high rate"])
def test_what_stands_for_lost_trials_has_the_share_of_the_frontier_that_they_had(busy: int) -> None:
    rates = [0.02, 0.5]
    told = [
        batch(
            *[trial(sent=rates[one], seen=rates[one], small=0.0)] * (5 if one == busy else 50),
            name=f"n{one}",
            **({"lost_paid": 45, "missed_paid": 45 / rates[one]} if one == busy else {}),
        )
        for one in (0, 1)
    ]
    book, requests, drawn = Book.of(told), 50 / 0.02 + 50 / 0.5, 100
    margin = bank_of(book.trials(), book.spells(), 0.9).margin
    assert margin == pytest.approx(0.1 * drawn - 0.9 * (requests - drawn))
    assert (book.trials().seen <= book.trials().sent).all()


def test_spells_have_the_rate_at_which_trials_came_to_something() -> None:
    (spell,) = Book.of([batch(trial(), trial(), lost_paid=2, alone=30, trial_rate=0.2)]).spells()
    assert spell.plan.trial_rate == pytest.approx(0.1)
    assert (spell.answers, spell.plan.variance) == (30, 0.2)


def test_words_and_measures_are_laid_out_as_those_of_the_prompts() -> None:
    prompts = ["Say hello to 3 of them, please.", "", "def f(x): return x + 1"]
    kept = Book.of([batch(*map(trial, prompts))]).design()
    seen = design_of(prompts)
    weights = np.random.default_rng(1).normal(size=200_000)
    assert kept.times(weights) == pytest.approx(seen.times(weights), abs=0.3)
    assert kept.rows == 3


def test_all_trials_of_a_batch_are_in_one_part_and_always_the_same() -> None:
    batches = [batch(trial(), trial(), name=f"n{number}") for number in range(40)]
    parts = Book.of(batches).parts()
    assert (parts[::2] == parts[1::2]).all()
    assert set(parts.tolist()) == set(range(5))
    assert (Book.of(batches[:7]).parts() == parts[:14]).all()


def test_a_lesson_tells_easy_from_hard_and_scores_each_by_what_others_taught() -> None:
    easy = [trial("say hello to my friend", small=1.0) for _ in range(2)]
    hard = [trial("prove this theorem about primes", small=0.0) for _ in range(2)]
    batches = [batch(*easy, *hard, name=f"n{number}") for number in range(30)]
    book = Book.of([*batches, batch(name="empty")])
    lesson = lesson_of(book, None)
    score = Score.load(lesson.score)
    assert (score.examples, score.trained_on) == (120, TAUGHT_BY)
    assert score.gain("prove this theorem about primes") > score.gain("say hello to my friend")
    assert set(lesson.scores) == book.names
    scores = book.trials(lesson.scores).scores.reshape(-1, 4)
    assert (scores[:, :2].max(axis=1) < scores[:, 2:].min(axis=1)).all()


def test_batches_that_a_lesson_does_not_know_keep_their_scores() -> None:
    book = Book.of([batch(trial(), name="a"), batch(trial(score=0.7), name="b")])
    assert book.trials({"a": np.array([0.3])}).scores.tolist() == [0.3, 0.7]


def test_where_all_trials_were_lost_the_bank_is_all_the_vaguer_and_not_full() -> None:
    alone = {"alone": 100, "trial_rate": 0.1, "variance": 0.2}
    told = [batch(trial("a", sent=1.0, seen=1.0), name="free")]
    seen = Book.of([*told, batch(trial("b", sent=0.1, seen=0.1), name="p", **alone)])
    lost = Book.of([*told, batch(name="p", lost_paid=10, **alone)])
    banks = [bank_of(book.trials(), book.spells(), 0.9) for book in (seen, lost)]
    assert banks[1].variance > 5 * banks[0].variance
