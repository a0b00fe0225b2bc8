"""What the operator remembers of a policy between two looks, and how it outlives the process.

The copy in memory is authoritative while the process runs; `status.scalingState` is read once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from overspill.api.status import ScalingState
from overspill.controller.observation import Coverage
from overspill.scaling import LevelState, carried

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.api.policy import RoutingPolicySpec
    from overspill.budget import BudgetState
    from overspill.controller.keys import Manifest
    from overspill.controller.learning import Lessons
    from overspill.scaling import Economics, Replicas

STATE_VERSION: Final = 1
WORTH_WRITING: Final = 0.02
"""A level that moved by this share of a start's cost is written down."""
_MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One policy's memory; `uid` tells a policy from an earlier one of the same name."""

    uid: str
    lessons: Lessons | None = None
    node_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of the nodes that replicas run on, where replicas cost by them."""
    economics: Economics | None = None
    """What the last decision was reckoned with."""
    levels: LevelState | None = None
    levels_written: LevelState | None = None
    decided_at_s: float | None = None
    """When demand was last credited."""
    desired: int | None = None
    budget: BudgetState | None = None
    status: Manifest | None = None
    """The status as last written."""
    revision: str = ""
    published_at_s: float = 0.0
    coverage: Coverage = field(default_factory=Coverage)
    coverage_at_s: float | None = None


def elapsed_s(memory: Memory, now_s: float, interval_s: float) -> float:
    """Seconds for which the demand seen now is credited.

    Never more than two intervals: nobody looked in the time before. Nothing for the first look.
    """
    if memory.decided_at_s is None:
        return 0.0
    return min(max(0.0, now_s - memory.decided_at_s), 2 * interval_s)


def seeded(
    memory: Memory, replicas: Replicas | None, spec: RoutingPolicySpec
) -> tuple[Memory, str]:
    """Give break-even its memory back, or start it from what runs; say if it was unreadable."""
    if memory.levels is not None or replicas is None:
        return memory, ""
    start = LevelState(on=min(replicas.requested, spec.small.replicas.max))
    saved = (memory.status or {}).get("scalingState")
    if saved is None:
        return replace(memory, levels=start), ""
    try:
        levels = load_levels(saved)
    except ValueError as error:
        problem = f"status.scalingState was dropped: {error}; starting anew from {start.on}"
        return replace(memory, levels=start), problem
    return replace(memory, levels=levels, levels_written=levels), ""


def reckoned(memory: Memory, economics: Economics) -> Memory:
    """Go on with these numbers: edited prices and learned physics turn no level by themselves."""
    levels = memory.levels
    if levels is not None and memory.economics is not None:
        levels = carried(levels, memory.economics, economics)
    return replace(memory, levels=levels, economics=economics)


def dump_levels(levels: LevelState, updated_at: str) -> dict[str, Any]:
    """Write break-even's memory down, in whole micro-dollars; levels without any are left out."""
    micros = [round(usd * _MICROS) for usd in levels.accrued_usd]
    while micros and micros[-1] == 0:
        micros.pop()
    return ScalingState(
        version=STATE_VERSION,
        updated_at=updated_at,
        replicas_on=levels.on,
        accrued_usd_micros=tuple(micros),
    ).to_json()


def load_levels(saved: object) -> LevelState:
    """Read it back. Raises: ValueError for what no version of the operator wrote."""
    try:
        state = ScalingState.model_validate(saved)
    except ValidationError as error:
        raise ValueError(f"{error.error_count()} fields of it cannot be read") from None
    if state.version != STATE_VERSION:
        raise ValueError(f"it has version {state.version}; this operator reads {STATE_VERSION}")
    if state.replicas_on < 0 or any(micros < 0 for micros in state.accrued_usd_micros):
        raise ValueError("it holds a negative amount")
    accrued = tuple(micros / _MICROS for micros in state.accrued_usd_micros)
    return LevelState(on=state.replicas_on, accrued_usd=accrued)


def worth_writing(written: LevelState | None, now: LevelState, start_cost_usd: float) -> bool:
    """Whether a restart would lose something that matters."""
    if written is None or written.on != now.on:
        return True
    least = max(start_cost_usd * WORTH_WRITING, 1 / _MICROS)
    levels = range(1, max(len(written.accrued_usd), len(now.accrued_usd)) + 1)
    return any(abs(written.level(k) - now.level(k)) >= least for k in levels)
