"""`make bench-stream`: is the promise kept on recorded outcomes, played as live traffic?

Each file is shuffled and played from a cold start, without the prior, which has seen these sets.
Beside it the best split by lot: the least share at the frontier that holds the floor, which only
hindsight knows.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.progress import track

from bench import report
from bench.routing import DATA
from overspill.learning.design import design_of
from overspill.learning.examples import read_examples
from overspill.learning.replay import replay
from overspill.learning.trial import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.learning.design import Design
    from overspill.learning.examples import Examples

PRICE_RATIO: Final = 100.0
FEWEST: Final = 300
"""Examples: with fewer there is nothing to learn and to bank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One order of one file."""

    file: str
    seed: int
    achieved: float
    """Quality, of the frontier's."""
    share: float
    """At the frontier."""
    saving: float
    estimate: float
    low: float
    """What the operator would say of `achieved`, and the lower end of its interval."""


@lru_cache(maxsize=1)
def _read(path: Path) -> tuple[Examples, Design]:
    examples = read_examples(path)
    return examples, design_of(examples.prompts)


def play(path: Path, seed: int, floor: float, confidence: float) -> Run:
    """Play one file in one order."""
    examples, design = _read(path)
    order = np.random.default_rng(seed).permutation(len(examples))
    shuffled = examples.take(order)
    done = replay(
        shuffled,
        None,
        floor=floor,
        confidence=confidence,
        sample_rate=0.5,
        seed=seed,
        design=design.take(order),
    )
    found = verdict(shuffled, done.served, floor=floor, price_ratio=PRICE_RATIO)
    estimate, low, _ = done.bank.quality(floor, confidence)
    return Run(
        file=path.name.removesuffix(".jsonl.gz"),
        seed=seed,
        achieved=found.achieved_quality,
        share=found.frontier_share,
        saving=found.cost_saving,
        estimate=estimate,
        low=low,
    )


def by_lot(path: Path, floor: float) -> float:
    """Return the least share that a split by lot must send to hold the floor."""
    examples, _ = _read(path)
    small, frontier = float(examples.small.mean()), float(examples.frontier.mean())
    return max(0.0, (floor * frontier - small) / (frontier - small))


def main() -> None:
    """Play, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of graded prompts")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--floor", type=float, default=0.95)
    parser.add_argument("--confidence", type=float, default=0.95)
    options = parser.parse_args()
    paths = [
        path for path in sorted(options.data.glob("*.jsonl.gz")) if len(_read(path)[0]) >= FEWEST
    ]
    runs: list[Run] = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        asked = [
            pool.submit(play, path, seed, options.floor, options.confidence)
            for path in paths
            for seed in range(options.seeds)
        ]
        told = track(as_completed(asked), "playing", total=len(asked), console=report.console())
        runs = [one.result() for one in told]
    lots = {path.name.removesuffix(".jsonl.gz"): by_lot(path, options.floor) for path in paths}
    figures = [_figures(name, lot, runs, options.floor) for name, lot in lots.items()]
    report.write("stream", {"sets": figures, "seeds": options.seeds}, _rows(figures), ["overspill"])


def _figures(name: str, lot: float, runs: Sequence[Run], floor: float) -> dict[str, float | str]:
    mine = [run for run in runs if run.file == name]
    achieved = np.array([run.achieved for run in mine])
    return {
        "set": name,
        "broken": float((achieved < floor).mean()),
        "achieved": float(achieved.mean()),
        "frontier_share": float(np.mean([run.share for run in mine])),
        "best_by_lot": lot,
        "saving": float(np.mean([run.saving for run in mine])),
        "interval_held": float(np.mean([run.low <= run.achieved for run in mine])),
    }


def _rows(figures: Sequence[dict[str, float | str]]) -> list[list[str]]:
    head = ["set", "broken", "quality", "frontier share", "best by lot", "saved", "interval held"]
    names = ("broken", "achieved", "frontier_share", "best_by_lot", "saving", "interval_held")
    return [head, *([str(one["set"]), *(f"{one[name]:.3f}" for name in names)] for one in figures)]


if __name__ == "__main__":
    main()
