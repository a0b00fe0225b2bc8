"""Events on a policy: what changed between two statuses that a person would want to read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from overspill import api
from overspill.controller.keys import FIELD_MANAGER
from overspill.scaling import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overspill.controller.keys import Manifest

NORMAL: Final = "Normal"
WARNING: Final = "Warning"
_LONGEST: Final = 1000
_TOLD: Final = frozenset(
    {Reason.DEMAND_UNKNOWN, Reason.HOLDING, Reason.START_PAYS, Reason.STOP_PAYS}
)
"""Reasons of `ScalingActive` that another Event has told already."""
_MILESTONES: Final = {"HalfSpent": NORMAL, "NearlySpent": WARNING}
"""Reasons of `BudgetAvailable` that are worth an Event though nothing is wrong yet."""
_QUIET: Final = frozenset({"NoSidecars", "Observe", "Paused", "Outdated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An Event before it has an object and a time."""

    type: str
    reason: str
    message: str


def happenings(before: Manifest, after: Manifest, *, applied: bool) -> Iterator[Happening]:
    """Tell of a changed desired count, `applied` or not, and of changed conditions."""
    yield from _scaling(before.get("lastDecision"), after.get("lastDecision"), applied)
    yield from _promise(before.get("quality"), after.get("quality"))
    old = {condition["type"]: condition for condition in before.get("conditions", ())}
    told: set[str] = set()
    for condition in after.get("conditions", ()):
        if condition["reason"] not in told | _TOLD and _is_news(
            old.get(condition["type"]), condition
        ):
            told.add(condition["reason"])
            yield _of_condition(condition)


def dropped_state(problem: str) -> Happening:
    """Tell that break-even's memory could not be read back."""
    return Happening(type=WARNING, reason="ScalingStateDropped", message=problem)


def dropped_trials(many: int) -> Happening:
    """Tell that trials of other models, or by other graders, say nothing any more."""
    return Happening(
        type=NORMAL,
        reason="TrialsDropped",
        message=f"{many} trials were of another small or frontier model, or graded otherwise; "
        "trials begin anew",
    )


def event_manifest(owner: Manifest, happening: Happening, now: str) -> Manifest:
    """Write an Event on the policy."""
    meta = owner["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
        "type": happening.type,
        "reason": happening.reason,
        "message": happening.message[:_LONGEST],
        "involvedObject": {
            "apiVersion": api.API_VERSION,
            "kind": api.KIND,
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
        "source": {"component": FIELD_MANAGER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def _scaling(before: Manifest | None, after: Manifest | None, applied: bool) -> Iterator[Any]:
    if not after or not before or before["desired"] == after["desired"]:
        return
    word = "ScaledUp" if after["desired"] > before["desired"] else "ScaledDown"
    yield Happening(
        type=NORMAL,
        reason=word if applied else f"WouldHave{word}",
        message=f"{before['desired']} → {after['desired']} ({after['reason']}): {after['message']}",
    )


def _promise(before: Manifest | None, after: Manifest | None) -> Iterator[Happening]:
    """Tell where caution ends or begins. A first look at a policy is no news."""
    if not before or not after or before["careful"] == after["careful"] or "floor" not in after:
        return
    if after["careful"]:
        yield Happening(
            type=WARNING,
            reason="PromiseAtRisk",
            message=f"no plan is known to hold {after['floor']} of the frontier's quality by "
            f"{after['trials']} trials; all goes to the frontier until one does",
        )
        return
    yield Happening(
        type=NORMAL,
        reason="PromiseKept",
        message=f"{after['trials']} trials show that {after['floor']} of the frontier's quality is "
        f"held with {after.get('expectedFrontierShare', 'a part')} of the requests at the frontier",
    )


def _is_news(before: Manifest | None, after: Manifest) -> bool:
    """A first condition is news only if something is wrong; later ones when they turn."""
    wrong = after["status"] == "False" and after["reason"] not in _QUIET
    if after["reason"] in _MILESTONES:
        return before is None or before["reason"] != after["reason"]
    if before is None or after["status"] == "Unknown":
        return before is None and wrong
    if before["status"] != after["status"]:
        return wrong or before["status"] == "False"
    if after["reason"] == "InvalidPolicy" and before["message"] != after["message"]:
        return True
    return wrong and before["reason"] != after["reason"]


def _of_condition(condition: Manifest) -> Happening:
    wrong = condition["status"] == "False" and condition["reason"] not in _QUIET
    usual = _MILESTONES.get(condition["reason"], NORMAL)
    return Happening(
        type=WARNING if wrong else usual,
        reason=condition["reason"],
        message=f"{condition['type']}: {condition['message']}",
    )
