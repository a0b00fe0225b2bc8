"""How the operator names things: policies, labels, annotations, objects it owns."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as JSON."""

POLICY_LABEL: Final = "overspill.dev/policy"
REVISION_ANNOTATION: Final = "overspill.dev/config-revision"
PAUSED_ANNOTATION: Final = "overspill.dev/paused"
INJECT_ANNOTATION: Final = "overspill.dev/inject"
FIELD_MANAGER: Final = "overspill"
SIDECAR: Final = "overspill-sidecar"


class PolicyKey(NamedTuple):
    """Which policy. Its text is the `policy` label of every metric."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, manifest: Manifest) -> PolicyKey:
        """Name an object by its metadata."""
        meta = manifest["metadata"]
        return cls(meta["namespace"], meta["name"])


def config_map_name(policy: str) -> str:
    """Name the ConfigMap that holds a policy's sidecar configuration."""
    return f"overspill-{policy}"
