"""Judging: nobody is tested on their own lessons, and the figures are what happened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from overspill.learning.examples import Examples, InvalidExamples, read_examples
from overspill.learning.prior import pack, shipped, train
from overspill.learning.trial import Scored, cross_validated, learned_elsewhere, verdict

FILE = Path(__file__).parents[1] / "data" / "routing" / "mmlu_excerpt.jsonl"


def examples(*rows: tuple[str, float, float]) -> Examples:
    prompts, small, frontier = zip(*rows, strict=True)
    return Examples(prompts=prompts, small=np.array(small), frontier=np.array(frontier))


def test_shares_qualities_and_costs_are_those_of_what_was_sent() -> None:
    rows = examples(("a", 0.0, 1.0), ("b", 1.0, 1.0), ("c", 1.0, 0.0), ("d", 0.0, 1.0))
    scored = Scored(np.array([3.0, 1.0, 0.0, 2.0]), np.zeros(4, dtype=np.intp), np.array([2.5]))
    served = scored.served()
    found = verdict(rows, served, floor=0.9, price_ratio=10.0)
    assert (found.small_quality, found.frontier_quality) == (0.5, 0.75)
    assert found.achieved_quality == pytest.approx(1.0)
    assert found.frontier_share == 0.25
    assert found.cost_saving == pytest.approx(0.75 - 0.075)
    twice = replace(served, small=np.ones(4, dtype=bool))
    both = verdict(rows, twice, floor=0.9, price_ratio=10.0)
    assert both.cost_saving == pytest.approx(0.75 - 0.1)  # paid for at both tiers
    assert both.achieved_quality == found.achieved_quality


def test_without_a_gap_there_is_no_apgr() -> None:
    rows = examples(("a", 1.0, 0.0), ("b", 1.0, 1.0))
    scored = Scored(np.zeros(2), np.zeros(2, dtype=np.intp), np.array([np.inf]))
    found = verdict(rows, scored.served(), floor=0.9, price_ratio=10.0)
    assert (found.apgr, found.cpt50, found.cpt80) == (None, None, None)


def test_labels_of_one_prompt_teach_nothing_about_that_prompt() -> None:
    rows = read_examples(FILE)
    turned = Examples(
        prompts=rows.prompts,
        small=np.r_[1 - rows.small[:1], rows.small[1:]],
        frontier=rows.frontier,
    )
    one, other = (cross_validated(each, None, floor=0.9) for each in (rows, turned))
    assert one.scores[0] == pytest.approx(other.scores[0])
    assert not np.allclose(one.scores, other.scores)


def test_what_is_tested_is_not_learned_from() -> None:
    rows = read_examples(FILE)
    with pytest.raises(InvalidExamples, match="give others"):
        learned_elsewhere(rows, rows, None, floor=0.9)
    part = rows.take(np.arange(40))
    found = learned_elsewhere(part, rows, None, floor=0.9)
    alone = learned_elsewhere(part, rows.take(np.arange(40, 120)), None, floor=0.9)
    assert found.scores == pytest.approx(alone.scores)


def test_an_instruction_that_all_prompts_begin_with_makes_them_no_lessons_of_each_other() -> None:
    told = "Answer the following question with one letter."
    rows = read_examples(FILE)
    asked = tuple(f"{told}\n\n{prompt}" for prompt in rows.prompts)
    rows = Examples(prompts=asked, small=rows.small, frontier=rows.frontier)
    tested, others = rows.take(np.arange(40)), rows.take(np.arange(40, 120))
    found, alone = (learned_elsewhere(tested, each, None, floor=0.9) for each in (rows, others))
    assert found.scores == pytest.approx(alone.scores)
    with pytest.raises(InvalidExamples, match="give others"):
        learned_elsewhere(rows, rows, None, floor=0.9)


@pytest.mark.parametrize("many", [1, 2, 3])
def test_a_handful_of_examples_can_be_judged(many: int) -> None:
    rows = read_examples(FILE).take(np.arange(many))
    scored = cross_validated(rows, shipped().linear(), floor=0.9)
    assert np.isfinite(scored.scores).all()
    assert verdict(rows, scored.served(), floor=0.9, price_ratio=20.0).n == many


def test_the_prior_knows_what_it_was_trained_on() -> None:
    prior = shipped()
    assert prior.share_seen(read_examples(FILE).prompts) == 1.0
    assert prior.share_seen(["please compare our two latest invoices from the plumber"]) == 0.0


def test_a_prior_of_nothing_is_none() -> None:
    assert train({}) is None
    assert train({"tiny": read_examples(FILE).take(np.arange(5))}) is None
    assert pack({3, 1}) == pack({1, 3})
