"""What scaling remembers survives a restart, and nobody is fooled by what cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.controller.saved import dump_state, load_state, worth_writing
from overspill.scaling import Demand, Economics, State, step

NOW = "2026-11-24T00:00:00Z"


def watched(*work: float, state: State | None = None, most: int = 8) -> State:
    """Look every 15 s at demand in tokens per second, for replicas of 100."""
    state = state or State()
    economics = Economics(
        capacity_tokens_per_s=100.0,
        rent_usd_per_s=1.0,
        startup_s=60.0,
        min_replicas=0,
        max_replicas=most,
    )
    for one in work:
        demand = Demand(work_tokens_per_s=one, frontier_usd_per_s=0.05 * one)
        state = step(economics, demand, state, 15.0)
    return state


SAVED = dump_state(watched(250.0, 300.0), NOW)
works = st.lists(st.floats(0, 2000), min_size=1, max_size=30)


@given(works, works, st.sampled_from([1, 8, 200]))
def test_who_comes_back_decides_as_if_he_had_never_gone(
    before: list[float], after: list[float], most: int
) -> None:
    state = watched(*before, most=most)
    back = load_state(json.loads(json.dumps(dump_state(state, NOW))))
    assert back.on == state.on
    assert state.outlook is not None
    underway_let_go = replace(state, outlook=replace(state.outlook, wager=None))
    stayed = watched(*after, state=underway_let_go, most=most)
    returned = watched(*after, state=back, most=most)
    assert returned.use == pytest.approx(stayed.use, abs=1e-3)
    assert back.hindsight is not None
    assert state.hindsight is not None
    assert back.hindsight.on == state.hindsight.on
    assert back.hindsight.regret == pytest.approx(state.hindsight.regret, abs=0.06)


@pytest.mark.parametrize("elapsed_s", [0.001, 0.01, 1.0])
def test_what_a_short_look_showed_can_be_read_back(elapsed_s: float) -> None:
    economics = Economics(
        capacity_tokens_per_s=100.0,
        rent_usd_per_s=1.0,
        startup_s=7200.0,
        min_replicas=0,
        max_replicas=8,
    )
    busy = Demand(work_tokens_per_s=250.0, frontier_usd_per_s=12.5)
    state = step(economics, busy, State(), elapsed_s)
    back = load_state(dump_state(state, NOW)).outlook
    assert back is not None
    use = np.diff(back.filled / back.known[:, None])
    assert use[:, :3] == pytest.approx(np.tile([1.0, 1.0, 0.5], (6, 1)))


def test_a_state_of_eight_replicas_is_about_a_kilobyte() -> None:
    busy = watched(*np.linspace(0, 800, 50))
    assert len(json.dumps(dump_state(busy, NOW))) < 1200


def test_a_state_of_two_hundred_replicas_stays_far_below_what_an_object_may_hold() -> None:
    busy = watched(*np.linspace(0, 20000, 50), most=200)
    assert len(json.dumps(dump_state(busy, NOW))) < 12_000


def test_of_version_1_the_replicas_are_read() -> None:
    saved = {"version": 1, "updatedAt": "x", "replicasOn": 3, "accruedUsdMicros": [0, 7]}
    state = load_state(saved)
    assert (state.on, state.outlook) == (3, None)


def test_of_version_2_all_but_the_earnings_is_read() -> None:
    saved = {k: v for k, v in SAVED.items() if k not in {"regretTenths", "held"}}
    state = load_state(saved | {"version": 2, "earnedMilli": [0, 7]})
    assert state.hindsight is None
    assert state.outlook is not None
    assert watched(250.0, state=state).on == watched(250.0, state=load_state(SAVED)).on == 3


def test_nothing_seen_is_saved_as_nothing() -> None:
    assert load_state(dump_state(State(on=2), NOW)).outlook is None


def but(**changes: object) -> dict[str, Any]:
    return SAVED | changes


UNREADABLE = [
    pytest.param(but(regretTenths=[[-1]] * 9), "below nothing", id="negative regrets"),
    pytest.param(but(held=[-1] * 9), "below nothing", id="fewer replicas than none"),
    pytest.param(but(regretTenths=[[0] * 500] * 9), "regrets", id="regrets of more replicas"),
    pytest.param(but(regretTenths=[[0]]), "regrets", id="other prices"),
    pytest.param(but(held=[]), "regrets", id="nothing held by any price"),
    pytest.param(but(version=4), "version 4", id="newer"),
    pytest.param({"version": 3}, "cannot be read", id="fields missing"),
    pytest.param("garbage", "cannot be read", id="no object"),
    pytest.param(but(replicasOn=-1), "negative", id="negative"),
    pytest.param(but(usdMicrosPerMTok=10**400), "too large", id="a price that is no float"),
    pytest.param(but(held=[10**400] * 9), "too large", id="more replicas than a float counts"),
    pytest.param(but(regretTenths=[[2**64]] * 9), "too large", id="more regret than can be saved"),
    pytest.param(but(reach=10**9), "no policy's", id="a reach that would take all memory"),
    pytest.param(but(reach=2), "not those of this version", id="more cells than its reach has"),
    pytest.param(but(trustMicros=[1]), "not those of this version", id="other scenarios"),
    pytest.param(but(milliTokensPerReplica=-1), "negative", id="negative capacity"),
    pytest.param(but(usePer100K=[[-1]] * 6), "amount that cannot", id="negative use"),
    pytest.param(but(usePer100K=[[100_001]] * 6), "amount that cannot", id="more than always"),
    pytest.param(but(knownMicros=[0] * 6), "amount that cannot", id="a memory of nothing"),
    pytest.param(but(trustMicros=[0] * 11), "amount that cannot", id="no trust at all"),
]


@pytest.mark.parametrize(("saved", "said"), UNREADABLE)
def test_what_cannot_be_read_is_said(saved: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=said):
        load_state(saved)


STEADY = watched(*[250.0] * 100)
WRITES = [
    pytest.param(None, State(), True, id="never written"),
    pytest.param(State(on=1), State(on=2), True, id="another count"),
    pytest.param(State(), State(), False, id="nothing seen, still"),
    pytest.param(State(on=STEADY.on), STEADY, True, id="the first look"),
    pytest.param(STEADY, watched(250.0, state=STEADY), False, id="more of the same"),
    pytest.param(STEADY, watched(252.0, state=STEADY), False, id="a little more"),
    pytest.param(STEADY, watched(*[280.0] * 8, state=STEADY), True, id="another demand"),
]


@pytest.mark.parametrize(("written", "now", "worth"), WRITES)
def test_what_a_restart_would_miss_is_written(
    written: State | None, now: State, worth: bool
) -> None:
    assert worth_writing(written, now) is worth
