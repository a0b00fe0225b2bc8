"""What the operator learns of a small tier from look to look, and how that outlives the process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from overspill.api.status import Guesses, LearnedStatus
from overspill.controller.snapshot import load_of
from overspill.scaling import Demand, Learned, Sight
from overspill.scaling.physics import observe, started

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from overspill.api.policy import RoutingPolicySpec
    from overspill.controller.case import Case
    from overspill.controller.cluster import Start
    from overspill.controller.keys import Manifest
    from overspill.controller.observe import Observed
    from overspill.controller.snapshot import Snapshot
    from overspill.scaling import Economics, Stretch, Unknown

LEARNED_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """Observations of one small tier, and what this process needs to make more of them."""

    subject: tuple[str, str]
    """Model and weight of an input token: observations of others say nothing."""
    learned: Learned = field(default_factory=Learned)
    stretch: Stretch | None = None
    starting: frozenset[str] = frozenset()
    """Pods that were seen before they were ready for the first time."""
    started: frozenset[str] = frozenset()
    """Pods that have been ready: if they come back, that is no start."""


def recalled(lessons: Lessons | None, saved: object, spec: RoutingPolicySpec) -> Lessons:
    """Go on from memory, else from what an earlier process wrote, unless it is of another model."""
    subject = subject_of(spec)
    if lessons is None:
        lessons = _read(saved)
    return lessons if lessons and lessons.subject == subject else Lessons(subject=subject)


def subject_of(spec: RoutingPolicySpec) -> tuple[str, str]:
    """Name what is learned about."""
    return _subject(spec.small.model, spec.small.capacity.input_token_weight)


def _subject(model: str, input_token_weight: Decimal) -> tuple[str, str]:
    return model, f"{input_token_weight.normalize():f}"


def sight_of(
    case: Case, observed: Observed, demand: Demand | Unknown, snapshot: Snapshot, window_s: float
) -> Sight:
    """Say what this look shows of the work that is done; nothing where metrics are missing."""
    weight = float(case.spec.small.capacity.input_token_weight)
    known = isinstance(demand, Demand) and case.running > 0
    return Sight(
        now_s=case.now_s,
        window_s=window_s,
        ready=observed.replicas.ready if observed.replicas and observed.settled else None,
        load=load_of(snapshot, str(case.key), weight) if known else None,
    )


def attended(
    lessons: Lessons, starts: Iterable[Start], sight: Sight, spec: RoutingPolicySpec
) -> Lessons:
    """Take in one look: pods that became ready since the last, and the work that was done."""
    learned, starting, ready = lessons.learned, set[str](), set[str]()
    for pod in starts:
        if pod.ready_s is None:
            starting.add(pod.uid)
            continue
        ready.add(pod.uid)
        if pod.uid in lessons.starting and pod.placed_s is not None:
            learned = started(learned, pod.ready_s - pod.placed_s)
    learned, stretch = observe(
        learned, lessons.stretch, sight, float(spec.small.capacity.output_tokens_per_second)
    )
    known = lessons.started & (starting | ready)
    return Lessons(
        subject=lessons.subject,
        learned=learned,
        stretch=stretch,
        starting=frozenset(starting - known),
        started=known | ready,
    )


def learned_status(learned: Learned, economics: Economics, spec: RoutingPolicySpec) -> Manifest:
    """Write down what is in use, what the policy says, and the observations behind it."""
    model, weight = subject_of(spec)
    return LearnedStatus.model_validate(
        {
            "version": LEARNED_VERSION,
            "model": model,
            "input_token_weight": weight,
            "startup_seconds": round(economics.startup_s),
            "output_tokens_per_second": round(economics.capacity_tokens_per_s),
            "policy": Guesses(
                startup_seconds=spec.small.startup_seconds,
                output_tokens_per_second=spec.small.capacity.output_tokens_per_second,
            ),
            "startup_samples_seconds": learned.startups_s,
            "full_samples_tokens_per_second": learned.full_tokens_per_s,
            "at_least_tokens_per_second": learned.at_least_tokens_per_s,
        }
    ).to_json()


def _read(saved: object) -> Lessons | None:
    """Read it back; what no version wrote is begun anew, for it is only a better guess."""
    try:
        status = LearnedStatus.model_validate(saved)
    except ValidationError:
        return None
    samples = (*status.startup_samples_seconds, *status.full_samples_tokens_per_second)
    unseen = min(samples, default=1) < 1 or status.at_least_tokens_per_second < 0
    if status.version != LEARNED_VERSION or unseen:
        return None
    return Lessons(
        subject=_subject(status.model, status.input_token_weight),
        learned=Learned(
            startups_s=status.startup_samples_seconds,
            full_tokens_per_s=status.full_samples_tokens_per_second,
            at_least_tokens_per_s=status.at_least_tokens_per_second,
        ),
    )
