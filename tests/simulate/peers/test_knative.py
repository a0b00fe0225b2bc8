"""Knative's autoscaler, held against its own tables."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.simulate.peers.decider import Decider, Spec, excess_burst_capacity, pods_to_scrape
from overspill.simulate.peers.scaler import Activity, Bounds, Scaler, Scaling
from overspill.simulate.peers.windows import AverageWindow, MaxWindow
from tests.simulate.peers.tables import cases, table

if TYPE_CHECKING:
    from tests.simulate.peers.tables import Case

EVERY = settings(max_examples=300, deadline=None, derandomize=True)
NOW_S = 10_000.0


@pytest.mark.parametrize("case", cases("kpa", "decider_sequences", 21))
def test_the_decider_tells_each_story_as_upstream(case: Case) -> None:
    decider = Decider(Spec(**case["spec"]))
    if panic := case.get("initial_panic"):
        decider.panic_since_s, decider.max_panic_pods = panic["since_s"], panic["max_panic_pods"]
    for step in case["steps"]:
        update = dict(step.get("spec_update", {}))
        if "reachable" in step:
            update["reachable"] = step["reachable"]
        decider.spec = replace(decider.spec, **update)
        stable, panic, ready = step["stable"], step["panic"], step["ready"]
        assert decider.decide(stable, panic, ready, step["at_s"]) == step["expected_desired"]
        burst = excess_burst_capacity(decider.spec, panic, ready)
        assert burst == pytest.approx(step["expected_ebc"], abs=1)  # upstream's own margin
        if "expected_panic_start_s" in step:
            assert decider.panic_since_s == step["expected_panic_start_s"]


@pytest.mark.parametrize("case", cases("kpa", "max_window", 2))
def test_the_largest_of_a_window(case: Case) -> None:
    window = MaxWindow(5.0, 1.0)
    for at_s, value in case["records"]:
        window.record(at_s, value)
    assert window.current == case["expected"]


@pytest.mark.parametrize("case", cases("kpa", "window_average", 4))
def test_the_mean_of_a_window(case: Case) -> None:
    window = AverageWindow(5.0, 1.0)
    for at_s, value in case["records"]:
        window.record(at_s, value)
    assert window.average(case["at_s"]) == case["expected"]


@pytest.mark.parametrize("case", cases("kpa", "sample_size", 5))
def test_how_many_pods_are_scraped(case: Case) -> None:
    assert pods_to_scrape(case["population"]) == case["expected"]


ACTIVE, INACTIVE, ACTIVATING = Activity.ACTIVE, Activity.INACTIVE, Activity.ACTIVATING
SITUATIONS: dict[str, tuple[Activity, float, Bounds, bool]] = {
    "just before idle window ends": (ACTIVE, 59, Bounds(), True),
    "standard window passed": (ACTIVE, 60, Bounds(), True),
    "after grace period": (INACTIVE, 30, Bounds(), True),
    "just before grace period": (INACTIVE, 29, Bounds(), True),
    "before last-pod retention": (INACTIVE, 41, Bounds(last_pod_retention_s=42), True),
    "after last-pod retention": (INACTIVE, 42, Bounds(last_pod_retention_s=42), True),
    "activator probe fails after grace": (INACTIVE, 30, Bounds(), False),
    "activating, deadline not reached": (ACTIVATING, 600, Bounds(), True),
}
"""What the rows' names say: the condition, for how many seconds, the settings, the probe."""


@pytest.mark.parametrize("row", cases("kpa", "scale_to_zero_controller", 16))
def test_the_scaler_applies_what_upstream_applies(row: list[Any]) -> None:
    name, start, wanted, low, high, expected, patched = row
    fresh = (ACTIVE, 0.0, Bounds(), True)
    activity, for_s, bounds, proxied = SITUATIONS.get(str(name), fresh)
    bounds = replace(bounds, low=low or 0, high=high or 0)
    scaler = Scaler(bounds, activity, NOW_S - for_s)
    found = scaler.scale(wanted, start, start, NOW_S, proxied=proxied)
    assert found == (expected, patched)


def test_every_situation_is_a_row_of_the_table() -> None:
    assert set(SITUATIONS) <= {row[0] for row in table("kpa")["scale_to_zero_controller"]}


def test_defaults_are_upstreams() -> None:
    spec, bounds = Spec(target=1.0, total=1.0), Bounds()
    assert {
        "stable_window_s": spec.stable_window_s,
        "panic_threshold_pct": 100 * spec.panic_threshold,
        "target_burst_capacity": spec.target_burst_capacity,
        "max_scale_up_rate": spec.max_up,
        "max_scale_down_rate": spec.max_down,
        "scale_to_zero_grace_s": bounds.grace_s,
        "last_pod_retention_s": bounds.last_pod_retention_s,
        "scale_down_delay_s": spec.scale_down_delay_s or 0,
    }.items() <= table("kpa")["defaults"].items()


def test_a_revision_goes_to_zero_only_after_a_window_and_a_grace_period() -> None:
    scaler = Scaler(Bounds())
    story = [
        # (seconds, wanted, current, ready) → what comes of it
        ((0, 3, 0, 0), Scaling(3, applied=True)),
        ((20, 0, 3, 0), Scaling(-1, applied=False)),  # still activating
        ((40, 2, 3, 3), Scaling(2, applied=True)),  # active from here on
        ((70, 0, 2, 2), Scaling(1, applied=True)),
        ((100, 0, 1, 1), Scaling(0, applied=False)),  # inactive from here on
        ((129, 0, 1, 1), Scaling(0, applied=False)),
        ((130, 0, 1, 1), Scaling(0, applied=True)),
    ]
    for (at_s, wanted, current, ready), expected in story:
        assert scaler.scale(wanted, current, ready, at_s) == expected


def test_an_activation_that_never_succeeds_is_given_up() -> None:
    scaler = Scaler(Bounds())
    scaler.scale(2, 0, 0, 0.0)
    assert scaler.scale(0, 2, 0, 610.0) == (-1, False)
    assert scaler.scale(0, 2, 0, 611.0) == (0, True)


records = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 100)), min_size=1, max_size=60
)  # seconds since the last, value


def timed(path: list[tuple[int, int]]) -> list[tuple[int, int]]:
    at_s, found = 0, []
    for gap_s, value in path:
        at_s += gap_s
        found.append((at_s, value))
    return found


@EVERY
@given(records)
def test_the_largest_of_a_window_is_the_largest_of_its_records(path: list[tuple[int, int]]) -> None:
    window, past = MaxWindow(10.0, 2.0), []
    for at_s, value in timed(path):
        past.append((at_s, value))
        window.record(at_s, value)
        assert window.current == max(v for t, v in past if t // 2 > at_s // 2 - 5)


@EVERY
@given(records, st.integers(0, 12))
def test_the_mean_of_a_window_is_that_of_its_buckets(
    path: list[tuple[int, int]], later_s: int
) -> None:
    window, past = AverageWindow(8.0, 1.0), timed(path)
    for at_s, value in past:
        window.record(at_s, value)
    last_s = past[-1][0]
    now_s = last_s + later_s
    kept = sum(value for at_s, value in past if at_s > now_s - 8)
    # Buckets count from the first record after a gap of a window or more.
    times = [at_s for at_s, _ in past]
    first_s = max([b for a, b in pairwise(times) if b - a >= 8] + times[:1])
    buckets = min(last_s - first_s + 1, 8 - later_s)
    assert window.average(now_s) == (round(kept / buckets, 6) if buckets > 0 else 0)
