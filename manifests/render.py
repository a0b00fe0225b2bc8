"""Render `manifests/install.yaml`: the chart with its defaults, for `kubectl apply -f`.

`python manifests/render.py --check` only says whether the file is current.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "manifests" / "install.yaml"
NAMESPACE = "overspill-system"
KUBE_VERSION = "1.29.0"  # the oldest that the chart takes
HEADER = f"""\
# Rendered from charts/overspill by `make manifests`. Set --prometheus-url before you apply it.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels: {{pod-security.kubernetes.io/enforce: restricted}}
"""
VALUES = ("prometheus.url=http://prometheus.monitoring.svc:9090",)


def render() -> str:
    """Return the manifest. Raises: CalledProcessError, FileNotFoundError without helm."""
    helm = os.environ.get("HELM", "helm")
    words = [helm, "template", "overspill", str(ROOT / "charts" / "overspill"), "-n", NAMESPACE]
    words += ["--kube-version", KUBE_VERSION]
    for value in VALUES:
        words += ["--set", value]
    done = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603
    return HEADER + done.stdout


def main(words: list[str]) -> int:
    """Write the file, or check it."""
    fresh = render()
    if "--check" in words:
        return int(not TARGET.exists() or TARGET.read_text() != fresh)
    TARGET.write_text(fresh)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
