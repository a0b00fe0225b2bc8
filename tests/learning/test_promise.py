"""The promise of quality: what trials prove, and the cheapest plan that keeps it."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.learning.promise import (
    CAREFUL,
    FEWEST,
    NORMAL_ENOUGH,
    RATES,
    RESERVE,
    Bank,
    Plan,
    Spell,
    Trials,
    bank_of,
    planned,
)

if TYPE_CHECKING:
    from overspill.learning.design import Bools, Floats, Indices

FLOOR = 0.9


def trials(many: int = 400, *, right: float = 0.8, chance: float = 1.0, seed: int = 0) -> Trials:
    """The frontier is always right; the small model the less, the higher the score."""
    dice = np.random.default_rng(seed)
    scores = dice.random(many)
    small = (dice.random(many) < np.clip(2 * right * (1 - scores), 0, 1)).astype(float)
    odds = np.full(many, chance)
    return Trials(scores=scores, small=small, frontier=np.ones(many), sent=odds, seen=odds)


def plan_of(seen: Trials, bank: Bank | None = None, highest_rate: float = 0.5) -> Plan:
    bank = bank or bank_of(seen, (), FLOOR)
    return planned(seen, bank, floor=FLOOR, confidence=0.95, highest_rate=highest_rate)


def test_of_few_trials_nothing_is_concluded() -> None:
    rich = Bank(requests=100.0, margin=50.0, variance=0.0, frontier=100.0)
    assert plan_of(trials(FEWEST - 1), rich) == CAREFUL
    assert plan_of(trials(FEWEST), rich) != CAREFUL


def test_however_good_the_small_model_is_a_reserve_is_banked_first() -> None:
    perfect = replace(trials(200), small=np.ones(200))
    reserve = NormalDist().inv_cdf(1 - NORMAL_ENOUGH * 0.05) * RESERVE**0.5
    poor = Bank(requests=60.0, margin=0.9 * reserve, variance=0.0, frontier=60.0)
    assert plan_of(perfect, poor) == CAREFUL
    assert plan_of(perfect, replace(poor, margin=1.1 * reserve)) != CAREFUL


@pytest.mark.parametrize(("many", "rate"), [(400, 0.05), (4_000, RATES[0])])
def test_a_small_model_that_is_always_right_gets_nearly_all(many: int, rate: float) -> None:
    seen = replace(trials(many), small=np.ones(many))
    plan = plan_of(seen)
    assert (plan.limit, plan.trial_rate) == (np.inf, rate)
    assert plan.frontier_share == pytest.approx(rate)


def test_more_is_tried_than_the_bank_demands_where_answers_are_a_toss() -> None:
    """Of two models that are right in turns each trial that is left out leaves much unknown."""
    dice = np.random.default_rng(3)
    small, frontier = (dice.random((2, 4_000)) < 0.5).astype(float)
    seen = replace(trials(4_000), small=small, frontier=frontier)
    rich = Bank(requests=4_000.0, margin=1e6, variance=0.0, frontier=2_000.0)
    plan = plan_of(seen, rich)
    assert (plan.limit, plan.trial_rate) == (np.inf, 0.15)


def test_doubt_is_cheap_where_the_small_model_is_the_better_one() -> None:
    dice = np.random.default_rng(3)
    seen = replace(trials(), small=np.ones(400), frontier=(dice.random(400) < 0.5).astype(float))
    assert plan_of(seen).frontier_share <= 0.1


def test_one_that_is_never_right_gets_what_the_floor_leaves() -> None:
    seen = replace(trials(), small=np.zeros(400))
    plan = plan_of(seen)
    assert 1 - plan.frontier_share <= 1 - FLOOR + 1e-9


def test_a_rate_below_all_usual_ones_will_do_where_nothing_more_is_allowed() -> None:
    seen = replace(trials(4_000), small=np.ones(4_000))
    assert plan_of(seen, highest_rate=0.005).trial_rate == 0.005


def test_no_more_is_tried_than_is_allowed() -> None:
    assert plan_of(trials(), highest_rate=0.1).trial_rate <= 0.1
    assert plan_of(trials(), highest_rate=0.0) == CAREFUL


def test_the_score_says_who_goes_to_the_frontier() -> None:
    plan = plan_of(trials(4_000))
    assert 0 < plan.limit < 1
    blind = replace(trials(4_000), scores=np.random.default_rng(9).random(4_000))
    assert plan.frontier_share < plan_of(blind).frontier_share


def test_requests_that_score_the_same_go_the_same_way() -> None:
    """All like one another, and three in ten beyond the small model: there is nothing but a lot."""
    seen = replace(
        trials(), scores=np.full(400, 0.3), small=(np.arange(400) % 10 < 7).astype(float)
    )
    rich = Bank(requests=400.0, margin=100.0, variance=0.0, frontier=400.0)
    by_lot = plan_of(seen, rich, highest_rate=0.9)
    assert (by_lot.limit, by_lot.trial_rate) == (np.inf, 0.56)
    assert plan_of(seen, rich, highest_rate=0.5) == CAREFUL


def test_a_bank_in_the_red_is_filled_before_anything_is_left_to_the_small_model() -> None:
    seen = trials()
    bank = bank_of(seen, (), FLOOR)
    assert plan_of(seen, replace(bank, margin=-50.0)) == CAREFUL


@given(
    less=st.floats(min_value=0, max_value=30),
    wider=st.floats(min_value=1, max_value=9),
    seed=st.integers(0, 20),
)
def test_a_poorer_or_vaguer_bank_never_makes_bold_what_was_careful(
    less: float, wider: float, seed: int
) -> None:
    seen = trials(seed=seed)
    bank = replace(bank_of(seen, (), FLOOR), margin=12.0)
    poorer = replace(bank, margin=bank.margin - less, variance=bank.variance + wider)
    assert plan_of(seen, bank) != CAREFUL or plan_of(seen, poorer) == CAREFUL


@given(less=st.floats(min_value=0, max_value=30), seed=st.integers(0, 20))
def test_a_poorer_bank_never_means_a_plan_of_less_share_and_no_more_doubt(
    less: float, seed: int
) -> None:
    seen = trials(seed=seed)
    bank = bank_of(seen, (), FLOOR)
    rich, poor = (plan_of(seen, replace(bank, margin=bank.margin - one)) for one in (0.0, less))
    assert poor.frontier_share >= rich.frontier_share or _doubt(poor) > _doubt(rich)


def _doubt(plan: Plan) -> float:
    """Variance that a request under this plan adds to the bank, on the mean."""
    part = (1 - plan.frontier_share) / (1 - plan.trial_rate)
    return plan.variance * part * (1 - plan.trial_rate) / plan.trial_rate


def test_when_traffic_turns_worse_the_latest_third_says_so_before_the_whole_does() -> None:
    good, bad = replace(trials(800), small=np.ones(800)), trials(400, right=0.3)
    turned = Trials(
        **{
            name: np.concatenate([getattr(good, name), getattr(bad, name)])
            for name in ("scores", "small", "frontier", "sent", "seen")
        }
    )
    mixed = _taken(turned, np.random.default_rng(5).permutation(1_200), turned.sent, turned.seen)
    bank = replace(bank_of(turned, (), FLOOR), margin=20.0)
    assert plan_of(turned, bank).frontier_share > 1.3 * plan_of(mixed, bank).frontier_share


def test_the_latest_part_is_of_requests_and_not_of_trials() -> None:
    seen = np.concatenate([np.full(10, 0.1), np.ones(50)])  # stand for 100 requests, and for 50
    both = replace(trials(60), sent=seen, seen=seen)
    assert len(both.latest(1 / 3)) == 50
    assert len(both.latest(2 / 3)) == 55
    assert len(trials(0).latest(1 / 3)) == 0


# -- what is known
def test_what_the_frontier_answers_is_banked() -> None:
    bank = bank_of(trials(100), (), FLOOR)
    assert bank.margin == pytest.approx(100 * (1 - FLOOR))
    assert bank.variance == 0
    assert bank.quality(FLOOR, 0.95) == pytest.approx((1.0, 1.0, 1.0))


def test_paid_trials_stand_for_all_that_the_small_model_answered_alone() -> None:
    """Over many draws the estimate is right, and as far off as it says."""
    whole, rate = trials(2_000, seed=3), 0.2
    truth, off = [], []
    for seed in range(300):
        drawn = np.random.default_rng(1_000 + seed).random(2_000) < rate
        margin = np.where(drawn, 1 - FLOOR, whole.small - FLOOR).sum()
        seen = Trials(
            scores=whole.scores[drawn],
            small=whole.small[drawn],
            frontier=whole.frontier[drawn],
            sent=np.full(int(drawn.sum()), rate),
            seen=np.full(int(drawn.sum()), rate),
        )
        bank = bank_of(seen, (), FLOOR)
        truth.append(margin - bank.margin)
        off.append(bank.variance**0.5)
    assert np.mean(truth) == pytest.approx(0, abs=3 * np.mean(off) / 300**0.5)
    assert np.std(truth) == pytest.approx(np.mean(off), rel=0.15)


def test_of_what_the_frontier_answers_anyway_a_sample_is_enough() -> None:
    """Half of all goes up by score, and 30% of that is looked at; the rest goes by lot, at 20%."""
    whole = trials(2_000, seed=3)
    up = whole.scores > 0.5
    sent, seen = np.where(up, 1.0, 0.2), np.where(up, 0.3, 0.2)
    missed, off = [], []
    for seed in range(300):
        dice = np.random.default_rng(2_000 + seed)
        answered = dice.random(2_000) < sent
        watched = answered & (dice.random(2_000) < seen / sent)
        bank = bank_of(_taken(whole, watched, sent, seen), (), FLOOR)
        margin = np.where(answered, 1 - FLOOR, whole.small - FLOOR).sum()
        missed.append(margin - bank.margin)
        off.append(bank.variance**0.5)
    assert np.mean(missed) == pytest.approx(0, abs=3 * np.mean(off) / 300**0.5)
    assert np.std(missed) == pytest.approx(np.mean(off), rel=0.15)


def _taken(whole: Trials, rows: Bools | Indices, sent: Floats, seen: Floats) -> Trials:
    return Trials(
        scores=whole.scores[rows],
        small=whole.small[rows],
        frontier=whole.frontier[rows],
        sent=sent[rows],
        seen=seen[rows],
    )


def test_before_there_are_paid_trials_the_plan_says_how_vague_the_bank_is() -> None:
    plan = Plan(limit=0.5, trial_rate=0.1, frontier_share=0.5, variance=0.2)
    bank = bank_of(trials(100), [Spell(answers=30, plan=plan)], FLOOR)
    assert bank.variance == pytest.approx(30 * 0.2 / 0.1)
    estimate, low, high = bank.quality(FLOOR, 0.95)
    assert low < estimate < high


def test_nothing_known_is_not_a_broken_promise() -> None:
    nothing = trials(0)
    assert bank_of(nothing, (), FLOOR).quality(FLOOR, 0.95) == (1.0, 0.0, 1.0)
