"""The policy's status: built from one look, written only where it differs. Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from overspill.api.policy import Mode
from overspill.api.status import (
    DecisionStatus,
    DemandStatus,
    ReplicaStatus,
    SpendStatus,
)
from overspill.controller import conditions
from overspill.controller.conditions import ASKED_FOR
from overspill.controller.experiments import experiment_status
from overspill.controller.learning import learned_status
from overspill.controller.pacing import pacing_status
from overspill.controller.saved import dump_state, worth_writing
from overspill.controller.snapshot import frontier_share
from overspill.controller.times import timestamp
from overspill.scaling import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.budget import BudgetState
    from overspill.controller.conditions import Look
    from overspill.controller.keys import Manifest
    from overspill.controller.memory import Memory
    from overspill.scaling import Decision

DECISION_REFRESH_S: Final = 300.0
"""A decision that stays the same is stamped anew this often: a sign of life."""
_CENT: Final = Decimal("0.01")
_HOUR_S: Final = 3600.0
_HARMLESS: Final = frozenset({"NoSidecars", "Observe", "Paused", "Exhausted", "SpendUnknown"})


def invalid_status(
    before: Manifest, problems: tuple[str, ...], generation: int, now_s: float
) -> Manifest:
    """Keep everything on record but say that this generation is refused."""
    found = [conditions.invalid(problems)]
    merged = conditions.merge(before.get("conditions", ()), found, generation, timestamp(now_s))
    return before | {
        "observedGeneration": generation,
        "state": "Invalid",
        "conditions": merged,
    }


def status_after(memory: Memory, look: Look, now_s: float) -> tuple[Memory, Manifest]:
    """Write a look down, and remember what was written."""
    before, state = memory.status or {}, memory.scaling
    desired = look.decision.desired if look.decision else None
    saved = None
    if state is not None and (
        desired != memory.desired or worth_writing(memory.scaling_written, state)
    ):
        saved = dump_state(state, timestamp(now_s))
        memory = replace(memory, scaling_written=state)
    fresh = desired is not None and (
        memory.desired is None or is_old(before.get("lastDecision"), now_s)
    )
    status = status_of(before, look, scaling_state=saved, fresh=fresh, now_s=now_s)
    return replace(memory, desired=desired), status


def status_of(
    before: Manifest, look: Look, *, scaling_state: Manifest | None, fresh: bool, now_s: float
) -> Manifest:
    """Say everything about one look; `fresh` stamps the decision even if it stays the same."""
    found = conditions.findings(look)
    gone = ASKED_FOR - {one.type for one in found}
    known = [one for one in before.get("conditions", ()) if one["type"] not in gone]
    status: dict[str, Any] = {
        "observedGeneration": look.generation,
        "state": state_word(look, found),
        "conditions": conditions.merge(known, found, look.generation, timestamp(now_s)),
        "replicas": _replicas(look),
        "demand": _demand(look),
        "spend": _spend(look.budget),
        "pacing": pacing_status(before.get("pacing"), look.pace, now_s),
        "frontierShare": frontier_share(look.snapshot, look.policy),
        "lastDecision": _decision(before.get("lastDecision"), look.decision, fresh, now_s),
        "scalingState": scaling_state or before.get("scalingState"),
        "learned": learned_status(look.learned, look.economics, look.spec),
        "quality": look.quality.to_json() if look.quality else None,
        "experiment": experiment_status(
            before.get("experiment"), look.experiment, look.generation, now_s
        ),
    }
    return {name: value for name, value in status.items() if value is not None}


def state_word(look: Look, found: tuple[conditions.Finding, ...]) -> str:
    """Return one word for the printer column, the most pressing first."""
    reason = look.decision.reason if look.decision else None
    if reason is Reason.PAUSED:
        return "Paused"
    if look.budget is not None and look.budget.exhausted:
        return "BudgetExhausted"
    if any(f.status == "False" and f.reason not in _HARMLESS for f in found):
        return "Degraded"
    return "Observing" if look.spec.mode is Mode.OBSERVE else "Ready"


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch (RFC 7386) that turns one object into the other."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            if nested := merge_patch(old, value):
                patch[name] = nested
        elif old != value:
            patch[name] = value
    return patch


def is_old(decision: Manifest | None, now_s: float) -> bool:
    """Whether a decision's stamp is due for a refresh."""
    stamped: str = (decision or {}).get("time", "")
    return stamped <= timestamp(now_s - DECISION_REFRESH_S)


def _replicas(look: Look) -> Manifest | None:
    if look.decision is None:
        return None
    replicas = look.decision.replicas
    observing = look.spec.mode is Mode.OBSERVE
    desired = replicas.requested if observing else look.decision.desired
    return ReplicaStatus(
        desired=desired,
        ready=replicas.ready,
        pending=max(0, desired - replicas.ready),
        display=f"{replicas.ready}/{desired}",
    ).to_json()


def _demand(look: Look) -> Manifest | None:
    demand = look.decision.demand if look.decision else None
    if demand is None:
        return None
    capacity_tokens_per_s = look.economics.capacity_tokens_per_s
    return DemandStatus(
        work_tokens_per_second=round(demand.work_tokens_per_s, 1),
        replicas_worth=round(demand.work_tokens_per_s / capacity_tokens_per_s, 2),
        frontier_usd_per_hour=round(demand.frontier_usd_per_s * _HOUR_S, 2),
    ).to_json()


def _spend(budget: BudgetState | None) -> Manifest | None:
    if budget is None or budget.spent_usd is None:
        return None
    usd = budget.spent_usd.quantize(_CENT)
    return SpendStatus(
        period_start=timestamp(budget.period.start_s),
        usd=usd,
        limit_usd=budget.limit_usd,
        leased_usd=None if budget.leased_usd is None else budget.leased_usd.quantize(_CENT),
        display=f"{usd}/{budget.limit_usd:f}",
    ).to_json()


def _decision(
    before: Manifest | None, decision: Decision | None, fresh: bool, now_s: float
) -> Manifest | None:
    """Keep the stamp of a decision that stays the same, so that an idle policy is not rewritten."""
    if decision is None:
        return before
    made = DecisionStatus(
        time=timestamp(now_s),
        desired=decision.desired,
        reason=decision.reason,
        message=decision.message,
    ).to_json()
    same = before is not None and all(
        before.get(name) == made[name] for name in made if name != "time"
    )
    return before if same and not fresh else made
