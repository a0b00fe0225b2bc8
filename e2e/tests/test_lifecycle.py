"""Policies come, change and go; nothing is left behind and nothing good is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from e2e.app.asks import steady
from e2e.stage import kube, manifests, overspill
from e2e.stage.manifests import SMALL_MODEL, PolicyChanges

if TYPE_CHECKING:
    from e2e.stage.scene import Scene

CONFIG_MAP = "overspill-chat"


def _config(scene: Scene) -> dict[str, Any]:
    data = kube.get("configmap", CONFIG_MAP, scene.ns)["data"]["policy.json"]
    config: dict[str, Any] = json.loads(data)
    return config


def test_deleting_the_policy_leaves_no_trace(scene: Scene) -> None:
    scene.build(small_replicas=1)
    kube.until("config published", lambda: kube.exists("configmap", CONFIG_MAP, scene.ns))
    kube.until(
        "pods stamped",
        lambda: (
            "overspill.dev/config-revision"
            in kube.listing("pods", scene.ns, "app=app")[0]["metadata"].get("annotations", {})
        ),
    )
    assert "finalizers" not in scene.policy()["metadata"]

    kube.kubectl("delete", "rp", "chat", "-n", scene.ns, "--timeout=10s")
    kube.until("config gone", lambda: not kube.exists("configmap", CONFIG_MAP, scene.ns))
    kube.until(
        "stamps gone",
        lambda: (
            "overspill.dev"
            not in json.dumps(
                kube.listing("pods", scene.ns, "app=app")[0]["metadata"].get("annotations", {})
            )
        ),
    )
    # The running sidecar goes on: the app's base URL still points at it.
    scene.send(steady(per_s=5, seconds=2))
    done = kube.until("all calls ended", scene.finished)
    assert (done["failed"], sum(done["answered"].values())) == (0, 10)
    # The next pod is the app's own again.
    kube.kubectl("rollout", "restart", "deployment/app", "-n", scene.ns)
    kube.kubectl("rollout", "status", "deployment/app", "-n", scene.ns, "--timeout=60s")
    kube.until("old pod gone", lambda: len(kube.listing("pods", scene.ns, "app=app")) == 1)
    fresh = kube.listing("pods", scene.ns, "app=app")
    spec = fresh[0]["spec"]
    assert "initContainers" not in spec
    assert [env["name"] for env in spec["containers"][0]["env"]] == ["OPENAI_API_KEY"]
    assert "overspill.dev" not in json.dumps(fresh[0]["metadata"])


def test_a_namespace_is_never_held_while_the_operator_is_away(scene: Scene) -> None:
    scene.build()
    kube.until("config published", lambda: kube.exists("configmap", CONFIG_MAP, scene.ns))
    overspill.scale(0)
    try:
        kube.kubectl("delete", "namespace", scene.ns, "--timeout=60s")
        assert not kube.exists("namespace", scene.ns)
    finally:
        overspill.scale(2)


REFUSED = [
    pytest.param(
        {"small": {"replicas": {"min": 9}}},
        ["spec.small.replicas", "min exceeds max; lower min or raise max"],
        id="CEL in the schema",
    ),
    pytest.param(
        {"small": {"replicaHourlyCost": "2,49"}},
        ["spec.small.replicaHourlyCost", '"2,49"', 'must be a plain decimal string such as "2.49"'],
        id="text in the schema",
    ),
    pytest.param(
        {"small": {"replicaHourlyCost": 2.49}},
        ["spec.small.replicaHourlyCost", "string"],
        id="type in the schema",
    ),
    pytest.param(
        {"budget": {"timeZone": "Mars/Olympus"}},
        ["spec.budget.timeZone", "IANA time zone", "'Mars/Olympus'"],
        id="the webhook's own check",
    ),
    pytest.param({"colour": "red"}, ["unknown field", "colour"], id="unknown field"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED)
def test_a_bad_policy_is_refused_with_a_clear_message(
    change: dict[str, Any], said: list[str]
) -> None:
    bad = manifests.policy("default")
    _merge(bad["spec"], change)
    with pytest.raises(kube.KubectlError) as refusal:
        kube.kubectl("create", "-f", "-", stdin=json.dumps(bad))
    assert [part for part in said if part not in str(refusal.value)] == [], str(refusal.value)
    assert not kube.exists("rp", "chat")


def _merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def test_a_later_bad_edit_keeps_the_last_good_configuration(scene: Scene) -> None:
    scene.build()
    kube.until("policy ready", lambda: scene.condition("Ready").get("status") == "True")
    good = _config(scene)

    overspill.scale(0)  # nobody is there to refuse it
    patch = json.dumps({"spec": {"mode": "Observe", "budget": {"timeZone": "Mars/Olympus"}}})
    kube.kubectl("patch", "rp", "chat", "-n", scene.ns, "--type=merge", "-p", patch)
    overspill.scale(2)

    kube.until("refused in status", lambda: scene.condition("Ready").get("status") == "False", 90)
    assert scene.condition("Ready")["reason"] == "InvalidPolicy"
    assert "spec.budget.timeZone" in scene.condition("Ready")["message"]
    assert _config(scene) == good

    patch = json.dumps({"spec": {"budget": {"timeZone": "UTC"}}})
    kube.kubectl("patch", "rp", "chat", "-n", scene.ns, "--type=merge", "-p", patch)
    kube.until("good again", lambda: scene.condition("Ready").get("status") == "True")
    kube.until("published", lambda: _config(scene)["mode"] == "Observe")


def test_an_edit_reaches_the_running_sidecar(scene: Scene) -> None:
    scene.build(PolicyChanges(min_replicas=1))
    kube.until("small ready", lambda: kube.ready_pods(scene.ns, "app=small"))
    kube.until("endpoint published", lambda: _config(scene)["small"]["endpoints"])
    rules = [
        {
            "name": "everything",
            "when": {"model": "gpt-4o"},
            "tier": "Frontier",
        }
    ]
    patch = json.dumps({"spec": {"routing": {"rules": rules}}})
    kube.kubectl("patch", "rp", "chat", "-n", scene.ns, "--type=merge", "-p", patch)
    generation = scene.policy()["metadata"]["generation"]
    assert generation == 2
    kube.until(
        "the sidecar runs it",
        lambda: (
            scene.condition("SidecarsCurrent").get("status") == "True"
            and scene.condition("SidecarsCurrent").get("observedGeneration") == generation
        ),
    )
    scene.send(steady(per_s=5, seconds=2))
    done = kube.until("all calls ended", scene.finished)
    assert (done["failed"], done["answered"].get(SMALL_MODEL, 0)) == (0, 0)
