"""`make bench-stream`: is the promise kept on recorded outcomes, played as live traffic?

Each file is shuffled and played from a cold start, without the prior, which has seen these sets.
Beside it, of what only hindsight knows: the best split by lot, the least share at the frontier that
holds the floor on the mean, and the least that does in as many draws as is promised (on the mean is
in every other); and the best plan, the least with which its own trials would have proved it. And
what knows no more than we do at the start: the same promise kept by lot alone, without a score.
With --drift, traffic turns from one file to another midway instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.progress import track

from bench import report
from bench.routing import DATA
from overspill.learning.design import design_of
from overspill.learning.examples import joined, read_examples
from overspill.learning.replay import replay, share_by_lot
from overspill.learning.trial import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.learning.design import Design, Floats
    from overspill.learning.examples import Examples

PRICE_RATIO: Final = 100.0
DRIFTS: Final = (
    ("routellm_mmlu", "mmlupro_llama31-8b_gemini15pro"),
    ("routellm_mmlu", "zeroeval_gsm"),
    ("zeroeval_gsm", "routellm_mmlu"),
)
"""From one pair of models and kind of question to another."""
DRIFT_ROWS: Final = 3000
"""Of each file at most."""
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
    worst: float
    """Quality at the worst of all looks."""
    proved: float
    """What the best plan would have sent."""
    blind: float
    """What the same promise would have sent by lot alone, without a score."""
    after: float
    """Quality after traffic has turned, of the frontier's there; that of all where it has not."""


@lru_cache(maxsize=2)
def _read(path: Path) -> tuple[Examples, Design]:
    examples = read_examples(path)
    return examples, design_of(examples.prompts)


def play(paths: tuple[Path, ...], seed: int, floor: float, confidence: float) -> Run:
    """Play files one after the other, each in an order of its own."""
    chance = np.random.default_rng(seed)
    parts = [_read(path)[0] for path in paths]
    most = DRIFT_ROWS if len(paths) > 1 else None
    orders = [chance.permutation(len(part))[:most] for part in parts]
    shuffled = joined([part.take(order) for part, order in zip(parts, orders, strict=True)])
    one = len(paths) == 1
    design = _read(paths[0])[1].take(orders[0]) if one else design_of(shuffled.prompts)
    done = replay(
        shuffled,
        None,
        floor=floor,
        confidence=confidence,
        sample_rate=0.5,
        seed=seed,
        design=design,
    )
    found = verdict(shuffled, done.served, floor=floor, price_ratio=PRICE_RATIO)
    estimate, low, _ = done.bank.quality(floor, confidence)
    last = slice(len(shuffled) - len(orders[-1]), None)
    got = np.where(done.served.frontier, shuffled.frontier, shuffled.small)
    return Run(
        file=_name(paths),
        seed=seed,
        achieved=found.achieved_quality,
        share=found.frontier_share,
        saving=found.cost_saving,
        estimate=estimate,
        low=low,
        worst=min(look.quality for look in done.looks),
        proved=proved(shuffled, done.served.scores, floor, confidence),
        blind=share_by_lot(shuffled, floor=floor, confidence=confidence, seed=seed, design=design),
        after=float(got[last].sum() / shuffled.frontier[last].sum()),
    )


def proved(examples: Examples, scores: Floats, floor: float, confidence: float) -> float:
    """Return the least share of one plan whose own trials prove the floor at the end."""
    order, many = np.argsort(scores, kind="stable"), len(examples)
    lost = (examples.small - floor * examples.frontier)[order]
    gained = (1.0 - floor) * examples.frontier[order]
    below, rates = np.arange(1, many + 1), np.linspace(0.01, 0.99, 99)[:, None]
    sums, gains = np.cumsum(lost), np.cumsum(gained)
    margin = gains[-1] - (1.0 - rates) * (gains - sums)
    spread = np.maximum(np.cumsum(lost**2) - sums**2 / below, 0.0) * (1.0 - rates) / rates
    holds = margin >= NormalDist().inv_cdf(confidence) * np.sqrt(spread)
    return float(np.where(holds, 1.0 - (1.0 - rates) * below / many, 1.0).min())


def _name(paths: tuple[Path, ...]) -> str:
    return " → ".join(path.name.removesuffix(".jsonl.gz") for path in paths)


def by_lot(examples: Examples, floor: float, confidence: float = 0.5) -> float:
    """Return the least share that a split by lot must send to hold the floor.

    It is held in that part of all draws: 0.5 is on the mean.
    """
    shares = np.linspace(0.0, 1.0, 10_001)
    margin = examples.small.sum() - floor * examples.frontier.sum() + shares * examples.gains.sum()
    spread = np.sqrt(shares * (1.0 - shares) * (examples.gains**2).sum())
    holds = margin >= NormalDist().inv_cdf(confidence) * spread
    return float(np.where(holds, shares, 1.0).min())


def _whole(paths: tuple[Path, ...]) -> Examples:
    parts = [_read(path)[0] for path in paths]
    most = DRIFT_ROWS if len(paths) > 1 else None
    return joined([part.take(np.arange(len(part))[:most]) for part in parts])


def plays_of(folder: Path, *, drift: bool) -> list[tuple[Path, ...]]:
    """List what is played. Raises: FileNotFoundError saying what to give."""
    files = sorted(folder.glob("*.jsonl.gz"))
    plays: list[tuple[Path, ...]] = [(path,) for path in files if len(_read(path)[0]) >= FEWEST]
    if drift:
        known = {_name((path,)): path for path in files}
        plays = [
            tuple(known[name] for name in names) for names in DRIFTS if known.keys() >= {*names}
        ]
    if not plays:
        wanted = " and ".join(DRIFTS[0]) if drift else f"with {FEWEST} prompts or more"
        raise FileNotFoundError(
            f"no *.jsonl.gz {wanted} in {folder}; give a folder of graded prompts: "
            "ARGS='--data FOLDER'"
        )
    return plays


def main(argv: Sequence[str] | None = None) -> int:
    """Play, print, write; 2 where there is nothing to play."""
    parser = argparse.ArgumentParser(prog="make bench-stream", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of graded prompts")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--floor", type=float, default=0.95)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--drift", action="store_true", help="let traffic turn midway")
    options = parser.parse_args(argv)
    try:
        plays = plays_of(options.data, drift=options.drift)
    except FileNotFoundError as error:
        sys.stderr.write(f"bench-stream: {error}\n")
        return 2
    runs: list[Run] = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        asked = [
            pool.submit(play, paths, seed, options.floor, options.confidence)
            for paths in plays
            for seed in range(options.seeds)
        ]
        told = track(as_completed(asked), "playing", total=len(asked), console=report.console())
        runs = [one.result() for one in told]
    figures = [
        _figures(_name(paths), _whole(paths), runs, options.floor, options.confidence)
        for paths in plays
    ]
    name = "stream-drift" if options.drift else "stream"
    report.write(name, {"sets": figures, "seeds": options.seeds}, _rows(figures), ["overspill"])
    return 0


def _figures(
    name: str, examples: Examples, runs: Sequence[Run], floor: float, confidence: float
) -> dict[str, float | str]:
    mine = [run for run in runs if run.file == name]
    achieved = np.array([run.achieved for run in mine])
    return {
        "set": name,
        "broken": float((achieved < floor).mean()),
        "ever_broken": float(np.mean([run.worst < floor for run in mine])),
        "achieved": float(achieved.mean()),
        "frontier_share": float(np.mean([run.share for run in mine])),
        "best_by_lot": by_lot(examples, floor),
        "best_by_lot_as_sure": by_lot(examples, floor, confidence),
        "best_proved": float(np.mean([run.proved for run in mine])),
        "blind": float(np.mean([run.blind for run in mine])),
        "saving": float(np.mean([run.saving for run in mine])),
        "after": float(np.mean([run.after for run in mine])),
        "after_least": float(np.quantile([run.after for run in mine], 0.05)),
        "interval_held": float(np.mean([run.low <= run.achieved for run in mine])),
    }


def _rows(figures: Sequence[dict[str, float | str]]) -> list[list[str]]:
    head = [
        "set",
        "broken",
        "ever",
        "quality",
        "share",
        "no score",
        "by lot",
        "as sure",
        "proved",
        "saved",
        "interval held",
        "last file",
    ]
    names = (
        "broken",
        "ever_broken",
        "achieved",
        "frontier_share",
        "blind",
        "best_by_lot",
        "best_by_lot_as_sure",
        "best_proved",
        "saving",
        "interval_held",
        "after",
    )
    return [head, *([str(one["set"]), *(f"{one[name]:.3f}" for name in names)] for one in figures)]


if __name__ == "__main__":
    raise SystemExit(main())
