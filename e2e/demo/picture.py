"""The demo as one PNG: demand, replicas, spill and spend over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")
import itertools

from matplotlib import pyplot as plt

from e2e.demo import samples as demo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from e2e.app.asks import Ask

SMALL, FRONTIER, DEMAND, GREY = "#2a9d8f", "#e76f51", "#264653", "#8d99ae"


def draw(path: Path, seen: Sequence[demo.Sample], asks: Sequence[Ask], prices: demo.Prices) -> None:
    """Write the picture."""
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(10, 8.4), sharex=True, layout="constrained"
    )
    _replicas(top, seen)
    _answers(middle, seen)
    _dollars(bottom, seen, asks, prices)
    for axes in (top, middle, bottom):
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0)
        axes.legend(loc="upper left", frameon=False, fontsize=9)
    bottom.set_xlabel("seconds")
    figure.suptitle(
        "Overspill: small replicas follow demand, the frontier takes the rest",
        x=0.01,
        ha="left",
        fontsize=13,
        fontweight="bold",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _replicas(axes: Axes, seen: Sequence[demo.Sample]) -> None:
    at = [s.at_s for s in seen]
    axes.plot(at, [s.demand_replicas for s in seen], color=DEMAND, lw=1.4, label="demand")
    axes.step(
        at, [s.desired for s in seen], where="post", color=GREY, ls="--", lw=1.4, label="asked for"
    )
    ready = [s.ready for s in seen]
    axes.fill_between(at, ready, step="post", color=SMALL, alpha=0.25)
    axes.step(at, ready, where="post", color=SMALL, lw=1.6, label="ready")
    axes.set_ylabel("replicas")


def _answers(axes: Axes, seen: Sequence[demo.Sample]) -> None:
    pairs = [(a, b) for a, b in itertools.pairwise(seen) if b.at_s > a.at_s]
    at = [b.at_s for _, b in pairs]
    small = [(b.small_answers - a.small_answers) / (b.at_s - a.at_s) for a, b in pairs]
    frontier = [(b.frontier_answers - a.frontier_answers) / (b.at_s - a.at_s) for a, b in pairs]
    axes.stackplot(
        at, small, frontier, colors=[SMALL, FRONTIER], labels=["small tier", "frontier"], alpha=0.8
    )
    axes.set_ylabel("answers per second")


def _dollars(
    axes: Axes, seen: Sequence[demo.Sample], asks: Sequence[Ask], prices: demo.Prices
) -> None:
    at = [s.at_s for s in seen]
    rent = [demo.gpu_usd(seen[: n + 1], prices) for n in range(len(seen))]
    spend = [s.spend_usd for s in seen]
    alone = [demo.frontier_only_usd(asks[: s.sent], prices) for s in seen]
    axes.plot(at, alone, color=GREY, ls="--", label="frontier for everything")
    axes.stackplot(
        at, spend, rent, colors=[FRONTIER, SMALL], labels=["frontier spend", "GPU rent"], alpha=0.8
    )
    axes.set_ylabel("USD, total")
