"""The real helm, as `make unit` provides it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster import paths

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "overspill"
URL = {"prometheus": {"url": "http://prometheus:9090"}}


def binary() -> str:
    """Where helm is. Raises: FileNotFoundError saying how to get it."""
    cached = paths.binary("helm")
    found = os.environ.get("HELM") or (str(cached) if cached.exists() else shutil.which("helm"))
    if not found:
        raise FileNotFoundError("helm is missing; run `python -m e2e.cluster build --only helm`")
    return found


def helm(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run helm."""
    return subprocess.run([binary(), *words], input=stdin, capture_output=True, text=True)


def template(**values: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any chart value
    """Render the chart with these values and a Prometheus URL."""
    return template_as("overspill", "overspill-system", **values)


def template_as(
    release: str,
    namespace: str,
    **values: Any,  # noqa: ANN401 - any chart value
) -> list[dict[str, Any]]:
    """Render it as the release of this name in this namespace."""
    merged = json.dumps({**URL, **values})
    words = ("-n", namespace, "--kube-version", "1.29.0", "-f", "-")
    done = helm("template", release, str(CHART), *words, stdin=merged)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of one kind."""
    return [document for document in documents if document["kind"] == kind]
