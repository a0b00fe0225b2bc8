"""The budget is a promise: what the frontier's own books say stays within the limit."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e.app.asks import Ask, steady
from e2e.stage import killing, kube, overspill
from e2e.stage.manifests import FRONTIER_MODEL, SMALL_MODEL, PolicyChanges

if TYPE_CHECKING:
    from e2e.stage.scene import Scene

SIDECARS, CLIENTS = 8, 200
ASK = Ask(at_s=0, input_tokens=200, output_tokens=400, high_priority=True, stream=True)
"""4 s and 0.011 USD each: 200 clients want 0.55 USD/s."""
SECONDS, KILL_EVERY_S, FROZEN_S = 180, 4.0, 20.0
REPORT = Path(__file__).parents[2] / "build" / "e2e" / "budget.json"
LIMIT = "9.90"
"""A tenth of what they want in that time."""


def _crowd(scene: Scene, limit: str, seconds: float) -> list[str]:
    """Set 200 clients behind 8 sidecars to work; return the pods."""
    scene.build(PolicyChanges(limit=limit, on_exhausted="Reject"))
    kube.kubectl("scale", "deployment/app", "-n", scene.ns, f"--replicas={SIDECARS}")
    pods = kube.until(
        "all app pods",
        lambda: (found := kube.ready_pods(scene.ns, "app=app"))[SIDECARS - 1 :] and found,
        120,
    )
    for pod in pods:
        scene.crowd(pod, CLIENTS // SIDECARS, seconds, ASK)
    return pods


def _write(name: str, **figures: object) -> None:
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    REPORT.write_text(json.dumps(before | {name: figures} if name else before | figures, indent=2))


def _ledger(scene: Scene) -> dict[str, Any]:
    words = ["ledger", "chat", "-n", scene.ns, "--json"]
    command = [sys.executable, "-m", "overspill", *words]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    seen: dict[str, Any] = json.loads(said.stdout)
    return seen


def test_nearly_all_of_a_budget_can_be_spent_and_the_ledger_agrees_to_the_micro_dollar(
    scene: Scene,
) -> None:
    limit = Decimal("5.00")
    _crowd(scene, str(limit), 60)
    kube.until(
        "spent", lambda: scene.condition("BudgetAvailable").get("reason") == "Exhausted", 120
    )
    kube.until("nothing under way", lambda: scene.frontier_stats()["in_flight"] == 0)
    books = scene.frontier_stats()
    spent = Decimal(books["usd_micros"]) / 1_000_000
    _write("undisturbed", limit_usd=str(limit), spent_usd=str(spent), requests=books["requests"])

    assert limit * Decimal("0.97") <= spent <= limit
    settled = kube.until(
        "all settled",
        lambda: (seen := _ledger(scene))["outstandingUsdMicros"] == 0 and seen,
        90,
    )
    assert settled["settledUsdMicros"] == books["usd_micros"]
    assert "Exhausted" in scene.events()


def _zone_where_it_is_noon() -> str:
    """Half a day is left there, whenever this runs."""
    return f"Etc/GMT{time.gmtime().tm_hour - 12:+d}"


def test_a_budget_that_is_spread_keeps_some_for_later(scene: Scene) -> None:
    # 2 requests/s want 0.01 USD/s of the frontier; 100 USD over half a day are 0.0023 USD/s.
    scene.build(
        PolicyChanges(
            limit="100", pacing="Smooth", time_zone=_zone_where_it_is_noon(), min_replicas=1
        ),
        small_replicas=1,
    )
    kube.until("a replica", lambda: kube.ready_pods(scene.ns, "app=small"))
    asks = steady(per_s=2, seconds=120, output_tokens=200, every_nth_high=1)
    scene.send(replace(ask, input_tokens=200 + n) for n, ask in enumerate(asks))
    kube.until("a value", lambda: scene.status().get("pacing", {}).get("admitFrom", 0) > 0.4)
    assert "normal priority" in scene.condition("BudgetAvailable")["message"]

    kube.until("paced ones", lambda: scene.stats()["answered"].get(SMALL_MODEL, 0) > 40, 120)
    done = kube.until("all calls ended", scene.finished, 120)
    assert (done["failed"], done["failures"]) == (0, {})
    assert done["answered"][FRONTIER_MODEL] > 0


def test_an_experiment_that_has_spent_its_budget_is_suspended(scene: Scene) -> None:
    scene.build(
        PolicyChanges(limit="0.60", on_exhausted="Suspend", min_replicas=1), small_replicas=1
    )
    kube.until("a replica", lambda: kube.ready_pods(scene.ns, "app=small"))
    scene.send(steady(per_s=8, seconds=60, output_tokens=200, every_nth_high=2))
    kube.until(
        "spent", lambda: scene.condition("BudgetAvailable").get("reason") == "Exhausted", 120
    )
    kube.until("shut down", lambda: scene.replicas() == 0)
    assert scene.condition("ScalingActive")["reason"] == "Suspended"
    assert "Exhausted" in scene.events()
    done = kube.until("all calls ended", scene.finished, 120)
    assert done["answered"][SMALL_MODEL] > 0
    assert done["failed"] > 0

    books = scene.frontier_stats()
    assert books["usd_micros"] <= 600_000
    settled = kube.until(
        "all settled",
        lambda: (seen := _ledger(scene))["outstandingUsdMicros"] == 0 and seen,
        90,
    )
    assert settled["settledUsdMicros"] == books["usd_micros"]


def test_no_crash_makes_the_frontier_cost_more_than_the_limit(scene: Scene) -> None:
    chance, kills = random.Random(6), 0
    pods = _crowd(scene, LIMIT, SECONDS)
    began_s, frozen = time.monotonic(), False
    while (passed_s := time.monotonic() - began_s) < SECONDS:
        if not frozen and passed_s > SECONDS / 3:
            frozen = True
            killing.freeze_api_server(FROZEN_S)
            continue
        try:
            kills += killing.kill_container(scene.ns, chance.choice(pods), "overspill-sidecar")
            leader = overspill.leader()
            if leader and chance.random() < 0.5:
                kills += killing.kill_container(overspill.NS, leader, "operator")
        except (kube.KubectlError, subprocess.TimeoutExpired):
            pass  # the API server is coming back
        time.sleep(KILL_EVERY_S)
    kube.until("an operator again", lambda: overspill.pods() and overspill.leader(), 120)
    kube.until("nothing under way", lambda: scene.frontier_stats()["in_flight"] == 0, 60)
    books = scene.frontier_stats()
    spent = Decimal(books["usd_micros"]) / 1_000_000
    _write("", limit_usd=LIMIT, spent_usd=str(spent), requests=books["requests"], kills=kills)

    assert kills >= SECONDS / KILL_EVERY_S / 3
    assert 0 < spent <= Decimal(LIMIT)


def test_a_small_tier_that_saves_too_little_shuts_itself_down_and_says_so(scene: Scene) -> None:
    changes = PolicyChanges(
        min_replicas=1, experiment={"window": "30s", "leastSavedPerUSD": "1000000"}
    )
    scene.build(changes, small_replicas=1)
    kube.until("a replica", lambda: kube.ready_pods(scene.ns, "app=small"))
    scene.send(steady(per_s=4, seconds=110, output_tokens=20))
    kube.until("answers of the small tier", lambda: scene.stats()["answered"].get(SMALL_MODEL), 60)
    kube.until("the end", lambda: scene.condition("PaysOff").get("reason") == "ExperimentEnded", 90)
    kube.until("no replica", lambda: scene.replicas() == 0)
    assert "a dollar; spec.experiment asks for 1000000" in scene.condition("PaysOff")["message"]
    assert "ExperimentEnded" in scene.events()
    done = kube.until("all calls ended", scene.finished, 150)
    assert (done["failed"], done["failures"]) == (0, {})
    assert done["answered"][FRONTIER_MODEL] > 0
