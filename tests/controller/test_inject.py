"""Injection as a table on pods: what comes in, what is changed about it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from overspill.controller.inject import inject, sidecar_container
from overspill.controller.settings import SidecarSettings
from tests.api.policies import policy

SETTINGS = SidecarSettings(image="overspill:1", resources={"limits": {"memory": "256Mi"}})


def a_policy(name: str = "contracts", created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"metadata": {"name": name, "creationTimestamp": created}, "spec": policy()}


def a_pod(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - any pod
    return {
        "metadata": {"labels": {"app": "contracts-api"}},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]} | spec,
    }


def applied(pod: dict[str, Any], *policies: dict[str, Any]) -> dict[str, Any]:
    """Apply the JSON patch, whose operations all are `add`."""
    result = deepcopy(pod)
    for operation in inject(pod, policies or (a_policy(),), SETTINGS).operations:
        assert operation["op"] == "add"
        *parents, last = operation["path"].strip("/").split("/")
        node: Any = result
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node[part]
        if isinstance(node, list):
            node.insert(len(node) if last == "-" else int(last), operation["value"])
        else:
            node[last] = operation["value"]
    return result


def env_of(pod: dict[str, Any], container: int = 0) -> dict[str, str]:
    return {v["name"]: v.get("value", "?") for v in pod["spec"]["containers"][container]["env"]}


OURS = {
    "OPENAI_BASE_URL": "http://127.0.0.1:4000/v1",
    "OPENAI_API_KEY": "overspill",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:4000",
    "ANTHROPIC_API_KEY": "overspill",
}


def test_the_sidecar_is_native_first_and_unprivileged() -> None:
    pod = applied(a_pod(initContainers=[{"name": "migrate"}]))
    sidecar, migrate = pod["spec"]["initContainers"]
    assert migrate == {"name": "migrate"}
    assert sidecar["name"] == "overspill-sidecar"
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["args"] == ["sidecar", "--config", "/etc/overspill/policy.json"]
    assert sidecar["startupProbe"]["httpGet"] == {"path": "/healthz", "port": 4001}
    assert sidecar["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 4001}
    security = sidecar["securityContext"]
    assert security["runAsNonRoot"]
    assert security["readOnlyRootFilesystem"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not security["allowPrivilegeEscalation"]


def test_the_sidecar_gets_the_environment_that_was_asked_for() -> None:
    settings = SidecarSettings(image="i", env={"OVERSPILL_SIDECAR_ACCESS_LOG": "true"})
    assert sidecar_container(settings)["env"] == [
        {"name": "OVERSPILL_SIDECAR_ACCESS_LOG", "value": "true"}
    ]


def test_only_the_sidecar_mounts_configuration_and_keys() -> None:
    pod = applied(a_pod(volumes=[{"name": "data"}]))
    data, volume = pod["spec"]["volumes"]
    config, token, secret = volume["projected"]["sources"]
    assert token["serviceAccountToken"]["audience"] == "overspill"
    assert (data, volume["projected"]["defaultMode"]) == ({"name": "data"}, 0o444)
    assert config["configMap"]["name"] == "overspill-contracts"
    assert config["configMap"]["optional"]
    assert secret["secret"] == {
        "name": "anthropic",
        "optional": True,
        "items": [{"key": "api-key", "path": "credentials/opus"}],
    }
    assert "volumeMounts" not in pod["spec"]["containers"][0]
    [mount] = pod["spec"]["initContainers"][0]["volumeMounts"]
    assert mount == {"name": "overspill", "mountPath": "/etc/overspill", "readOnly": True}


def test_the_pod_is_labelled_and_keeps_its_labels() -> None:
    labels = applied(a_pod())["metadata"]["labels"]
    assert labels == {"app": "contracts-api", "overspill.dev/policy": "contracts"}


ENVIRONMENTS = [
    pytest.param([], OURS, 0, id="nothing set"),
    pytest.param([{"name": "PORT", "value": "80"}], OURS | {"PORT": "80"}, 0, id="others stay"),
    pytest.param(
        [{"name": "OPENAI_API_KEY", "valueFrom": {}}],
        OURS | {"OPENAI_API_KEY": "?"},
        0,
        id="the app's own key stays",
    ),
    pytest.param(
        [{"name": "OPENAI_BASE_URL", "value": "https://elsewhere"}],
        {
            "OPENAI_BASE_URL": "https://elsewhere",
            "ANTHROPIC_BASE_URL": OURS["ANTHROPIC_BASE_URL"],
            "ANTHROPIC_API_KEY": "overspill",
        },
        1,
        id="an explicit base URL is respected, and told",
    ),
    pytest.param(
        [{"name": "OPENAI_BASE_URL", "value": OURS["OPENAI_BASE_URL"]}],
        {k: v for k, v in OURS.items() if k != "OPENAI_API_KEY"},
        0,
        id="pointed at the sidecar already",
    ),
]


@pytest.mark.parametrize(("env", "after", "warnings"), ENVIRONMENTS)
def test_the_app_learns_where_to_call(
    env: list[dict[str, Any]], after: dict[str, str], warnings: int
) -> None:
    pod = a_pod(containers=[{"name": "app", "env": env}])
    assert env_of(applied(pod)) == after
    assert len(inject(pod, [a_policy()], SETTINGS).warnings) == warnings


def test_every_app_container_learns_it() -> None:
    pod = applied(a_pod(containers=[{"name": "app"}, {"name": "worker"}]))
    assert env_of(pod, 0) == env_of(pod, 1) == OURS


LEFT_ALONE = [
    pytest.param({"metadata": {"labels": {"app": "other"}}}, id="another app"),
    pytest.param({"metadata": {}}, id="no labels"),
    pytest.param(
        {
            "metadata": {
                "labels": {"app": "contracts-api"},
                "annotations": {"overspill.dev/inject": "false"},
            }
        },
        id="opted out",
    ),
    pytest.param({"spec": {"hostNetwork": True, "containers": []}}, id="host network"),
]


@pytest.mark.parametrize("change", LEFT_ALONE)
def test_a_pod_is_left_alone(change: dict[str, Any]) -> None:
    assert inject(a_pod() | change, [a_policy()], SETTINGS).operations == ()


def test_host_network_is_told() -> None:
    [warning] = inject(a_pod(hostNetwork=True), [a_policy()], SETTINGS).warnings
    assert "host's network" in warning


def test_injection_is_idempotent() -> None:
    once = applied(a_pod())
    assert applied(once) == once


def test_the_oldest_policy_counts_and_the_others_are_told() -> None:
    policies = [
        a_policy("young", "2026-05-01T00:00:00Z"),
        a_policy("b-old", "2026-01-01T00:00:00Z"),
        a_policy("a-old", "2026-01-01T00:00:00Z"),
    ]
    assert applied(a_pod(), *policies)["metadata"]["labels"]["overspill.dev/policy"] == "a-old"
    [warning] = inject(a_pod(), policies, SETTINGS).warnings
    assert "b-old, young" in warning


def test_a_policy_refused_for_something_else_still_injects() -> None:
    broken = a_policy()
    broken["spec"]["budget"]["timeZone"] = "Mars/Olympus"
    assert inject(a_pod(), [broken], SETTINGS).operations != ()


def test_a_name_too_long_for_a_label_is_told() -> None:
    answer = inject(a_pod(), [a_policy("x" * 64)], SETTINGS)
    assert answer.operations == ()
    assert "63 characters" in answer.warnings[0]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"credentials": {"secretName": "my secret", "key": "k"}}, id="Secret"),
        pytest.param({"credentials": {"secretName": "anthropic", "key": "../k"}}, id="key"),
        pytest.param({"name": "../opus"}, id="provider"),
    ],
)
def test_a_policy_with_names_that_cannot_be_keeps_no_pod_from_starting(
    change: dict[str, Any],
) -> None:
    """The API server would refuse a pod with such a volume; the policy says what is wrong."""
    bad = a_policy()
    bad["spec"]["frontier"][0] |= change
    (volume,) = [
        operation["value"][0]
        for operation in inject(a_pod(), [bad], SETTINGS).operations
        if operation["path"] == "/spec/volumes"
    ]
    assert [list(source) for source in volume["projected"]["sources"]] == [
        ["configMap"],
        ["serviceAccountToken"],
    ]
