"""What the design's failure table promises when a part is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.app.asks import steady
from e2e.stage import kube, overspill, prometheus
from e2e.stage.manifests import FRONTIER_MODEL

if TYPE_CHECKING:
    from e2e.stage.scene import Scene


def test_killing_the_operator_loses_no_decision_state(scene: Scene) -> None:
    scene.build()
    scene.send(steady(per_s=12, seconds=100, output_tokens=200))
    kube.until("scale-up", lambda: scene.replicas() >= 2)
    kube.until("replicas ready", lambda: len(kube.ready_pods(scene.ns, "app=small")) >= 2)
    kube.until(
        "state kept", lambda: scene.status().get("scalingState", {}).get("replicasOn", 0) >= 2
    )
    first = kube.until("a leader", overspill.leader)
    kept, made = scene.replicas(), scene.status()["lastDecision"]["time"]

    kube.kubectl("delete", "pod", first, "-n", overspill.NS, "--grace-period=0", "--force")
    second = kube.until(
        "another leader", lambda: (who := overspill.leader()) not in {None, first} and who, 60
    )
    assert second != first
    kube.until("a new decision", lambda: scene.status()["lastDecision"]["time"] > made, 60)
    # It goes on from what was kept: nothing was stopped or started for having forgotten.
    assert scene.status()["scalingState"]["replicasOn"] >= 2
    assert scene.replicas() >= min(2, kept)
    assert scene.events().count("ScaledDown") == 0

    done = kube.until("all calls ended", scene.finished, 120)
    assert done["failed"] == 0, done["failures"]


def test_prometheus_gone_holds_the_replicas_and_says_so(scene: Scene) -> None:
    scene.build()
    scene.send(steady(per_s=12, seconds=100, output_tokens=200))
    kube.until("scale-up", lambda: scene.replicas() >= 2)
    kube.until("replicas ready", lambda: len(kube.ready_pods(scene.ns, "app=small")) >= 2)
    prometheus.stop()
    try:
        kube.until(
            "metrics missed",
            lambda: scene.condition("MetricsAvailable").get("status") == "False",
        )
        held = scene.replicas()
        scene.stop()  # demand is gone, but nobody can know
        kube.until("all calls ended", scene.finished)
        assert scene.status()["lastDecision"]["reason"] == "DemandUnknown"
        assert scene.replicas() == held >= 2
    finally:
        prometheus.start()
    kube.until("metrics back", lambda: scene.condition("MetricsAvailable").get("status") == "True")
    kube.until("scale-down", lambda: scene.replicas() == 0, 300)


def test_a_dead_small_replica_costs_no_answer(scene: Scene) -> None:
    scene.build()
    scene.send(steady(per_s=8, seconds=45, output_tokens=100))
    kube.until("replicas ready", lambda: kube.ready_pods(scene.ns, "app=small"))
    kube.until("small answers", lambda: scene.stats()["answered"].get("glm-small", 0) > 20)
    victim = kube.ready_pods(scene.ns, "app=small")[0]
    kube.kubectl("delete", "pod", victim, "-n", scene.ns, "--grace-period=0", "--force")
    done = kube.until("all calls ended", scene.finished, 90)
    # Answers whose first byte was out when it died are failures, and are told as such.
    assert sum(done["answered"].values()) + done["failed"] == done["sent"]
    assert done["failed"] <= 16, done["failures"]


def test_a_missing_target_is_a_condition_and_the_frontier_answers(scene: Scene) -> None:
    scene.build()
    kube.kubectl("delete", "deployment/small", "-n", scene.ns)
    kube.until(
        "target missed", lambda: scene.condition("ScalingActive").get("reason") == "TargetNotFound"
    )
    assert "small" in scene.condition("ScalingActive")["message"]
    scene.send(steady(per_s=5, seconds=2))
    done = kube.until("all calls ended", scene.finished)
    assert (done["failed"], set(done["answered"])) == (0, {FRONTIER_MODEL})
