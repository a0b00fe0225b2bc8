"""Conditions, each with a reason for machines and a message a person can act on. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from overspill.api.policy import Mode
from overspill.controller.experiments import ended_words, window_words
from overspill.controller.pacing import held_back
from overspill.controller.snapshot import providers_without_key
from overspill.controller.times import timestamp
from overspill.learning.promise import FEWEST
from overspill.scaling import Learned, Reason, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from overspill.api.policy import Experiment as Asked
    from overspill.api.policy import RoutingPolicySpec
    from overspill.api.status import QualityStatus
    from overspill.budget import BudgetState
    from overspill.budget.experiment import Experiment
    from overspill.controller.errors import Missing
    from overspill.controller.observation import Coverage
    from overspill.controller.pacing import Pace
    from overspill.controller.snapshot import Snapshot
    from overspill.scaling import Decision, Demand, Economics

Truth = Literal["True", "False", "Unknown"]

READY: Final = "Ready"
SIDECARS_CURRENT: Final = "SidecarsCurrent"
METRICS_AVAILABLE: Final = "MetricsAvailable"
SCALING_ACTIVE: Final = "ScalingActive"
BUDGET_AVAILABLE: Final = "BudgetAvailable"
QUALITY_KEPT: Final = "QualityKept"
PAYS_OFF: Final = "PaysOff"
ASKED_FOR: Final = frozenset({QUALITY_KEPT, PAYS_OFF})
"""Conditions that only some policies have."""

_IDLE_SCALING: Final = {
    Reason.PAUSED,
    Reason.ANOTHER_AUTOSCALER,
    Reason.UNSCHEDULABLE,
    Reason.DEMAND_UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One condition without its history."""

    type: str
    status: Truth
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything seen and decided in one reconcile of a valid policy."""

    policy: str
    generation: int
    spec: RoutingPolicySpec
    snapshot: Snapshot
    demand: Demand | Unknown
    running_sidecars: int
    coverage: Coverage
    endpoints: Sequence[str]
    missing: Missing | None
    """What the policy names and the cluster does not have."""
    refusal: Missing | None
    """The right that was missing when the scale was to be written."""
    decision: Decision | None
    """None where there is nothing to scale."""
    budget: BudgetState | None
    pace: Pace | None
    economics: Economics
    """What the decision was reckoned with."""
    learned: Learned = field(default_factory=Learned)
    rival: str = ""
    """Another autoscaler of the target, and what to do about it."""
    quality: QualityStatus | None = None
    """What trials tell, as it is written down; None where nothing is tried."""
    experiment: Experiment | None = None


def invalid(problems: Iterable[str]) -> Finding:
    """Find a policy that cannot be obeyed until a person edits it."""
    message = "; ".join(problems)
    return Finding(type=READY, status="False", reason="InvalidPolicy", message=message)


def findings(look: Look) -> tuple[Finding, ...]:
    """All of a policy that could be read; those in ASKED_FOR only where it asks for them."""
    usual = (ready(look), sidecars(look), metrics(look), scaling(look), budget(look))
    asked_for = (quality(look.quality), pays_off(look))
    return (*usual, *(one for one in asked_for if one is not None))


def ready(look: Look) -> Finding:
    """Whether the policy is in force."""
    if look.missing:
        return Finding(
            type=READY, status="False", reason=look.missing.reason, message=look.missing.message
        )
    message = f"in force: {len(look.endpoints)} small endpoints published"
    return Finding(type=READY, status="True", reason="Published", message=message)


def sidecars(look: Look) -> Finding:
    """Whether every app pod runs the sidecar with this generation and every key."""
    status, reason, message = _sidecars(look)
    return Finding(type=SIDECARS_CURRENT, status=status, reason=reason, message=message)


def _sidecars(look: Look) -> tuple[Truth, str, str]:
    coverage, running = look.coverage, look.running_sidecars
    if coverage.uncovered:
        return (
            "False",
            "NotInjected",
            (
                f"{coverage.uncovered} of {coverage.matching} pods run without the sidecar; "
                f"restart them: {coverage.restart}"
            ),
        )
    if not running:
        labels = ",".join(
            f"{k}={v}" for k, v in sorted(look.spec.workload.selector.match_labels.items())
        )
        return "False", "NoSidecars", f"no running pod matches {labels}"
    if lacking := providers_without_key(look.snapshot, look.policy):
        return "False", "CredentialMissing", _credentials(look.spec, lacking)
    if look.snapshot.failure:
        return "Unknown", "PrometheusUnavailable", look.snapshot.failure
    seen = int(look.snapshot.sidecars.get(look.policy, 0))
    oldest = int(look.snapshot.generation.get(look.policy, 0))
    if seen < running:
        return "False", "Outdated", f"{seen} of {running} sidecars have reported their generation"
    if oldest < look.generation:
        return "False", "Outdated", f"some sidecar runs generation {oldest} of {look.generation}"
    return "True", "Current", f"{running} sidecars run generation {look.generation}"


def _credentials(spec: RoutingPolicySpec, lacking: Sequence[str]) -> str:
    keys = {provider.name: provider.credentials for provider in spec.providers}
    said = [
        f"{name}: create Secret {keys[name].secret_name} with key {keys[name].key}"
        if name in keys
        else f"{name}: a sidecar with an older configuration lacks its key"
        for name in lacking
    ]
    return f"no key for {'; '.join(said)}"


def metrics(look: Look) -> Finding:
    """Whether demand is known."""
    status: Truth = "True"
    reason, message = "Fresh", "Prometheus has fresh samples"
    if isinstance(look.demand, Unknown):
        status, reason, message = "False", look.demand.reason, look.demand.message
    elif not look.running_sidecars:
        reason, message = "NoSidecars", "no sidecar runs, so there is no demand"
    return Finding(type=METRICS_AVAILABLE, status=status, reason=reason, message=message)


def scaling(look: Look) -> Finding:
    """Whether the operator sets the number of small replicas."""
    status, reason, message = _scaling(look)
    return Finding(type=SCALING_ACTIVE, status=status, reason=reason, message=message)


def _scaling(look: Look) -> tuple[Truth, str, str]:
    if look.decision is None:
        if look.missing is None:
            return "Unknown", "Undecided", "nothing was decided yet"
        return "False", look.missing.reason, look.missing.message
    if look.refusal is not None:
        return "False", look.refusal.reason, look.refusal.message
    reason, message = look.decision.reason, look.decision.message
    if reason is Reason.PAUSED:
        return "False", reason, message
    if look.spec.mode is Mode.OBSERVE:
        would = f"mode is Observe; would ask for {look.decision.desired}"
        return "False", "Observe", f"{would}. {look.rival}" if look.rival else would
    return ("False" if reason in _IDLE_SCALING else "True"), reason, message


def budget(look: Look) -> Finding:
    """Whether the frontier may be paid."""
    status, reason, message = _budget(look)
    return Finding(type=BUDGET_AVAILABLE, status=status, reason=reason, message=message)


def _budget(look: Look) -> tuple[Truth, str, str]:
    state = look.budget
    if state is None or look.spec.budget is None:
        return "True", "NoBudget", "the policy sets no budget"
    until = timestamp(state.period.end_s)
    if state.spent_usd is None:
        return "Unknown", "SpendUnknown", "Prometheus has no spend of this period yet"
    spent = f"{state.spent_usd:.2f} of {state.limit_usd} USD spent"
    if state.exhausted:
        effect = look.spec.budget.on_exhausted
        return "False", "Exhausted", f"{spent}; {effect} until {until}; raise the limit or wait"
    if state.leased_usd:
        spent += f", {state.leased_usd:.2f} USD held by sidecars"
    if look.pace is not None and (whom := held_back(look.pace.admit_from)):
        spent += f"; to last the period, {whom} tries the small tier first"
    for share, word in ((0.8, "NearlySpent"), (0.5, "HalfSpent")):
        if state.used is not None and state.used >= share:
            return "True", word, f"{spent}; resets at {until}"
    return "True", "WithinLimit", f"{spent}; resets at {until}"


def quality(told: QualityStatus | None) -> Finding | None:
    """Whether the floor of quality is held; None where none is promised."""
    if told is None or told.floor is None:
        return None
    status, reason, message = _quality(told, told.floor)
    return Finding(type=QUALITY_KEPT, status=status, reason=reason, message=message)


def _quality(told: QualityStatus, floor: Decimal) -> tuple[Truth, str, str]:
    cautious = "; all goes to the frontier meanwhile" if told.careful else ""
    if told.low is None or told.high is None:
        many = f"{told.trials} of the {FEWEST} trials that it takes to say anything{cautious}"
        return "Unknown", "TooFewTrials", many
    said = (
        f"{told.estimate} of the frontier's quality, between {told.low} and {told.high} with "
        f"confidence {told.confidence:f}, by {told.trials} trials; the floor is {floor:f}"
    )
    if told.low >= floor:
        return "True", "FloorHeld", said + _careful(told)
    if told.high < floor:
        return "False", "BelowFloor", said + (cautious or "; stricter plans are on their way")
    return "Unknown", "NotProven", said + cautious


def _careful(told: QualityStatus) -> str:
    """Say why all goes to the frontier though the floor is held."""
    if not told.careful:
        return ""
    return (
        "; all goes to the frontier, because no other plan would hold it: the small model is too "
        "weak, or trials are too few"
    )


def pays_off(look: Look) -> Finding | None:
    """Whether a small tier on trial goes on; None where it is not on trial."""
    known, asked = look.experiment, look.spec.experiment
    if known is None or asked is None:
        return None
    status, reason, message = _pays_off(known, asked)
    return Finding(type=PAYS_OFF, status=status, reason=reason, message=message)


def _pays_off(known: Experiment, asked: Asked) -> tuple[Truth, str, str]:
    if known.ended:
        return "False", "ExperimentEnded", ended_words(known, asked)
    if known.last is None:
        return "Unknown", "FirstWindow", "the first window of spec.experiment is not over yet"
    return "True", "SavesEnough", window_words(known.last, asked)


def merge(
    before: Sequence[dict[str, Any]], found: Iterable[Finding], generation: int, now: str
) -> list[dict[str, Any]]:
    """Lay findings over the conditions on record; `lastTransitionTime` moves with the status only.

    Conditions that were not looked at stay as they are.
    """
    merged = {condition["type"]: condition for condition in before}
    for finding in found:
        old = merged.get(finding.type, {})
        changed = old.get("status") != finding.status
        merged[finding.type] = {
            "type": finding.type,
            "status": finding.status,
            "reason": finding.reason,
            "message": finding.message,
            "lastTransitionTime": now if changed else old["lastTransitionTime"],
            "observedGeneration": generation,
        }
    return list(merged.values())
