"""Overspill itself, installed as a user installs it: `helm install`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from e2e.stage import kube, prometheus

NS = "overspill-system"
RELEASE = "overspill"
ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "overspill"
IMAGE, _, TAG = os.environ.get("IMAGE", "overspill.test/overspill:e2e").rpartition(":")
CRDS = ("routingpolicies.overspill.dev", "budgetledgers.overspill.dev")
MADE = (f"namespace/{NS}", *(f"crd/{name}" for name in CRDS))
"""What `uninstall` removes beside the release."""
APP = f"app.kubernetes.io/instance={RELEASE}"

VALUES: dict[str, Any] = {
    "image": {"repository": IMAGE, "tag": TAG, "pullPolicy": "IfNotPresent"},
    "replicas": 2,
    "prometheus": {"url": prometheus.URL},
    "grafana": {"dashboard": {"enabled": True}},
    # The defaults suit a Prometheus that scrapes every 15 s; this one scrapes every 2 s.
    "operator": {"intervalSeconds": 2, "metricsWindowSeconds": 10, "staleAfterSeconds": 10},
}


def helm(*words: str, stdin: str | None = None) -> str:
    """Run helm and return what it printed."""
    done = subprocess.run(
        ["helm", *words], input=stdin, capture_output=True, text=True, timeout=180
    )
    if done.returncode:
        raise RuntimeError(f"helm {' '.join(words[:4])}: {done.stderr.strip()}")
    return done.stdout


def install() -> None:
    """`helm upgrade --install` and wait until both replicas are ready."""
    words = ("--install", RELEASE, str(CHART), "-n", NS, "--create-namespace", "--wait")
    helm("upgrade", *words, "--timeout", "120s", "-f", "-", stdin=json.dumps(VALUES))


def uninstall() -> None:
    """`helm uninstall`, and what it keeps: the CRDs and the namespace."""
    helm("uninstall", RELEASE, "-n", NS, "--ignore-not-found", "--wait")
    kube.kubectl("delete", "crd", *CRDS, "--ignore-not-found")
    kube.kubectl("delete", "namespace", NS, "--ignore-not-found", "--wait=false")


def pods() -> list[str]:
    """Ready operator pods."""
    return kube.ready_pods(NS, APP)


def leader() -> str | None:
    """The pod that holds the Lease."""
    for lease in kube.listing("leases", NS):
        holder: str = lease["spec"].get("holderIdentity") or ""
        found = [pod for pod in pods() if pod in holder]
        if found:
            return found[0]
    return None


def scale(replicas: int) -> None:
    """Run this many operator pods, and wait until it is so."""
    kube.kubectl("scale", f"deployment/{RELEASE}", "-n", NS, f"--replicas={replicas}")
    kube.until(
        f"{replicas} operator pods",
        lambda: len(kube.listing("pods", NS, APP)) == replicas and len(pods()) == replicas,
        90,
    )
