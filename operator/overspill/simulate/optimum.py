"""The clairvoyant optimum: no rule that starts cold can cost less.

Replica k takes the slice of each step's work between (k-1)·μ and k·μ, whatever the others do, so
every level can be solved alone. The best levels are nested (a lower slice is never worth less), so
the levels that are asked for at a time add up to a count.

A level is off, on its way (pays rent, serves nothing) or on. With G the gain of being on for a
step, slice × price - rent, and S the rent of a whole start:

    on[i+1]  = max(on[i], off[i-n] - S) + G[i]
    off[i+1] = max(off[i], on[i+1])
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overspill.simulate.engine import Progress
    from overspill.simulate.load import FloatArray, Load, Series

Flags = NDArray[np.bool_]
_CHUNK: Final = 64
"""Levels solved side by side: wide enough for numpy, few enough that idle steps can be left out."""
_BLOCK: Final = 2048
"""Steps whose gains are laid out at once: 1 MiB of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turns:
    """Where a level changes sides; one row a step, one column a level."""

    started: Flags
    """On after the step is best reached by having started n steps before it."""
    stopped: Flags
    """Off after the step is best reached by having been on until then."""


def optimum(load: Load, progress: Progress | None = None) -> Series:
    """Return the cheapest series of requests, within the policy's bounds and from a cold start."""
    low, high = load.economics.min_replicas, load.most_useful
    changes = np.zeros(load.steps + 1, dtype=np.int64)
    for first in range(low, high, _CHUNK):
        if progress is not None:
            progress(load.steps * (first - low) // (high - low))
        _add_levels(load, first, min(first + _CHUNK, high), changes)
    return low + np.cumsum(changes[:-1])


def _add_levels(load: Load, first: int, last: int, changes: Series) -> None:
    """Solve the levels first+1 .. last and add where each starts and stops."""
    kept = _worth_a_look(load.work_tokens > first * load.replica_tokens, load.startup_steps + 1)
    turns = _solve(load, np.arange(float(first), last) * load.replica_tokens, kept)
    for level in range(last - first):
        started = np.flatnonzero(turns.started[:, level]).tolist()
        stopped = np.flatnonzero(turns.stopped[:, level]).tolist()
        for begin, end in _intervals(started, stopped, load.startup_steps):
            changes[kept[begin]] += 1
            changes[kept[end] + 1] -= 1


def _worth_a_look(busy: Flags, lead: int) -> Series:
    """Return the steps that are busy or at most `lead` before one that is.

    No level stays on through a longer gap: to start again costs less. So where it is cut does not
    matter.
    """
    steps = np.arange(len(busy))
    next_busy = np.minimum.accumulate(np.where(busy, steps, 2 * len(busy) + lead)[::-1])[::-1]
    return np.flatnonzero(next_busy - steps <= lead)


def _solve(load: Load, bases: FloatArray, kept: Series) -> _Turns:
    """Go forward through the steps, all levels at once."""
    shape = (len(kept), len(bases))
    turns = _Turns(started=np.empty(shape, np.bool_), stopped=np.empty(shape, np.bool_))
    startup, start_usd = load.startup_steps, load.startup_steps * load.rent_usd
    ring = [*np.full((startup + 1, len(bases)), -np.inf)]  # off - S of the last steps
    on, off = np.full(len(bases), -np.inf), np.zeros(len(bases))
    rows = zip(_gains(load, bases, kept), turns.started, turns.stopped, strict=True)
    for i, (gain, started, stopped) in enumerate(rows):
        np.subtract(off, start_usd, out=ring[i % (startup + 1)])
        entry = ring[(i + 1) % (startup + 1)]
        np.greater(entry, on, out=started)
        np.maximum(on, entry, out=on)
        on += gain
        np.greater(on, off, out=stopped)
        np.maximum(off, on, out=off)
    return turns


def _gains(load: Load, bases: FloatArray, kept: Series) -> Iterator[FloatArray]:
    """Yield for each step what each level would save by being ready, minus rent."""
    price = load.usd_per_token
    for begin in range(0, len(kept), _BLOCK):
        block = kept[begin : begin + _BLOCK]
        slices = load.work_tokens[block, None] - bases
        np.clip(slices, 0.0, load.replica_tokens, out=slices)
        slices *= price[block, None]
        slices -= load.rent_usd
        yield from slices


def _intervals(started: list[int], stopped: list[int], startup: int) -> Iterator[tuple[int, int]]:
    """Walk back from the end, off: the steps from asking for the level to its last, inclusive."""
    end = len(stopped)
    while end:
        last = stopped[end - 1]
        ready = started[bisect_right(started, last) - 1]
        yield ready - startup, last
        end = bisect_right(stopped, ready - startup - 1)
