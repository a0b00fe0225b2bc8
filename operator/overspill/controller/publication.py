"""What is published for a policy's sidecars: one ConfigMap, named by a short revision."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overspill import api
from overspill.api.sidecar_config import (
    CONFIG_FILE,
    CREDENTIALS_DIR,
    BudgetConfig,
    CascadeConfig,
    ComplexityConfig,
    LenderConfig,
    ProviderConfig,
    SidecarConfig,
    SmallConfig,
)
from overspill.controller.keys import PolicyKey, config_map_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.api.policy import FrontierProvider, RoutingPolicySpec
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
) -> SidecarConfig:
    """Say what a sidecar of this policy must know. The replicas' slots are shared out evenly.

    `score` is the text of the score that the policy names.
    """
    small = spec.small
    return SidecarConfig(
        policy=str(key),
        generation=generation,
        mode=spec.mode,
        small=SmallConfig(
            model=small.model,
            context_window=small.context_window,
            endpoints=tuple(endpoints),
            slots_per_endpoint=max(1, small.capacity.max_concurrency // max(1, running_sidecars)),
            input_token_weight=small.capacity.input_token_weight,
            first_token_deadline_s=spec.routing.overflow.first_token_deadline,
        ),
        hosted=tuple(_provider(provider) for provider in spec.hosted),
        frontier=tuple(_provider(provider) for provider in spec.frontier),
        rules=spec.routing.rules,
        complexity=_complexity(spec, score),
        cascade=_cascade(spec),
        max_input_tokens=spec.routing.context.max_input_tokens if spec.routing.context else None,
        queue_max_wait_s=spec.routing.queue.max_wait,
        request_timeout_s=spec.routing.request_timeout,
        budget=_budget(spec, budget, lender),
    )


def publish(owner: Manifest, config: SidecarConfig) -> Publication:
    """Wrap the configuration into a ConfigMap that lives and dies with its policy."""
    text = json.dumps(config.to_json(), sort_keys=True)
    meta = owner["metadata"]
    reference = {
        "apiVersion": api.API_VERSION,
        "kind": api.KIND,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": False,  # true would need more rights and can delay a deletion
    }
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": config_map_name(meta["name"]),
            "namespace": meta["namespace"],
            "labels": {"app.kubernetes.io/managed-by": "overspill"},
            "ownerReferences": [reference],
        },
        "data": {CONFIG_FILE: text},
    }
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Publication(manifest=manifest, revision=digest[:REVISION_LENGTH])


def _provider(provider: FrontierProvider) -> ProviderConfig:
    return ProviderConfig(
        name=provider.name,
        api=provider.api,
        base_url=provider.base_url,
        model=provider.model,
        credential_file=f"{CREDENTIALS_DIR}/{provider.name}",
        price=provider.price,
        max_output_tokens=provider.max_output_tokens,
        forward_headers=provider.forward_headers,
    )


def _complexity(spec: RoutingPolicySpec, score: str | None) -> ComplexityConfig | None:
    """None too where the score that the policy names is not there: no other takes its place."""
    told = spec.routing.complexity
    if told is None or (told.score is not None and score is None):
        return None
    own = score if told.score is not None else None
    return ComplexityConfig(frontier_share=float(told.frontier_share), score=own)


def _cascade(spec: RoutingPolicySpec) -> CascadeConfig | None:
    told = spec.routing.cascade
    return CascadeConfig(verify=told.verify, hold_for_s=told.hold_for) if told else None


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
