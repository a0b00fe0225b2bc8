"""Who needs the frontier by a learned score, and what that score hangs on."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

from e2e.app.asks import steady
from e2e.stage import kube
from e2e.stage.manifests import FRONTIER_MODEL, PolicyChanges

if TYPE_CHECKING:
    from e2e.stage.scene import Scene

SHARE = 0.3


def test_a_score_of_ones_own_sends_its_share_to_the_frontier(scene: Scene) -> None:
    score = (files("overspill.routing") / "prior.json").read_text()
    routing = {
        "complexity": {"frontierShare": str(SHARE), "score": {"configMapName": "mine"}},
        "cascade": {"verify": ["Refusal", "Truncation", "JSONSchema", "ToolCalls"]},
        "context": {"maxInputTokens": 4000},
    }
    scene.build(PolicyChanges(min_replicas=1, routing=routing), small_replicas=1)
    kube.until(
        "the score missed", lambda: scene.condition("Ready").get("reason") == "ScoreNotFound"
    )
    assert "kubectl create configmap" in scene.condition("Ready")["message"]

    mine = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mine", "namespace": scene.ns},
        "data": {"score.json": score},
    }
    kube.apply(mine)
    kube.until("the score found", lambda: scene.condition("Ready").get("status") == "True")
    kube.until("a replica", lambda: kube.ready_pods(scene.ns, "app=small"))
    kube.until(
        "sidecars current", lambda: scene.condition("SidecarsCurrent").get("status") == "True"
    )
    asks = steady(per_s=4, seconds=30, output_tokens=20)
    scene.send(replace(ask, input_tokens=50 + 7 * n) for n, ask in enumerate(asks))
    done = kube.until("all calls ended", scene.finished, 90)
    assert (done["failed"], done["failures"]) == (0, {})
    share = done["answered"][FRONTIER_MODEL] / done["sent"]
    assert SHARE - 0.15 <= share <= SHARE + 0.15, done["answered"]
