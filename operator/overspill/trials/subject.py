"""Whom trials are of: those of another small model say nothing of this one.

The operator and each sidecar name it by what they go by, so that it shows where the two differ.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overspill.api.policy import Cascade, Grader, RoutingPolicySpec, Verifier
    from overspill.api.sidecar_config import CascadeConfig, SidecarConfig

_LENGTH: Final = 12


def subject_of(spec: RoutingPolicySpec) -> str:
    """Name whom a policy's trials are of; empty where nothing is tried."""
    trials = spec.routing.trials
    if trials is None:
        return ""
    models = spec.small.model, spec.frontier[0].model
    return _named(*models, trials.graders, _checks(spec.routing.cascade))


def configured_subject(config: SidecarConfig) -> str:
    """Name whom a sidecar's trials are of; empty where nothing is tried."""
    if config.trials is None:
        return ""
    models = config.small.model, config.frontier[0].model
    return _named(*models, config.trials.graders, _checks(config.cascade))


def _checks(cascade: Cascade | CascadeConfig | None) -> Iterable[Verifier]:
    """Without them the client would get what they hold back, and what counts as the frontier's."""
    return sorted(cascade.verify) if cascade else ()


def _named(
    small_model: str, frontier_model: str, graders: Iterable[Grader], checks: Iterable[Verifier]
) -> str:
    """Graders are asked in turn, so that their order matters."""
    told = json.dumps([small_model, frontier_model, list(graders), list(checks)])
    return hashlib.sha256(told.encode()).hexdigest()[:_LENGTH]
