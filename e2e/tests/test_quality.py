"""Who needs the frontier by a learned score, and what that score hangs on."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

from e2e.app.asks import Ask, steady
from e2e.stage import kube, overspill
from e2e.stage.manifests import FRONTIER_MODEL, SMALL_MODEL, PolicyChanges

if TYPE_CHECKING:
    from e2e.stage.scene import Scene

SHARE = 0.3
FLOOR, SAFE = "0.7", 0.8


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


def test_a_floor_of_quality_is_proven_by_trials_and_then_spares_the_frontier(scene: Scene) -> None:
    """Of three requests the small model does two as well as the frontier: by their words it is
    told which. The floor asks for seven of ten.
    """
    routing = {
        "complexity": {"qualityFloor": FLOOR, "confidence": "0.9"},
        "trials": {"sampleRate": "0.5", "graders": ["Match"]},
    }
    scene.build(PolicyChanges(min_replicas=0, routing=routing), small_replicas=0)
    kube.until(
        "sidecars current", lambda: scene.condition("SidecarsCurrent").get("status") == "True"
    )
    scene.send(_mixed(per_s=6, seconds=600))
    kube.until("a replica for trials", lambda: scene.replicas() == 1, 60)
    assert scene.status()["quality"]["careful"]
    assert scene.condition("QualityKept").get("status") == "Unknown"
    assert _answered(scene, SMALL_MODEL) == 0

    kube.until("a plan", lambda: not scene.status()["quality"]["careful"], 150)
    kube.until("requests that spare the frontier", lambda: _answered(scene, SMALL_MODEL) > 50, 90)
    kube.until("the floor proven", lambda: _low(scene) >= float(FLOOR), 90)
    kube.until("it said", lambda: scene.condition("QualityKept").get("status") == "True", 60)
    kube.until("an event", lambda: "PromiseKept" in scene.events())

    # A trial that turns out badly may end the promise by chance. From here on there is none.
    scene.stop()
    scene.send(replace(ask, says="yes") for ask in steady(per_s=6, seconds=600, output_tokens=20))
    kube.until("a bank that bears what is still told", lambda: _low(scene) >= SAFE, 180)
    known = scene.status()["quality"]
    assert not known["careful"], known
    leader = kube.until("a leader", overspill.leader)
    kube.kubectl("delete", "pod", leader, "-n", overspill.NS, "--wait=false")
    kube.until("another leader", lambda: overspill.leader() not in {None, leader}, 60)
    told = kube.until(
        "trials that the next leader read",
        lambda: (found := scene.status()["quality"])["trials"] > known["trials"] and found,
        120,
    )
    assert not told["careful"], told
    scene.stop()
    done = kube.until("all calls ended", scene.finished)
    assert (done["failed"], done["failures"]) == (0, {})


def _mixed(*, per_s: float, seconds: float) -> list[Ask]:
    """Two of three are such as the small model answers like the frontier."""
    asks = steady(per_s=per_s, seconds=seconds, output_tokens=20)
    return [replace(ask, says="" if n % 3 == 0 else "yes") for n, ask in enumerate(asks)]


def _low(scene: Scene) -> float:
    """What is proven of the quality; 0 while nothing is known."""
    return float(scene.status()["quality"].get("low") or 0.0)


def _answered(scene: Scene, model: str) -> int:
    found: int = scene.stats()["answered"].get(model, 0)
    return found
