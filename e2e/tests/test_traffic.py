"""One policy under real traffic: who answers, how many replicas, what it costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from e2e.app.asks import steady
from e2e.stage import kube, prometheus
from e2e.stage.manifests import APP_KEY, FRONTIER_MODEL, KEY, SMALL_MODEL, PolicyChanges

if TYPE_CHECKING:
    from e2e.stage.scene import Scene


def _tier(scene: Scene, model: str) -> int:
    count: int = scene.stats()["answered"].get(model, 0)
    return count


def test_replicas_follow_demand_and_overflow_bridges_the_start(scene: Scene) -> None:
    scene.build()
    kube.until("policy ready", lambda: scene.condition("Ready").get("status") == "True")
    assert scene.replicas() == 0

    # 2,160 output tokens/s that may stay want two replicas of 1,600 tokens/s.
    scene.send(steady(per_s=12, seconds=75, output_tokens=200, every_nth_high=10))
    kube.until("scale-up", lambda: scene.replicas() >= 2)
    kube.until("overflow while starting", lambda: _tier(scene, FRONTIER_MODEL) > 5)
    kube.until("replicas ready", lambda: len(kube.ready_pods(scene.ns, "app=small")) >= 2)
    assert "ScaledUp" in scene.events()

    kube.until("the small tier answers", lambda: _tier(scene, SMALL_MODEL) > 100)
    before = scene.stats()["answered"]
    kube.until(
        "100 more small answers", lambda: _tier(scene, SMALL_MODEL) > before[SMALL_MODEL] + 100
    )
    after = scene.stats()["answered"]
    small = after[SMALL_MODEL] - before[SMALL_MODEL]
    frontier = after.get(FRONTIER_MODEL, 0) - before.get(FRONTIER_MODEL, 0)
    # Once replicas are ready only the ruled tenth goes to the frontier.
    assert frontier <= 0.16 * (small + frontier), (small, frontier)

    done = kube.until("all calls ended", scene.finished, 120)
    assert (done["failed"], done["failures"]) == (0, {})
    assert sum(done["answered"].values()) == done["sent"] == 900

    # Every answer the app counted, the doubles counted too: none lost, none answered twice.
    assert scene.frontier_stats()["answered"] == done["answered"][FRONTIER_MODEL]

    kube.until("scale-down", lambda: scene.replicas() == 0, 300)
    assert "ScaledDown" in scene.events()


def test_status_and_columns_say_what_happened(scene: Scene) -> None:
    scene.build(PolicyChanges(min_replicas=1))
    scene.send(steady(per_s=4, seconds=20, output_tokens=50, every_nth_high=4))
    kube.until("demand", lambda: scene.status().get("demand", {}).get("workTokensPerSecond"))
    kube.until("a share", lambda: scene.status().get("frontierShare"))
    kube.until("spend", lambda: not scene.status()["spend"]["display"].startswith("0.00"), 60)
    conditions = {c["type"]: c["status"] for c in scene.status()["conditions"]}
    assert conditions == {
        "Ready": "True",
        "SidecarsCurrent": "True",
        "MetricsAvailable": "True",
        "ScalingActive": "True",
        "BudgetAvailable": "True",
    }
    header, line = kube.kubectl("get", "rp", "-n", scene.ns).splitlines()
    assert header.split() == ["NAME", "MODE", "SMALL", "FRONTIER", "SPEND", "STATE", "AGE"]
    assert line.split()[:2] == ["chat", "Enforce"]
    assert line.split()[4].endswith("/500")

    kube.until("all calls ended", scene.finished)
    charged = scene.frontier_stats()["usd"]
    seen = kube.until(
        "Prometheus saw the last answer",
        lambda: next(
            (
                usd
                for series in prometheus.query(
                    f'sum(overspill_spend_usd_total{{policy="{scene.ns}/chat"}})'
                )
                if abs((usd := float(series["value"][1])) - charged) < 1e-6
            ),
            None,
        ),
    )
    assert seen > 0


def test_keys_reach_only_the_sidecar(scene: Scene) -> None:
    scene.build()
    pod = kube.listing("pods", scene.ns, "app=app")[0]
    (container,) = pod["spec"]["containers"]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert env["OPENAI_BASE_URL"] == "http://127.0.0.1:4000/v1"
    assert env["OPENAI_API_KEY"] == APP_KEY
    assert env["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4000"
    assert KEY not in json.dumps(pod)
    assert all("overspill" not in m["name"] for m in container.get("volumeMounts", []))

    scene.send(steady(per_s=5, seconds=2))
    done = kube.until("all calls ended", scene.finished)
    assert (done["failed"], sum(done["answered"].values())) == (0, 10)
    assert "authorization" not in scene.frontier_stats()["last_headers"]


def test_observe_changes_nothing(scene: Scene) -> None:
    scene.build(PolicyChanges(mode="Observe"), small_replicas=1)
    kube.until("small ready", lambda: kube.ready_pods(scene.ns, "app=small"))
    scene.send(steady(per_s=12, seconds=25, output_tokens=200))
    wanted = kube.until(
        "a decision to scale", lambda: scene.status()["lastDecision"]["desired"] >= 2
    )
    assert wanted
    assert scene.condition("ScalingActive")["reason"] == "Observe"
    done = kube.until("all calls ended", scene.finished, 90)
    assert (done["failed"], set(done["answered"])) == (0, {FRONTIER_MODEL})
    assert scene.replicas() == 1
    assert kube.get("deployment", "small", scene.ns)["metadata"]["generation"] == 1
