"""Fake nodes: kwok plays their kubelets, for numbers that no single machine can hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from e2e.cluster import build, paths, versions

if TYPE_CHECKING:
    from pathlib import Path

ANNOTATION = "kwok.x-k8s.io/node"
_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
_ROOM = {"cpu": "64", "memory": "512Gi", "pods": "250", "nvidia.com/gpu": "8"}


def node(number: int) -> dict[str, object]:
    """A fake node with 8 GPUs that takes only pods which tolerate it."""
    name = f"kwok-{number}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake"},
            "labels": {
                "type": "kwok",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": build.arch(),
            },
        },
        "spec": {"taints": [{"key": ANNOTATION, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": _ROOM, "capacity": _ROOM},
    }


def nodes(count: int) -> str:
    """A List of fake nodes, to apply."""
    items = [node(number) for number in range(count)]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def stages() -> Path:
    """How fake nodes and pods live: without these kwok leaves them as they are."""
    chosen = versions.module_set("kwok")
    out = paths.cache() / "kwok" / f"stages-{chosen.version}.yaml"
    if not out.exists():
        source = build.module_folder(chosen) / "kustomize" / "stage"
        files = [file for stage in _STAGES for file in sorted((source / stage).glob("*-*.yaml"))]
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("---\n".join(file.read_text() for file in files))
    return out


def words(kubeconfig: Path) -> list[str]:
    """kwok's command line."""
    return [
        str(build.part(versions.module_set("kwok"), "kwok")),
        f"--kubeconfig={kubeconfig}",
        f"--config={stages()}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        "--node-lease-duration-seconds=40",
        "--cidr=10.246.0.1/16",
    ]
