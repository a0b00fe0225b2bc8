"""What the operator learns of replicas, and whom it leaves them to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from e2e.app.asks import steady
from e2e.stage import kube
from e2e.stage.manifests import PolicyChanges, SmallServer

if TYPE_CHECKING:
    from e2e.stage.scene import Scene


def _learned(scene: Scene) -> dict[str, Any]:
    learned: dict[str, Any] = scene.status().get("learned", {})
    return learned


def test_a_wrong_guess_of_capacity_gives_way_to_what_full_replicas_do(scene: Scene) -> None:
    server = SmallServer(max_replicas=1)
    scene.build(PolicyChanges(server=server, min_replicas=1, guess_tokens_per_s=4800))
    kube.until("a start was seen", lambda: _learned(scene).get("startupSamplesSeconds"), 90)
    # Twice the work that one replica can do.
    scene.send(steady(per_s=16, seconds=150, output_tokens=200))
    kube.until(
        "three full windows", lambda: len(_learned(scene)["fullSamplesTokensPerSecond"]) >= 3, 150
    )
    learned = _learned(scene)
    scene.stop()
    assert learned["policy"]["outputTokensPerSecond"] == 4800
    assert learned["outputTokensPerSecond"] == pytest.approx(server.output_tokens_per_s, rel=0.25)


def test_a_target_that_another_autoscaler_scales_is_left_to_it(scene: Scene) -> None:
    scene.build()
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "small"}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "other", "namespace": scene.ns},
        "spec": {"scaleTargetRef": ref, "minReplicas": 1, "maxReplicas": 2},
    }
    kube.apply(autoscaler)
    kube.until(
        "it was seen", lambda: scene.condition("ScalingActive")["reason"] == "AnotherAutoscaler"
    )
    assert "kubectl delete hpa" in scene.condition("ScalingActive")["message"]
    scene.send(steady(per_s=12, seconds=60, output_tokens=200))
    kube.until(
        "demand",
        lambda: scene.stats()["answered"] and sum(scene.stats()["answered"].values()) > 200,
    )
    assert scene.replicas() == 0  # an autoscaler leaves a target at zero alone, and so do we
    kube.kubectl("delete", "hpa/other", "-n", scene.ns)
    kube.until("scale-up", lambda: scene.replicas() >= 1)
    scene.stop()
