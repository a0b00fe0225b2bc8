"""A cluster of the user's own: what was there before is not changed, and so never removed."""

from __future__ import annotations

import os

from e2e.stage import kube

OURS = frozenset({"own", "kind"})
"""As `python -m e2e.cluster exec` tells; without it, whoever's cluster KUBECONFIG names."""


class Occupied(RuntimeError):
    """The user's cluster has objects that the stage would take for its own."""


def refuse(*names: str) -> None:
    """Look for objects such as `namespace/demo`, on any cluster but those that are made for this.

    Raises: Occupied, KubectlError.
    """
    if os.environ.get("CLUSTER") in OURS:
        return
    found = kube.kubectl("get", *names, "--ignore-not-found", "-o", "name").split()
    if found:
        raise Occupied(
            f"this cluster has {', '.join(found)}, which would be changed and then removed; take "
            "another cluster, or remove them first where they were left by an earlier run"
        )
