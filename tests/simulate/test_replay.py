"""Single requests against single replicas: who is served, who waits, who is spilled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.api.policy_file import read_policy
from overspill.simulate.contest import RUNGS, play, play_requests
from overspill.simulate.engine import run
from overspill.simulate.fixed import Given
from overspill.simulate.latency import EXTERNAL_TOKENS_PER_S, EXTERNAL_TTFT_S
from overspill.simulate.load import load_of
from overspill.simulate.replay import Replay
from overspill.simulate.replica import Speed
from overspill.simulate.requests import Requests, Traffic, requests_of, traffic_of
from overspill.simulate.tier import Tier, tier_of
from overspill.simulate.trace import laid_out, read_rows
from tests.simulate.loads import STEP_S, load

if TYPE_CHECKING:
    from overspill.api.policy import RoutingPolicySpec
    from overspill.simulate.load import Load

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "manifests" / "examples" / "contracts.yaml"
AZURE = ROOT / "e2e" / "data" / "azure-2023-conv.csv.gz"
TIER = Tier(
    speed=Speed(
        work_tokens_per_s=10.0, prefill_tokens_per_s=100.0, stream_tokens_per_s=5.0, slots=2
    ),
    first_token_s=20.0,
    max_wait_s=0.0,
)
"""Two slots, five tokens a second each."""
USD_PER_TOKEN = 0.05


def traffic(*rows: tuple[float, float, float]) -> Traffic:
    arrival_s, inputs, outputs = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    requests = Requests(arrival_s=arrival_s, input_tokens=inputs, output_tokens=outputs)
    work = outputs + 0.1 * inputs
    return Traffic(requests=requests, work_tokens=work, rungs={"frontier": work * USD_PER_TOKEN})


def load_with(found: Traffic, steps: int) -> Load:
    places = (found.requests.arrival_s / STEP_S).astype(np.int64)
    work = np.bincount(places, weights=found.work_tokens, minlength=steps)
    return load([*work.tolist()], usd_per_token=USD_PER_TOKEN, startup_s=10.0)


def played(found: Traffic, requested: list[int], tier: Tier = TIER) -> Replay:
    """What is asked for in a step is ready in the next."""
    replay = Replay(load_with(found, len(requested)), found, tier)
    run(load_with(found, len(requested)), Given(np.array(requested)), serve=replay.serve)
    return replay


def test_without_a_replica_all_is_spilled() -> None:
    replay = played(traffic((1, 0, 80)), [1])
    assert [*replay.spilled] == [1]
    assert [*replay.watch.ttft_s] == [EXTERNAL_TTFT_S]
    assert [*replay.watch.duration_s] == [EXTERNAL_TTFT_S + 80 / EXTERNAL_TOKENS_PER_S]


def test_who_finds_a_slot_is_served() -> None:
    replay = played(traffic((11, 100, 25)), [1, 1])
    assert [*replay.spilled] == [0]
    assert [*replay.watch.ttft_s] == pytest.approx([1.0])
    assert [*replay.watch.duration_s] == pytest.approx([1.0 + 5.0])


def test_what_finds_no_slot_is_spilled() -> None:
    assert [*played(traffic(*[(11, 0, 50)] * 3), [1, 1]).spilled] == [0, 0, 1]


def test_two_replicas_have_twice_the_room_and_the_emptier_goes_first() -> None:
    replay = played(traffic(*[(11, 100, 5)] * 2, *[(11, 0, 50)] * 3), [2, 2])
    assert [*replay.spilled] == [0, 0, 0, 0, 1]
    assert [*replay.watch.ttft_s][:2] == pytest.approx([1.0, 1.0])  # each is read at once


def test_who_waits_is_served_when_its_turn_comes() -> None:
    rows = traffic((11, 0, 10), (11, 0, 25), (12, 0, 5), (12.5, 0, 5))
    replay = played(rows, [1, 1], replace(TIER, max_wait_s=4.0))
    assert [*replay.spilled] == [0, 0, 0, 0]
    assert [*replay.watch.queue_wait_s] == pytest.approx([0, 0, 1.0, 1.5])
    assert [*replay.watch.duration_s] == pytest.approx([2.0, 5.0, 2.0, 2.5])


def test_who_waits_too_long_is_spilled() -> None:
    rows = traffic((11, 0, 50), (11, 0, 50), (12, 0, 5))
    replay = played(rows, [1, 1], replace(TIER, max_wait_s=4.0))
    assert [*replay.spilled] == [0, 0, 1]
    assert replay.watch.queue_wait_s[2] == pytest.approx(4.0)
    assert replay.watch.ttft_s[2] == pytest.approx(4.0 + EXTERNAL_TTFT_S)


def test_who_waits_gets_the_room_of_a_new_replica() -> None:
    rows = traffic((18, 0, 50), (18, 0, 50), (19, 0, 5))
    replay = played(rows, [1, 2, 2], replace(TIER, max_wait_s=4.0))
    assert [*replay.spilled] == [0, 0, 0]
    assert replay.watch.queue_wait_s[2] == pytest.approx(1.0)


def test_with_no_replica_left_nobody_waits() -> None:
    rows = traffic((18, 0, 50), (18, 0, 50), (19, 0, 5), (21, 0, 5))
    replay = played(rows, [1, 1, 0], replace(TIER, max_wait_s=60.0))
    assert [*replay.spilled] == [0, 0, 1, 1]
    assert [*replay.watch.queue_wait_s] == pytest.approx([0, 0, 1.0, 0])


def test_a_replica_that_goes_finishes_what_it_has_and_costs_rent_meanwhile() -> None:
    replay = played(traffic((18, 0, 50), (25, 0, 5)), [1, 1, 0, 0])
    assert [*replay.spilled] == [0, 1]
    assert replay.watch.duration_s[0] == pytest.approx(10.0)
    assert replay.drained_s == pytest.approx(8.0)


def test_what_is_answered_after_the_end_costs_rent_too() -> None:
    replay = played(traffic((18, 0, 50), (19, 0, 5)), [1, 2])
    assert [*replay.spilled] == [0, 0]
    assert replay.drained_s == pytest.approx(8.0)


def test_the_youngest_goes_first() -> None:
    rows = traffic((11, 0, 100), (21, 0, 5), (31, 0, 5))
    replay = played(rows, [1, 2, 1, 1])
    assert (replay.drained_s, [*replay.spilled]) == (0, [0, 0, 0])


def test_a_first_token_that_is_late_is_waited_for_elsewhere() -> None:
    rows = traffic((11, 1000, 5), (11, 100, 5))
    replay = played(rows, [1, 1], replace(TIER, first_token_s=3.0))
    assert [*replay.spilled] == [1, 1]  # one prompt is too long, the other behind it
    assert [*replay.watch.ttft_s] == pytest.approx([3.0 + EXTERNAL_TTFT_S] * 2)
    later = played(traffic((11, 1000, 5), (12.5, 100, 5)), [1, 1], replace(TIER, first_token_s=3.0))
    assert [*later.spilled] == [1, 0]
    assert later.watch.ttft_s[1] == pytest.approx(1.5 + 1.0)


def test_an_autoscaler_sees_what_was_taken_at_most_what_can_be_done() -> None:
    rows = traffic((11, 0, 30), (12, 0, 400), (12, 0, 400))
    replay = Replay(load_with(rows, 3), rows, TIER)
    assert [replay.serve(step, ready) for step, ready in enumerate([0, 1, 1])] == [0, 10, 0]


def test_progress_is_told() -> None:
    told: list[int] = []
    rows = traffic((1, 0, 1))
    replay = Replay(load_with(rows, 3), rows, TIER, told.append)
    run(load_with(rows, 3), Given(np.array([0, 0, 0])), serve=replay.serve)
    assert told == [0, 1, 2]


rows_of_any_kind = st.lists(
    st.tuples(st.integers(0, 899).map(lambda n: n / 10), st.integers(0, 900), st.integers(0, 90)),
    min_size=1,
    max_size=60,
).map(sorted)


@given(rows_of_any_kind, st.sampled_from([0.0, 2.0, 15.0]), st.sampled_from([1.0, 4.0, 20.0]))
def test_everybody_is_answered_once_and_the_bill_adds_up(
    rows: list[tuple[float, float, float]], max_wait_s: float, first_token_s: float
) -> None:
    found = traffic(*rows)
    case = load_with(found, 9)
    tier = replace(TIER, max_wait_s=max_wait_s, first_token_s=first_token_s)
    for rule in ("overspill", "hpa", "static", "frontier"):
        result = play_requests(rule, case, traffic=found, tier=tier)
        assert result.latency is not None
        assert result.latency == play_requests(rule, case, traffic=found, tier=tier).latency
        outcome = result.outcome
        assert outcome.frontier_cost_usd == pytest.approx(
            outcome.spilled_share * found.work_tokens.sum() * USD_PER_TOKEN
        )
        assert outcome.gpu_cost_usd >= play(rule, case).outcome.gpu_cost_usd - 1e-9 or rule == "hpa"
        if rule in RUNGS:
            assert outcome.spilled_share in (0, pytest.approx(1))


# -- beside the flow
def spec_with(max_wait_s: float = 0.0, slots: int = 32) -> RoutingPolicySpec:
    spec = read_policy(EXAMPLE).spec
    queue = spec.routing.queue.model_copy(update={"max_wait": max_wait_s})
    capacity = spec.small.capacity.model_copy(update={"max_concurrency": slots})
    return spec.model_copy(
        update={
            "routing": spec.routing.model_copy(update={"queue": queue}),
            "small": spec.small.model_copy(update={"capacity": capacity}),
        }
    )


def dearer(rule: str, spec: RoutingPolicySpec) -> float:
    """By how much single requests are dearer than the flow, as a part."""
    rows = read_rows(AZURE, counted=True)
    case, single = load_of(laid_out(rows), spec), traffic_of(requests_of(rows), spec)
    result = play_requests(rule, case, traffic=single, tier=tier_of(spec))
    return result.outcome.total_cost_usd / play(rule, case).outcome.total_cost_usd - 1


@pytest.mark.parametrize("rule", ["overspill", "static", "keda", "frontier"])
def test_single_requests_cost_what_the_flow_does(rule: str) -> None:
    """The example's policy, with half a second of patience: within 5%."""
    assert abs(dearer(rule, spec_with(max_wait_s=0.5))) < 0.05


@pytest.mark.parametrize("rule", ["overspill", "keda"])
def test_where_replicas_are_not_full_patience_does_not_matter(rule: str) -> None:
    assert abs(dearer(rule, spec_with())) < 0.05


def test_the_fewer_slots_the_sooner_a_burst_is_spilled() -> None:
    """The flow evens out each step of 10 s; slots hold a few seconds of work."""
    few, some, many = (dearer("static", spec_with(slots=slots)) for slots in (16, 32, 64))
    assert few > 0.2
    assert 0 < some < 0.1
    assert -0.1 < many < 0
