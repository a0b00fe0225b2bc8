"""How the operator names things: policies, labels, annotations, objects it owns."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from overspill import api

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as JSON."""

POLICY_LABEL: Final = "overspill.dev/policy"
REVISION_ANNOTATION: Final = "overspill.dev/config-revision"
PAUSED_ANNOTATION: Final = "overspill.dev/paused"
TRIALS_LABEL: Final = "overspill.dev/trials"
"""On ConfigMaps that hold trials: the policy's name."""
SUBJECT_ANNOTATION: Final = "overspill.dev/subject"
"""On them: whom these trials were of."""
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


def owned_by(policy: Manifest) -> Manifest:
    """Return the reference by which an object lives and dies with its policy."""
    return {
        "apiVersion": api.API_VERSION,
        "kind": api.KIND,
        "name": policy["metadata"]["name"],
        "uid": policy["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,  # true would need more rights and can delay a deletion
    }
