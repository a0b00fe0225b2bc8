"""The comparison as a picture: demand and replicas, what was spilled, what it all cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure

from overspill.simulate.contest import OPTIMAL, OURS, Result
from overspill.simulate.engine import flow
from overspill.simulate.table import in_usd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from overspill.simulate.load import FloatArray, Load

_POINTS: Final = 1000
"""More than this many points across the picture are a blot."""
_TOP: Final = 3.0
"""Dearer by this factor than ours, a rule leaves the picture: it would squash the others."""
_INK, _PALE, _OURS, _SPILL = "#333333", "#c9d3dc", "#0b6e99", "#d1495b"
_OTHERS: Final = ("#8c6bb1", "#e09f3e", "#5c946e", "#a26769", "#4f5d75", "#b5838d", "#6d9dc5")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Axis:
    """Time across the picture, in buckets of several steps."""

    begins: np.ndarray[tuple[int], np.dtype[np.int64]]
    unit: str
    edges: FloatArray
    """Each bucket's beginning, in that unit, and the last one's end."""

    def mean(self, values: FloatArray) -> FloatArray:
        """Return one a bucket, the last twice: it lasts until the end."""
        sizes = np.diff(self.begins, append=len(values))
        means = np.add.reduceat(values, self.begins) / sizes
        return np.append(means, means[-1])

    def peak(self, values: FloatArray) -> FloatArray:
        """Return one a bucket, the last twice."""
        peaks = np.maximum.reduceat(values, self.begins)
        return np.append(peaks, peaks[-1])

    def total(self, values: FloatArray) -> FloatArray:
        """Return the sum until each edge: nothing at the first, all at the last."""
        so_far: FloatArray = np.append(0.0, np.cumsum(values))
        sums: FloatArray = so_far[np.append(self.begins, len(values))]
        return sums


def draw(path: Path, title: str, results: Sequence[Result]) -> None:
    """Write a PNG. Raises: OSError."""
    ours = next(one for one in results if one.rule == OURS)
    axis = _axis(ours.load)
    figure = Figure(figsize=(11, 9), layout="constrained")
    replicas, spill, cost = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1.3, 3])
    title = title.encode(errors="replace").decode()  # a file's name may be no text
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    _draw_replicas(replicas, axis, ours)
    _draw_spill(spill, axis, ours)
    _draw_cost(cost, axis, results)
    cost.set_xlabel(axis.unit)
    for panel in (replicas, spill, cost):
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlim(0, ours.load.steps * ours.load.step_s / _UNITS_S[axis.unit])
        panel.set_ylim(bottom=0)
    figure.savefig(path, dpi=110, format="png")


_UNITS_S: Final = {"days": 86_400.0, "hours": 3600.0, "minutes": 60.0}


def _axis(load: Load) -> _Axis:
    length_s = load.steps * load.step_s
    unit = next((name for name, unit_s in _UNITS_S.items() if length_s > 2 * unit_s), "minutes")
    begins = np.unique(np.linspace(0, load.steps, _POINTS, endpoint=False).astype(np.int64))
    edges = np.append(begins, load.steps).astype(np.float64) * (load.step_s / _UNITS_S[unit])
    return _Axis(begins=begins, unit=unit, edges=edges)


def _draw_replicas(panel: Axes, axis: _Axis, ours: Result) -> None:
    load = ours.load
    demand = load.work_tokens / load.replica_tokens
    ready = flow(load, ours.requested).ready.astype(np.float64)
    peak, mean = axis.peak(demand), axis.mean(demand)
    panel.fill_between(
        axis.edges, peak, color=_PALE, lw=0, step="post", label="demand, highest step"
    )
    panel.step(axis.edges, mean, color=_INK, lw=0.9, where="post", label="demand, mean")
    panel.step(axis.edges, axis.mean(ready), color=_OURS, lw=1.3, where="post", label="ready")
    panel.set_ylabel("replicas")
    panel.legend(loc="upper left", frameon=False, ncols=3, fontsize=9)
    panel.set_ylim(top=1.15 * float(max(peak.max(), ready.max())) or 1)


def _draw_spill(panel: Axes, axis: _Axis, ours: Result) -> None:
    spilled = flow(ours.load, ours.requested).spilled_tokens / ours.load.replica_tokens
    panel.fill_between(axis.edges, axis.mean(spilled), color=_SPILL, lw=0, step="post")
    panel.set_ylabel("spilled,\nin replicas")
    share = f"{ours.outcome.spilled_share:.2%} of the work spilled"
    panel.set_title(share, loc="left", fontsize=9)


def _draw_cost(panel: Axes, axis: _Axis, results: Sequence[Result]) -> None:
    colours = iter(_OTHERS * 2)
    totals = {one.rule: one.outcome.total_cost_usd for one in results}
    shown = max(total for total in totals.values() if total <= _TOP * totals[OURS])
    for result in sorted(results, key=lambda one: -one.outcome.total_cost_usd):
        flows, total = flow(result.load, result.requested), totals[result.rule]
        spent = axis.total(flows.gpu_usd + flows.spilled_usd)
        style = _style(result.rule) or {"color": next(colours), "lw": 1.1}
        panel.plot(axis.edges, spent, label=f"{result.rule}  {in_usd(total)}", **style)
    panel.set_ylim(top=shown * 1.05 or 1)
    panel.set_ylabel("USD so far")
    beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1), "alignment": "left"}
    panel.legend(title="total USD", frameon=False, fontsize=9, **beside)


def _style(rule: str) -> dict[str, Any]:
    if rule == OURS:
        return {"color": _OURS, "lw": 2.4, "zorder": 3}
    return {"color": _INK, "lw": 1.2, "ls": ":"} if rule == OPTIMAL else {}
