"""The fluid simulation: replicas that start slowly, work that flows, what is left over spilled.

In each step the ready replicas take what they can and the rest is paid for at the frontier. A
replica costs rent from the moment it is asked for, and is ready after `startup_steps` of being
asked for without interruption. Shrinking takes the youngest first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.simulate.outcome import Outcome
from overspill.simulate.rule import Seen

if TYPE_CHECKING:
    from overspill.simulate.load import FloatArray, Load, Series
    from overspill.simulate.rule import Rule

Progress = Callable[[int], None]
"""Told now and then how many steps are done."""
Serve = Callable[[int, int], float]
"""From a step and how many replicas are ready in it to the work that they took, in tokens/s."""
_TELL_EVERY: Final = 4096
_Pending = deque[tuple[int, int]]
"""Replicas on their way, oldest first: the step they are ready in, and how many."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flow:
    """Where each step's work went."""

    ready: Series
    spilled_tokens: FloatArray
    gpu_usd: FloatArray
    spilled_usd: FloatArray


def run(
    load: Load, rule: Rule, progress: Progress | None = None, serve: Serve | None = None
) -> Series:
    """Return what the rule asks for in each step, from a cold start; `serve` instead of the flow.

    One plain loop over numbers: a 14-day trace has 120,960 steps.
    """
    low, high = load.economics.min_replicas, load.economics.max_replicas
    step_s, capacity = load.step_s, load.economics.capacity_tokens_per_s
    startup, desired = load.startup_steps, rule.desired
    rates, dollars = (load.work_tokens / step_s).tolist(), (load.frontier_usd / step_s).tolist()
    pending: _Pending = deque()
    series: list[int] = []
    seen = Seen(0.0, 0.0, 0.0, 0.0, 0, 0)
    for i, rate in enumerate(rates):
        if progress is not None and not i % _TELL_EVERY:
            progress(i)
        seen.now_s = i * step_s
        while pending and pending[0][0] <= i:
            seen.ready += pending.popleft()[1]
        wanted = min(max(desired(seen), low), high)
        if wanted != seen.requested:
            seen.ready -= _resize(pending, wanted - seen.requested, i + startup)
            seen.requested = wanted
        series.append(wanted)
        seen.work_tokens_per_s, seen.frontier_usd_per_s = rate, dollars[i]
        seen.served_tokens_per_s = (
            serve(i, seen.ready) if serve else min(rate, seen.ready * capacity)
        )
    return np.array(series, dtype=np.int64)


def _resize(pending: _Pending, more: int, ready_in: int) -> int:
    """Ask for more, or take back the youngest; return how many ready ones go too."""
    if more > 0:
        pending.append((ready_in, more))
        return 0
    excess = -more
    while excess and pending:
        due, count = pending.pop()
        if count > excess:
            pending.append((due, count - excess))
        excess = max(0, excess - count)
    return excess


def flow(load: Load, requested: Series) -> Flow:
    """Follow the work of a whole series of requests at once."""
    ready = trailing_minimum(requested, load.startup_steps + 1)
    spilled = np.maximum(load.work_tokens - ready * load.replica_tokens, 0.0)
    return Flow(
        ready=ready,
        spilled_tokens=spilled,
        gpu_usd=np.multiply(requested, load.rent_usd, dtype=np.float64),
        spilled_usd=spilled * load.usd_per_token,
    )


def account(load: Load, requested: Series) -> Outcome:
    """Add up what a series of requests costs, from a cold start."""
    flows = flow(load, requested)
    changes = np.diff(requested, prepend=0)
    work = float(load.work_tokens.sum())
    return Outcome(
        gpu_cost_usd=float(flows.gpu_usd.sum()),
        frontier_cost_usd=float(flows.spilled_usd.sum()),
        spilled_share=float(flows.spilled_tokens.sum()) / work if work else 0.0,
        starts=int(changes[changes > 0].sum()),
        stops=int(-changes[changes < 0].sum()),
        peak_replicas=int(requested.max()),
    )


def trailing_minimum(values: Series, window: int) -> Series:
    """Return min(values[i - window + 1 .. i]) for each i, with zeros before the first.

    The span that a pass covers doubles, so the passes are as many as the window has binary digits.
    """
    lows = np.concatenate([np.zeros(window - 1, dtype=values.dtype), values])
    span = 1
    while span < window:
        shift = min(span, window - span)
        lows = np.minimum(lows[:-shift], lows[shift:])
        span += shift
    return lows
