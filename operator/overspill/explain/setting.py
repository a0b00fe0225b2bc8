"""A policy as a sidecar has it, at the moment that is asked about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from overspill.api.policy import Mode
from overspill.api.sidecar_config import BudgetConfig
from overspill.budget.money import usd_micros
from overspill.controller.keys import PolicyKey
from overspill.controller.publication import sidecar_config
from overspill.explain.question import CannotExplain
from overspill.routing.score import InvalidScore
from overspill.sidecar.runtime import compile_runtime

if TYPE_CHECKING:
    from overspill.api.policy import RoutingPolicySpec
    from overspill.api.policy_file import PolicyFile
    from overspill.sidecar.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a sidecar knows, and how things stand."""

    policy: str
    spec: RoutingPolicySpec
    runtime: Runtime
    small_full: bool = False
    """No room at the small tier, and nobody waits for any."""

    @property
    def limit_usd_micros(self) -> int | None:
        """What the budget has in a whole period; None where none is in force."""
        if self.spec.budget is None or self.runtime.observing:
            return None
        return usd_micros(self.spec.budget.limit)


def setting_of(
    file: PolicyFile, *, exhausted: bool = False, small_full: bool = False, score: str | None = None
) -> Setting:
    """Compile what the operator would publish. Raises: CannotExplain.

    `score` is the text of the score that the policy names.
    """
    spec, budget = file.spec, file.spec.budget
    if exhausted and budget is None:
        raise CannotExplain(
            f"--exhausted: policy {file.name} has no budget that could be spent; "
            "add spec.budget, or leave the option out"
        )
    if score is not None and not _names_score(spec):
        raise CannotExplain(
            f"--score: policy {file.name} names no score; "
            "add spec.routing.complexity.score, or leave the option out"
        )
    config = sidecar_config(
        PolicyKey(file.namespace, file.name),
        1,
        spec,
        endpoints=(),
        running_sidecars=1,
        budget=None,
        score=score,
    )
    if budget is not None:
        told = BudgetConfig(open=not exhausted, on_exhausted=budget.on_exhausted)
        config = config.model_copy(update={"budget": told})
    try:
        runtime = compile_runtime(config, Path())
    except InvalidScore as error:
        raise CannotExplain(f"--score: {error}") from None
    if budget is not None and spec.mode is Mode.ENFORCE:
        for provider in runtime.providers:  # as with a purse, which is of a running sidecar only
            provider.target = replace(provider.target, capped=True)
    return Setting(policy=file.name, spec=spec, runtime=runtime, small_full=small_full)


def read_score(path: Path) -> str:
    """Return a score's text. Raises: CannotExplain, OSError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CannotExplain(
            f"--score {path}: is no text; give what overspill evaluate --write wrote"
        ) from None


def _names_score(spec: RoutingPolicySpec) -> bool:
    return spec.routing.complexity is not None and spec.routing.complexity.score is not None
