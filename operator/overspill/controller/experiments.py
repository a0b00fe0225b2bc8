"""The small tier as an experiment, from look to look: what it saves, costs, and how it ends."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from overspill.api.status import ExperimentStatus, WindowStatus
from overspill.budget.experiment import Experiment, Line, Window, watched
from overspill.controller.snapshot import served_of
from overspill.controller.times import timestamp

if TYPE_CHECKING:
    from overspill.api.policy import Experiment as Asked
    from overspill.controller.keys import Manifest
    from overspill.controller.snapshot import Snapshot
    from overspill.scaling import Economics, Replicas

WRITTEN_EVERY_S: Final = 300.0
"""How it goes on is written down so often; that a window is over, at once."""
_CENT: Final = Decimal("0.01")


def looked(
    before: Experiment,
    asked: Asked,
    snapshot: Snapshot,
    policy: str,
    *,
    replicas: Replicas | None,
    economics: Economics,
    weight: float,
    elapsed_s: float,
) -> Experiment:
    """Take in one look; where anything is not known, that time does not count."""
    saved_usd_per_s = _saved_usd_per_s(snapshot, policy, weight)
    if saved_usd_per_s is None or replicas is None:
        return before
    rent_usd_per_s = replicas.requested * economics.rent_usd_per_s
    return watched(
        before,
        Line(window_s=asked.window, least_saved_per_usd=float(asked.least_saved_per_usd)),
        saved_usd_per_s=saved_usd_per_s,
        cost_usd_per_s=rent_usd_per_s + snapshot.judges_usd_per_s.get(policy, 0.0),
        elapsed_s=elapsed_s,
    )


def _saved_usd_per_s(snapshot: Snapshot, policy: str, weight: float) -> float | None:
    """Return what the small tier's answers would have cost; `weight` is that of input tokens.

    Work that was shed was saved by nobody, and an answer that the cascade held back saved nothing:
    so neither what was not paid alone counts, nor what was served alone.
    """
    asked_usd, overflow_usd = (
        one.get(policy) for one in (snapshot.frontier_usd_per_s, snapshot.overflow_usd_per_s)
    )
    work, served = snapshot.work_tokens_per_s.get(policy), served_of(snapshot, policy, weight)
    if asked_usd is None or overflow_usd is None or work is None or served is None:
        return None
    served_usd = asked_usd * min(1.0, served / work) if work else 0.0
    return max(0.0, min(asked_usd - overflow_usd, served_usd))


def continued(known: Experiment | None, saved: object, generation: int) -> Experiment:
    """Go on from memory, else from what was written down; an edit since its end begins it anew.

    An end that could not be written down yet is one all the same.
    """
    found = _saved(saved)
    if known is None or (found and found.ended_at_generation not in {None, generation}):
        return recalled(saved, generation)
    return known


def recalled(saved: object, generation: int) -> Experiment:
    """Go on from what was written down; an edit since its end begins it anew."""
    found = _saved(saved)
    if found is None or found.ended_at_generation not in {None, generation}:
        return Experiment()
    return Experiment(
        window=_read(found.window),
        last=_read(found.last) if found.last else None,
        ended=found.ended_at_generation is not None,
    )


def _saved(saved: object) -> ExperimentStatus | None:
    try:
        return ExperimentStatus.model_validate(saved)
    except ValidationError:
        return None


def experiment_status(
    before: Manifest | None, experiment: Experiment | None, generation: int, now_s: float
) -> Manifest | None:
    """Write it down where that says something new."""
    if experiment is None:
        return None
    shown = experiment.last or experiment.window
    saved = shown.saved_per_usd
    made = ExperimentStatus(
        updated_at=timestamp(now_s),
        window=_written(experiment.window),
        last=_written(experiment.last) if experiment.last else None,
        ended_at_generation=generation if experiment.ended else None,
        display="–" if saved is None else f"{saved:.2f}",
    ).to_json()
    if before is None or before.get("updatedAt", "") <= timestamp(now_s - WRITTEN_EVERY_S):
        return made
    turned = any(before.get(name) != made.get(name) for name in ("last", "endedAtGeneration"))
    return made if turned else before


def window_words(window: Window, asked: Asked) -> str:
    """Say what it cost and what it brought."""
    hours, saved = window.watched_s / 3600, window.saved_per_usd
    a_dollar = "" if saved is None else f", {saved:.2f} a dollar"
    return (
        f"in {hours:.1f} hours the small tier cost {window.cost_usd:.2f} USD and saved "
        f"{window.saved_usd:.2f} USD{a_dollar}; spec.experiment asks for "
        f"{asked.least_saved_per_usd:f}"
    )


def ended_words(experiment: Experiment, asked: Asked) -> str:
    """Say the same of one that has ended, and what follows."""
    told = window_words(experiment.last or experiment.window, asked)
    return f"{told}. It is shut down and all goes to the frontier; edit spec to try again"


def _written(window: Window) -> WindowStatus:
    return WindowStatus(
        watched_seconds=round(window.watched_s),
        saved_usd=Decimal(window.saved_usd).quantize(_CENT),
        cost_usd=Decimal(window.cost_usd).quantize(_CENT),
    )


def _read(window: WindowStatus) -> Window:
    return Window(
        watched_s=float(window.watched_seconds),
        saved_usd=float(window.saved_usd),
        cost_usd=float(window.cost_usd),
    )
