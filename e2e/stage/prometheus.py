"""A real Prometheus in the cluster, scraping what a user's would."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml

from e2e.stage import kube
from e2e.stage.manifests import RESTRICTED, deployment, namespace, service

if TYPE_CHECKING:
    from e2e.stage.manifests import Manifest

NS = "monitoring"
IMAGE = os.environ.get("PROMETHEUS_IMAGE", "overspill.test/prometheus:e2e")
MADE = (f"namespace/{NS}", "clusterrole/prometheus", "clusterrolebinding/prometheus")
"""What `uninstall` removes."""
URL = f"http://prometheus.{NS}.svc:9090"

MANIFESTS = Path(__file__).parents[2] / "manifests" / "prometheus"
"""What a user is told to take: the very files are tried here."""


def _config() -> dict[str, str]:
    """Prometheus' own file, and the alerts beside it."""
    config = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"},
        "rule_files": ["alerts.yaml"],
        "scrape_configs": yaml.safe_load((MANIFESTS / "scrape.yaml").read_text()),
    }
    return {
        "prometheus.yml": yaml.safe_dump(config),
        "alerts.yaml": (MANIFESTS / "alerts.yaml").read_text(),
    }


def _role() -> list[Manifest]:
    meta = {"name": "prometheus"}
    reads: Manifest = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    subject = {"kind": "ServiceAccount", "name": "prometheus", "namespace": NS}
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta | {"namespace": NS}},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": meta, "rules": [reads]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "prometheus"},
            "subjects": [subject],
        },
    ]


def _server() -> Manifest:
    container = {
        "image": IMAGE,
        "args": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/data",
            "--storage.tsdb.retention.time=6h",
        ],
        "ports": [{"containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/prometheus"},
            {"name": "data", "mountPath": "/data"},
        ],
    }
    made = deployment("prometheus", NS, container)
    pod = made["spec"]["template"]["spec"]
    pod |= {
        "serviceAccountName": "prometheus",
        "automountServiceAccountToken": True,
        "securityContext": {"fsGroup": 1000},
        "volumes": [
            {"name": "config", "configMap": {"name": "prometheus"}},
            {"name": "data", "emptyDir": {}},
        ],
    }
    return made


def install() -> None:
    """Apply it and wait until it answers."""
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "prometheus", "namespace": NS},
        "data": _config(),
    }
    kube.apply(namespace(NS))
    kube.apply(*_role(), config, _server(), service("prometheus", NS, 9090))
    start()


def uninstall() -> None:
    """Remove it."""
    kube.kubectl("delete", "namespace", NS, "--ignore-not-found", "--wait=false")
    for kind in ("clusterrole", "clusterrolebinding"):
        kube.kubectl("delete", kind, "prometheus", "--ignore-not-found")


def stop() -> None:
    """Take it away; its data goes too."""
    kube.kubectl("scale", "deployment/prometheus", "-n", NS, "--replicas=0")
    kube.until("Prometheus gone", lambda: not kube.listing("pods", NS, "app=prometheus"))


def start() -> None:
    """Bring it (back) and wait until it is ready."""
    kube.kubectl("scale", "deployment/prometheus", "-n", NS, "--replicas=1")
    kube.until("Prometheus ready", lambda: kube.ready_pods(NS, "app=prometheus"))


def query(expr: str) -> list[dict[str, Any]]:
    """Evaluate PromQL now; one dict a series. Raises: KubectlError where it is no PromQL."""
    found: list[dict[str, Any]] = _ask(f"query?query={quote(expr, safe='')}")["result"]
    return found


def rules() -> list[dict[str, Any]]:
    """All alerting rules, each with its health and the alerts it has now."""
    groups = _ask("rules")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _ask(what: str) -> dict[str, Any]:
    pod = kube.until("Prometheus ready", lambda: kube.ready_pods(NS, "app=prometheus"))[0]
    answer = json.loads(kube.http_get(NS, pod, 9090, f"/api/v1/{what}"))
    data: dict[str, Any] = answer["data"]
    return data
