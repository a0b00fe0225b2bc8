from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench import sidecar, verdict
from bench.measuring import DIRECT, Pace
from bench.peers.install import Missing
from bench.processes import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator

ONCE = Pace(seconds=1.0, warmup_s=0.0, repeat=1)
THRICE = Pace(seconds=1.0, warmup_s=0.0, repeat=3)


def session(
    monkeypatch: pytest.MonkeyPatch, case: str, runs: dict[str, list[Any]], pace: Pace
) -> sidecar.Session:
    """A session whose measurements are these, in order; an exception is raised."""
    left: dict[str, Iterator[Any]] = {name: iter(found) for name, found in runs.items()}

    def measured(case: str, name: str, upstream: int, pace: Pace) -> dict[str, Any]:
        found: dict[str, Any] | Exception = next(left[name])
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(sidecar, "measure", measured)
    made = sidecar.Session(list(runs), [case], pace)
    made.run(0)
    return made


def test_the_median_of_the_repetitions_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [{"rps": 100.0, "errors": 1}, {"rps": 300.0, "errors": 0}, {"rps": 120.0, "errors": 2}]
    found = session(monkeypatch, "json32", {"envoy": list(runs)}, THRICE).figures()
    assert found["json32"]["envoy"] == {"rps": 120.0, "errors": 3, "runs": runs}


def test_what_a_proxy_adds_is_held_against_the_direct_run_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct = [{"p99_ms": 0.1}, {"p99_ms": 5.0}, {"p99_ms": 0.2}]
    ours = [{"p99_ms": 0.4}, {"p99_ms": 5.2}, {"p99_ms": 1.2}]
    found = session(monkeypatch, "rate1000", {DIRECT: direct, "overspill": ours}, THRICE).figures()
    assert found["rate1000"]["overspill"]["added_p99_ms"] == pytest.approx(0.3)
    assert "added_p99_ms" not in found["rate1000"][DIRECT]


def test_a_peer_that_cannot_be_installed_is_reported_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = session(monkeypatch, "json32", {"envoy": [Missing("no wheel")]}, THRICE)
    assert made.missing == {"envoy": "no wheel"}
    assert made.figures() == {"json32": {}}


def test_a_run_that_broke_is_kept_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    made = session(monkeypatch, "json32", {"envoy": [Broken("no answer")]}, ONCE)
    assert made.figures()["json32"]["envoy"] == {
        "errors": 0,
        "broken": 1,
        "runs": [{"failed": "no answer"}],
    }


def test_a_run_of_ours_that_broke_misses_the_aim_however_fast_the_others_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fast = {"rps": 1000.0, "errors": 0}
    runs: dict[str, list[Any]] = {
        "overspill": [fast, Broken("no answer"), fast],
        "envoy": [fast, fast, fast],
    }
    judged = verdict.judge(session(monkeypatch, "json32", runs, THRICE).figures())
    assert (judged[0].measured, judged[0].passed) == (1.0, False)


@pytest.mark.parametrize(
    ("ours", "envoy", "passed"),
    [
        pytest.param({"rps": 500.0}, {"rps": 1000.0}, True, id="reached"),
        pytest.param({"rps": 499.0}, {"rps": 1000.0}, False, id="missed"),
        pytest.param({"rps": 999.0, "errors": 1}, {"rps": 1000.0}, False, id="with errors"),
        pytest.param({"rps": 500.0}, {}, None, id="the peer is missing"),
        pytest.param({}, {"rps": 1000.0}, None, id="ours is missing"),
        pytest.param({"broken": 3}, {"rps": 1000.0}, False, id="ours broke each time"),
        pytest.param({"rps": 500.0}, {"rps": 1.0, "errors": 9}, None, id="the peer failed"),
        pytest.param({"rps": 500.0}, {"rps": 1.0, "broken": 1}, None, id="the peer broke"),
    ],
)
def test_an_aim_is_reached_missed_or_not_measured(
    ours: dict[str, float], envoy: dict[str, float], passed: bool | None
) -> None:
    judged = verdict.judge({"json32": {"overspill": ours, "envoy": envoy}})
    assert judged[0].aim == "json32 rps ≥ 0.5 × envoy"
    assert judged[0].passed is passed


def test_an_upper_bound_is_not_reached_on_the_bound() -> None:
    judged = verdict.judge({"idle2000": {"overspill": {"rss_mib": 250.0, "rest_mib": 79.9}}})
    found = {one.aim: one.passed for one in judged if one.measured}
    assert found == {"idle2000 rest_mib < 80": True, "idle2000 rss_mib < 250": False}
