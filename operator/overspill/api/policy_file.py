"""A policy in a file, as `kubectl apply` takes it, or its spec alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from overspill.api.errors import InvalidPolicy
from overspill.api.policy import RoutingPolicySpec, parse_policy

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """What a file says of one policy."""

    name: str
    namespace: str
    spec: RoutingPolicySpec


def read_policy(path: Path) -> PolicyFile:
    """Read one policy. Raises: InvalidPolicy, OSError."""
    try:
        document = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, ValueError) as error:  # no UTF-8 too, or the 13th month
        reason = " ".join(str(error).split())
        raise InvalidPolicy([f"{path}: is not one YAML document ({reason}); correct it"]) from None
    except RecursionError:
        raise InvalidPolicy([f"{path}: is nested too deeply to be a policy; correct it"]) from None
    if not isinstance(document, dict):
        what = "is empty" if document is None else "is no object"
        raise InvalidPolicy([f"{path}: {what}; write a RoutingPolicy, or its spec alone"])
    if "spec" not in document and "kind" in document:
        raise InvalidPolicy(
            [f"{path}: has kind {document['kind']!r} and no spec; give a RoutingPolicy"]
        )
    metadata = document.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    return PolicyFile(
        name=str(names.get("name", "policy")),
        namespace=str(names.get("namespace", "default")),
        spec=parse_policy(document.get("spec", document)),
    )
