"""What is published for a policy's sidecars: one ConfigMap, named by a short revision."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overspill.api.sidecar_config import (
    CONFIG_FILE,
    BudgetConfig,
    LenderConfig,
    PlanConfig,
    SidecarConfig,
    sidecar_config_of,
)
from overspill.controller.keys import PolicyKey, config_map_name, owned_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.api.policy import RoutingPolicySpec
    from overspill.budget import BudgetState
    from overspill.controller.keys import Manifest

REVISION_LENGTH: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The ConfigMap's manifest, and the revision that pods are stamped with."""

    manifest: Manifest
    revision: str


def sidecar_config(
    key: PolicyKey,
    generation: int,
    spec: RoutingPolicySpec,
    *,
    endpoints: Sequence[str],
    running_sidecars: int,
    budget: BudgetState | None,
    lender: LenderConfig | None = None,
    score: str | None = None,
    plan: PlanConfig | None = None,
) -> SidecarConfig:
    """Say what a sidecar of this policy must know. The replicas' slots are shared out evenly.

    `score` is the text of the score in force, None for the package's; `plan` is what trials allow.
    """
    slots = spec.small.capacity.max_concurrency // max(1, running_sidecars)
    return sidecar_config_of(
        spec,
        policy=str(key),
        generation=generation,
        endpoints=tuple(endpoints),
        slots_per_endpoint=max(1, slots),
        budget=_budget(spec, budget, lender),
        score=score,
        plan=plan,
        operator=lender,
    )


def publish(owner: Manifest, config: SidecarConfig) -> Publication:
    """Wrap the configuration into a ConfigMap that lives and dies with its policy."""
    text = json.dumps(config.to_json(), sort_keys=True)
    meta = owner["metadata"]
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": config_map_name(meta["name"]),
            "namespace": meta["namespace"],
            "labels": {"app.kubernetes.io/managed-by": "overspill"},
            "ownerReferences": [owned_by(owner)],
        },
        "data": {CONFIG_FILE: text},
    }
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Publication(manifest=manifest, revision=digest[:REVISION_LENGTH])


def _budget(
    spec: RoutingPolicySpec, budget: BudgetState | None, lender: LenderConfig | None
) -> BudgetConfig:
    if spec.budget is None or budget is None:
        return BudgetConfig()
    return BudgetConfig(
        open=not budget.exhausted,
        on_exhausted=spec.budget.on_exhausted,
        resets_at_s=budget.period.end_s,
        lender=lender,
    )
