"""The whole bill: requests drawn, thresholds played, dollars and outcomes added up."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench import bill, report
from bench.bill_account import THIRD, Bill, answers, billed, frontier_only
from bench.bill_replay import MEAN_REPLICAS, USD_PER_TOKEN, economics_of, load_of, play
from bench.bill_traffic import GROUPS, Graded, Traffic, graded, mixed, read_counts
from overspill.learning.examples import Examples
from overspill.simulate import contest

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 720
ALL_USD = 12_000 * STEPS * USD_PER_TOKEN


def prompts() -> Graded:
    """Two of each group: the frontier is right on all, the small model on one of two."""
    group = np.repeat(np.arange(GROUPS), 2)
    return Graded(group=group, small=np.tile([0.0, 1.0], GROUPS), frontier=np.ones(2 * GROUPS))


def traffic() -> Traffic:
    """Two hours of work that rises and falls."""
    work = 12_000 + 6_000 * np.sin(np.arange(STEPS) * 2 * np.pi / STEPS)
    return mixed(np.full(STEPS, 50), work, prompts(), seed=1)


def test_groups_are_equal_and_begin_with_the_highest_score() -> None:
    examples = Examples(
        prompts=tuple(map(str, range(40))), small=np.zeros(40), frontier=np.ones(40)
    )
    group = graded(examples, np.arange(40.0)).group
    assert group[[39, 38, 37, 1, 0]].tolist() == [0, 0, 1, GROUPS - 1, GROUPS - 1]
    assert np.bincount(group).tolist() == [2] * GROUPS


def test_each_request_is_one_prompt() -> None:
    drawn = traffic()
    assert drawn.requests.sum(axis=1).tolist() == [50] * STEPS
    assert np.array_equal(drawn.frontier, drawn.requests)
    assert (drawn.small <= drawn.requests).all()
    assert drawn.small.sum() / drawn.requests.sum() == pytest.approx(0.5, abs=0.02)


def test_the_same_seed_draws_the_same() -> None:
    assert np.array_equal(traffic().small, traffic().small)


def test_a_step_without_requests_sends_nothing() -> None:
    drawn = mixed(np.array([0, 3]), np.array([0.0, 9.0]), prompts(), seed=0)
    assert drawn.part(slice(GROUPS)).tolist() == [0.0, 1.0]


def test_counts_and_work_are_read_and_gaps_are_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "bin_start_s,requests,input_tokens,output_tokens\n0,2,10,100\n10,1,0,5\n30,0,0,7\n"
    )
    counts, work = read_counts(path, 4)
    assert work.tolist() == [102, 5, 0, 7]
    assert counts.tolist() == [2, 1, 0, 1]  # work is somebody's


def test_bins_of_another_width_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("bin_start_s,requests,input_tokens,output_tokens\n0,2,1,1\n60,1,0,5\n")
    with pytest.raises(ValueError, match="give a trace"):
        read_counts(path, 9)


def test_a_full_replica_costs_one_percent_of_the_frontier() -> None:
    economics = economics_of(traffic().work_tokens)
    full_usd_per_s = economics.capacity_tokens_per_s * USD_PER_TOKEN
    assert economics.rent_usd_per_s / full_usd_per_s == pytest.approx(0.01)
    load = load_of(traffic().work_tokens, economics)
    assert load.mean_replicas == pytest.approx(MEAN_REPLICAS)


def test_without_a_budget_it_is_what_the_simulator_plays() -> None:
    played = play(traffic(), 0)
    load = load_of(traffic().work_tokens, economics_of(traffic().work_tokens))
    known = contest.play(contest.OURS, load)
    assert np.array_equal(played.requested, known.requested)
    assert played.gpu_usd == pytest.approx(known.outcome.gpu_cost_usd)
    assert played.frontier_usd == pytest.approx(known.outcome.frontier_cost_usd)


def test_a_static_count_is_what_the_simulator_plays() -> None:
    played = play(traffic(), 0, static=True)
    load = load_of(traffic().work_tokens, economics_of(traffic().work_tokens))
    known = contest.play("static", load).outcome
    assert played.gpu_usd + played.frontier_usd == pytest.approx(known.total_cost_usd)


@pytest.mark.parametrize("groups", [0, 7, GROUPS])
def test_without_a_budget_nothing_is_lost_or_refused(groups: int) -> None:
    played = play(traffic(), groups)
    assert not played.refused.any()
    assert played.lost == pytest.approx(0.0)
    found = billed("x", traffic(), prompts(), played)
    assert found.frontier_share >= groups / GROUPS - 0.02
    assert found.total_usd == pytest.approx(found.gpu_usd + found.frontier_usd)
    missed = (1 - found.frontier_share) * 0.5
    assert found.quality == pytest.approx(1 - missed, abs=0.02)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_budget_holds_and_what_it_refuses_is_answered_small(part: float) -> None:
    free = play(traffic(), 10)
    held = play(traffic(), 10, limit_usd=part * free.frontier_usd)
    assert held.frontier_usd == pytest.approx(part * free.frontier_usd)
    found, unbound = (billed("x", traffic(), prompts(), some) for some in (held, free))
    assert found.frontier_share < unbound.frontier_share
    assert 0 <= found.lost_share < 0.1
    small = 1 - found.frontier_share - found.lost_share
    assert small > 1 - unbound.frontier_share


def test_what_has_neither_room_nor_money_is_wrong() -> None:
    held = play(traffic(), 0, limit_usd=0.0)
    assert held.lost[:18].tolist() == [1.0] * 18  # the start-up of the first replicas
    found = billed("x", traffic(), prompts(), held)
    assert found.quality == pytest.approx(0.5 * (1 - found.lost_share), abs=0.02)


def test_a_new_day_has_a_new_budget() -> None:
    work = np.full(2 * 8640, 100.0)
    drawn = mixed(np.full(len(work), 1), work, prompts(), seed=0)
    limit_usd = 0.25 * work.sum() * USD_PER_TOKEN / 2
    held = play(drawn, GROUPS, limit_usd=limit_usd)
    assert held.frontier_usd == pytest.approx(2 * limit_usd)
    assert held.refused[[0, 8639, 8640, -1]] == pytest.approx([0, 1, 0, 1])


def test_all_at_the_frontier_is_no_worse_than_itself() -> None:
    found = frontier_only(traffic())
    assert found.total_usd == pytest.approx(ALL_USD)
    assert (found.quality, found.held) == (1.0, True)
    assert billed("x", traffic(), prompts(), play(traffic(), GROUPS)).behind == 0


def test_a_blind_split_gives_the_mean_of_both_tiers() -> None:
    found = billed("x", traffic(), prompts(), play(traffic(), 10))
    assert found.blind_quality == pytest.approx(1 - 0.5 * (1 - found.frontier_share), abs=0.01)


def one(total_usd: float, quality: float, error: float = 0.0) -> Bill:
    return Bill(
        way="x",
        score_share=0.5,
        total_usd=total_usd,
        of_frontier_only=total_usd,
        quality=quality,
        of_frontier_quality=quality,
        behind=quality - 1,
        standard_error=error,
        frontier_share=0.5,
        lost_share=0.0,
        gpu_usd=0.0,
        frontier_usd=total_usd,
        blind_quality=quality,
    )


def test_each_question_is_answered_by_its_cheapest() -> None:
    bills = [
        one(1.0, 1.0),
        one(0.9, 0.995, error=0.01),
        one(0.6, 0.96),
        one(0.3, 0.9),
        one(0.2, 0.8),
    ]
    found = answers(bills)
    assert {what: some.total_usd for what, some in found.items()} == {
        "no loss measured": 0.9,
        "95% of its quality": 0.6,
        "98% of its quality": 0.9,
        "two thirds less": 0.3,
    }
    assert found["two thirds less"].of_frontier_only <= THIRD
    assert "two thirds less" not in answers([one(1.0, 1.0)])


def test_everything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bins = "".join(f"{10 * n},{n % 5},{100 * (n % 7)},{50 * n}\n" for n in range(60))
    head = "bin_start_s,requests,input_tokens,output_tokens\n"
    (tmp_path / "servegen-a.csv").write_text(head + bins)
    said = [
        {"prompt": f"What is {n} and {word}?", "small_correct": n % 2, "frontier_correct": 1}
        for n in range(30)
        for word in ("ash", "birch")
    ]
    outcomes = tmp_path / "graded.jsonl.gz"
    outcomes.write_bytes(gzip.compress("\n".join(map(json.dumps, said)).encode()))
    monkeypatch.setattr(report, "OUT", tmp_path / "build" / "bench")
    assert bill.main(["--traces", str(tmp_path), "--outcomes", str(outcomes)]) == 0
    figures = json.loads((report.OUT / "bill.json").read_text())
    ways = {found["way"] for found in figures["bills"]["servegen-a"]}
    assert ways == {"frontier only", "overspill", "best count", "half budget"}


def test_without_data_the_remedy_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bill.main(["--traces", str(tmp_path)]) == 2
    assert "--traces FOLDER --outcomes FILE" in capsys.readouterr().err
