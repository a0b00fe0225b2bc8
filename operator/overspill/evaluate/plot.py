"""A promise as a picture: quality as it was and as trials told it, and what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from overspill.learning.replay import Look

_INK, _PALE, _OURS, _FLOOR = "#333333", "#c9d3dc", "#0b6e99", "#d1495b"
_ROOM: Final = 0.02


def draw(path: Path, title: str, looks: Sequence[Look], floor: float) -> None:
    """Write a PNG. Raises: OSError."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    quality, share = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    title = title.encode(errors="replace").decode()  # a file's name may be no text
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    _draw_quality(quality, looks, floor)
    _draw_share(share, looks)
    share.set_xlabel("requests")
    for panel in (quality, share):
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlim(0, looks[-1].requests)
    figure.savefig(path, dpi=110, format="png")


def _draw_quality(panel: Axes, looks: Sequence[Look], floor: float) -> None:
    at = [look.requests for look in looks]
    achieved = [look.quality for look in looks]
    low, high = ([getattr(look, name) for look in looks] for name in ("low", "high"))
    told = [look.estimate for look in looks]
    panel.fill_between(at, low, high, color=_PALE, lw=0, label="as trials tell it, interval")
    mark = "o" if len(at) == 1 else ""  # one look is no line
    panel.plot(at, told, color=_OURS, lw=1.3, marker=mark, ms=7, label="as trials tell it")
    panel.plot(at, achieved, color=_INK, lw=1.3, marker=mark, ms=4, label="as it was")
    panel.axhline(floor, color=_FLOOR, lw=1.1, ls="--", label=f"floor {floor:g}")
    panel.set_ylabel("quality so far ÷ frontier's")
    panel.set_ylim(min(floor, *achieved) - _ROOM, max(1.0, *achieved) + _ROOM)
    panel.legend(loc="lower right", frameon=False, ncols=2, fontsize=9)


def _draw_share(panel: Axes, looks: Sequence[Look]) -> None:
    ends = np.array([0, *(look.requests for look in looks)])
    shares = np.array([look.share for look in looks])
    panel.stairs(shares, ends, fill=True, color=_OURS, alpha=0.85)
    mean = float((shares * np.diff(ends)).sum() / ends[-1])
    panel.set_ylim(0, 1)
    panel.set_ylabel("at the frontier")
    title = f"{mean:.1%} of the requests went to the frontier, trials included"
    panel.set_title(title, loc="left", fontsize=9)
