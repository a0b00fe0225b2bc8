"""The chart, rendered by the real helm."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from overspill.api import crd, parse_policy
from tests.charts.helm import CHART, ROOT, URL, binary, helm, of_kind, template, template_as


def test_the_charts_crd_is_the_generated_one() -> None:
    made = {"routingpolicies": crd.definition(), "budgetledgers": crd.ledger_definition()}
    for kind, definition in made.items():
        stored = (CHART / "files" / f"overspill.dev_{kind}.yaml").read_text()
        assert stored == crd.render(definition), "run `make crds` and commit the result"
    rendered = of_kind(template(), "CustomResourceDefinition")
    assert [one["spec"] for one in rendered] == [one["spec"] for one in made.values()]
    for one in rendered:
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_manifests_are_the_chart_rendered() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manifests" / "render.py"), "--check"],
        env={**os.environ, "HELM": binary()},
    )
    assert done.returncode == 0, "run `make manifests` and commit the result"


def test_helm_lint_finds_nothing() -> None:
    done = helm("lint", "--strict", str(CHART), "--set", "prometheus.url=http://p:9090")
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_prometheus_the_message_says_what_to_set() -> None:
    done = helm("template", "overspill", str(CHART), "--kube-version", "1.29.0")
    assert done.returncode != 0
    assert "--set prometheus.url=http://" in done.stderr


@pytest.mark.parametrize(
    ("values", "path"),
    [
        pytest.param({"replica": 2}, "replica", id="unknown value"),
        pytest.param({"webhook": {"failurePolicy": "Maybe"}}, "failurePolicy", id="bad enum"),
        pytest.param(
            {"scaleTargets": [{"apiGroups": ["x"], "resources": ["y"]}]},
            "resources",
            id="not a scale subresource",
        ),
        pytest.param({"podLabels": {"team": 7}}, "podLabels/team", id="label is no text"),
        pytest.param(
            {"podLabels": {"app.kubernetes.io/name": "x"}},
            "podLabels",
            id="label that the Deployment finds its pods by",
        ),
        pytest.param({"image": {"tag": "sha256:0a"}}, "image/tag", id="a digest is no tag"),
        pytest.param({"podAnnotations": {"on": True}}, "podAnnotations/on", id="annotation"),
        pytest.param({"nodeSelector": {"gpu": True}}, "nodeSelector/gpu", id="node label"),
        pytest.param({"imagePullSecrets": ["regcred"]}, "imagePullSecrets/0", id="only a name"),
        pytest.param({"tolerations": ["gpu"]}, "tolerations/0", id="toleration"),
        pytest.param(
            {"image": {"repository": "registry:5000/overspill:0.1.0"}},
            "image/repository",
            id="tag in the repository",
        ),
        pytest.param(
            {"operator": {"namespaces": ["a", "a"]}}, "operator/namespaces", id="namespace twice"
        ),
        pytest.param(
            {"operator": {"namespaces": ["A b"]}}, "operator/namespaces/0", id="no namespace"
        ),
        pytest.param(
            {"sidecar": {"resources": {"limits": {"memory": "256MB"}}}},
            "sidecar/resources/limits/memory",
            id="no quantity: every app pod would be refused",
        ),
        pytest.param(
            {"sidecar": {"resources": {"memory": "256Mi"}}},
            "sidecar/resources",
            id="neither limit nor request",
        ),
        pytest.param({"sidecar": {"env": {"1 A": "x"}}}, "sidecar/env", id="no variable's name"),
        pytest.param(
            {"prometheus": {"url": "http://p", "podMonitor": {"interval": "fast"}}},
            "podMonitor/interval",
            id="no duration",
        ),
    ],
)
def test_bad_values_are_refused(values: dict[str, Any], path: str) -> None:
    with pytest.raises(AssertionError, match=path):
        template(**values)


@pytest.mark.parametrize(
    ("resources", "field"),
    [
        pytest.param({"limits": {"memory": "256Mi", "cpu": 1}}, "limits", id="whole cores"),
        pytest.param({"requests": {"cpu": 0.5, "memory": "1e8"}}, "requests", id="decimals"),
        pytest.param({"limits": {"nvidia.com/gpu": "1"}}, "limits", id="a device"),
    ],
)
def test_quantities_are_taken_as_kubernetes_writes_them(
    resources: dict[str, Any], field: str
) -> None:
    given = _flag(template(sidecar={"resources": resources}), "sidecar-resources")[field]
    assert given | resources[field] == given


def test_without_resources_sidecars_have_none_instead_of_an_operator_that_does_not_start() -> None:
    """`null` is how Helm is told to forget a default."""
    assert _flag(template(sidecar={"resources": None}), "sidecar-resources") == {}


def test_an_image_may_be_pinned_by_digest() -> None:
    tag = f"0.1.0@sha256:{'0a' * 32}"
    (deployment,) = of_kind(template(image={"tag": tag}), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"overspill/overspill:{tag}"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("team: search", id="colon and space: else a map"),
        pytest.param("a #1", id="hash: else a comment"),
        pytest.param('she said "{{ x }}"\n', id="quotes, braces, line end"),
    ],
)
def test_sidecars_get_their_environment_as_it_is_written(value: str) -> None:
    documents = template(sidecar={"env": {"OTEL_RESOURCE_ATTRIBUTES": value}})
    assert _flag(documents, "sidecar-env") == {"OTEL_RESOURCE_ATTRIBUTES": value}


def _flag(documents: list[dict[str, Any]], name: str) -> Any:  # noqa: ANN401 - any JSON value
    (deployment,) = of_kind(documents, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (given,) = [word for word in container["args"] if word.startswith(f"--{name}=")]
    return json.loads(given.partition("=")[2])


@pytest.mark.parametrize(
    ("release", "name"),
    [
        pytest.param("overspill", "overspill", id="plain"),
        pytest.param("2nd.try", "overspill-2nd-try", id="a digit first, a dot"),
        pytest.param("a" * 49 + "." + "b" * 3, "a" * 49, id="too long, cut at a dot"),
    ],
)
def test_any_release_has_a_service_that_kubernetes_takes(release: str, name: str) -> None:
    documents = template_as(release, "overspill-system")
    (service,) = of_kind(documents, "Service")
    assert service["metadata"]["name"] == f"{name}-webhook"
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", service["metadata"]["name"])
    (deployment,) = of_kind(documents, "Deployment")
    assert f"--webhook-service={name}-webhook" in str(deployment)
    assert service["spec"]["selector"]["app.kubernetes.io/instance"] == release


@pytest.mark.parametrize("namespace", ["no", "123", "on"])
def test_namespaces_that_look_like_something_else_stay_text(namespace: str) -> None:
    documents = template_as(
        "overspill",
        namespace,
        operator={"namespaces": [namespace]},
        prometheus={
            **URL["prometheus"],
            "podMonitor": {"enabled": True},
            "rules": {"enabled": True},
        },
        grafana={"dashboard": {"enabled": True}},
    )
    named = [d["metadata"]["namespace"] for d in documents if "namespace" in d["metadata"]]
    named += [s["namespace"] for d in documents for s in d.get("subjects", ())]
    named += [
        webhook["clientConfig"]["service"]["namespace"]
        for document in documents
        for webhook in document.get("webhooks", ())
    ]
    assert set(named) == {namespace}


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        pytest.param({}, {"PodDisruptionBudget": 0, "PodMonitor": 0, "ClusterRole": 5}, id="plain"),
        pytest.param({"replicas": 2}, {"PodDisruptionBudget": 1}, id="two replicas"),
        pytest.param(
            {"prometheus": {"url": "http://p", "podMonitor": {"enabled": True}}},
            {"PodMonitor": 2},
            id="pod monitors",
        ),
        pytest.param(
            {"operator": {"namespaces": ["a", "b"]}},
            {"Role": 3, "RoleBinding": 3, "ClusterRole": 4},
            id="two namespaces: roles in them, none over the cluster",
        ),
        pytest.param({"crds": {"install": False}}, {"CustomResourceDefinition": 0}, id="no CRD"),
    ],
)
def test_values_make_the_objects_they_promise(
    values: dict[str, Any], kinds: dict[str, int]
) -> None:
    documents = template(**values)
    assert {kind: len(of_kind(documents, kind)) for kind in kinds} == kinds


def test_no_right_is_wider_than_it_says() -> None:
    for role in of_kind(template(), "ClusterRole") + of_kind(template(), "Role"):
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"], role
            if "secrets" in rule["resources"]:
                assert role["kind"] == "Role"
                assert rule["verbs"] == ["create"] or rule["resourceNames"] == [
                    "overspill-webhook-tls"
                ]


@pytest.mark.parametrize(
    ("namespaces", "kind", "nodes"),
    [
        pytest.param([], "ClusterRole", 1, id="over the cluster"),
        pytest.param(["a"], "Role", 0, id="in one namespace: nodes are in none"),
    ],
)
def test_other_autoscalers_and_nodes_may_be_read_and_no_more(
    namespaces: list[str], kind: str, nodes: int
) -> None:
    roles = of_kind(template(operator={"namespaces": namespaces}), kind)
    rules = [rule for role in roles for rule in role["rules"]]
    verbs = {
        resource: [rule["verbs"] for rule in rules if resource in rule["resources"]]
        for resource in ("horizontalpodautoscalers", "nodes")
    }
    assert verbs == {"horizontalpodautoscalers": [["list"]], "nodes": [["get"]] * nodes}


def test_webhooks_hold_up_no_namespace_that_is_not_served() -> None:
    values = {"operator": {"namespaces": ["a"]}, "webhook": {"failurePolicy": "Fail"}}
    documents = template(**values)
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        (made,) = of_kind(documents, kind)
        (webhook,) = made["webhooks"]
        names = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a"]}
        assert names in webhook["namespaceSelector"]["matchExpressions"]


def test_trials_can_be_kept_listed_and_let_go() -> None:
    rules = [rule for role in of_kind(template(), "ClusterRole") for rule in role["rules"]]
    (verbs,) = [rule["verbs"] for rule in rules if rule["resources"] == ["configmaps"]]
    assert verbs == ["get", "list", "create", "update", "patch", "delete"]


def test_pods_are_restricted() -> None:
    (deployment,) = of_kind(template(), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_service_links_do_not_overwrite_our_settings() -> None:
    (deployment,) = of_kind(template(), "Deployment")
    assert deployment["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_the_operator_understands_the_arguments_it_is_given() -> None:
    (deployment,) = of_kind(template(operator={"namespaces": ["a"]}), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    command, *words = container["args"]
    done = subprocess.run(
        [sys.executable, "-m", "overspill", command, *words, "--help"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    known = {word for word in done.stdout.replace(",", " ").split() if word.startswith("--")}
    assert {word.split("=")[0] for word in words} <= known


def test_examples_are_policies_that_are_accepted() -> None:
    examples = sorted((ROOT / "manifests" / "examples").glob("*.yaml"))
    assert examples
    for example in examples:
        document = yaml.safe_load(example.read_text())
        assert (document["apiVersion"], document["kind"]) == (
            "overspill.dev/v1alpha1",
            "RoutingPolicy",
        )
        parse_policy(document["spec"])
