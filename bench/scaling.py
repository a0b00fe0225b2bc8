"""`make bench-scaling`: what each way to scale costs on recorded traffic, beside the optimum."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import track

from bench import report, scaling_aims, scaling_tables
from bench.scaling_elsewhere import SETTINGS, tuned_elsewhere
from overspill.scaling import Economics
from overspill.simulate.contest import OPTIMAL, PLAYS, entrants, play
from overspill.simulate.engine import account
from overspill.simulate.load import Load
from overspill.simulate.peers.lanes import lanes
from overspill.simulate.trace import STEP_S, Trace, read_trace

if TYPE_CHECKING:
    from collections.abc import Sequence

TRACES: Final = Path(__file__).parents[2] / "shared" / "data" / "traces"
SIZES: Final = (4, 40)
RATIOS: Final = (2, 5, 20, 75)
STARTUPS_S: Final = (60, 180, 600)
_RENT_USD_PER_S: Final = 2.49 / 3600
_INPUT_WEIGHT: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One trace under one set of prices and physics."""

    trace: str
    size: int
    """Replicas that the mean work fills; chooses a replica's capacity."""
    ratio: int
    """Frontier price of a unit of work, in rents of a full replica's unit."""
    startup_s: int


def load_of(trace: Trace, cell: Cell) -> Load:
    """Price all work alike: input tokens at weight × the output's price."""
    work = trace.output_tokens + _INPUT_WEIGHT * trace.input_tokens
    capacity = float(work.mean()) / STEP_S / cell.size
    usd = work * (cell.ratio * _RENT_USD_PER_S / capacity)
    return Load(
        step_s=STEP_S,
        work_tokens=work,
        frontier_usd=usd,
        economics=Economics(
            capacity_tokens_per_s=capacity,
            rent_usd_per_s=_RENT_USD_PER_S,
            startup_s=float(cell.startup_s),
            min_replicas=0,
            max_replicas=math.ceil(float(work.max()) / STEP_S / capacity),
        ),
        rungs={"frontier": usd},
    )


@lru_cache(maxsize=1)
def _trace(folder: Path, name: str) -> Trace:
    return read_trace(folder / name)


def measure(folder: Path, cell: Cell, rules: Sequence[str]) -> dict[str, Any]:
    """Play the rules; costs are USD, those of each setting of tuned KEDA too."""
    load = load_of(_trace(folder, cell.trace), cell)
    costs: dict[str, float] = {}
    seconds: dict[str, float] = {}
    settings: dict[str, list[float]] = {}
    for rule in (one for one in entrants(load) if one in rules):
        start_s = time.perf_counter()
        if rule == scaling_tables.OPPONENT:
            each = [account(load, lane.requested).total_cost_usd for lane in lanes(load)]
            costs[rule], settings = min(each), {SETTINGS: each}
        else:
            costs[rule] = play(rule, load).outcome.total_cost_usd
        seconds[rule] = time.perf_counter() - start_s
    ratios = {rule: cost / costs[OPTIMAL] for rule, cost in costs.items()}
    found = {"cost_usd": costs, "ratio_to_optimal": ratios, "seconds": seconds}
    return {**asdict(cell), **found, **settings}


def traces_in(folder: Path) -> list[Path]:
    """List recorded traces. Raises: FileNotFoundError saying what to give."""
    paths = sorted(folder.glob("*.csv*"))
    if not paths:
        raise FileNotFoundError(
            f"no traces in {folder}; give a folder of CSV files: ARGS='--traces FOLDER'"
        )
    return paths


def cells(folder: Path, *, short: bool) -> list[Cell]:
    """List what is measured, one trace's cells together. Raises: FileNotFoundError."""
    names = [path.name for path in traces_in(folder)]
    if short:
        return [Cell(trace=names[0], size=4, ratio=ratio, startup_s=180) for ratio in (5, 20)]
    return [
        Cell(trace=trace, size=size, ratio=ratio, startup_s=startup_s)
        for trace, size, ratio, startup_s in product(names, SIZES, RATIOS, STARTUPS_S)
    ]


def measure_all(
    folder: Path, asked: Sequence[Cell], rules: Sequence[str], jobs: int
) -> list[dict[str, Any]]:
    """Measure in parallel processes; results in the order asked."""
    found: dict[int, dict[str, Any]] = {}
    with ProcessPoolExecutor(jobs) as pool:
        waiting = {
            pool.submit(measure, folder, cell, rules): place for place, cell in enumerate(asked)
        }
        done = as_completed(waiting)
        for one in track(done, "cells", total=len(asked), console=Console(stderr=True)):
            found[waiting[one]] = one.result()
    return [found[place] for place in range(len(asked))]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-scaling", description=__doc__)
    parser.add_argument("--traces", type=Path, default=TRACES, help="folder of CSV files")
    parser.add_argument("--rules", nargs="+", choices=PLAYS, default=list(PLAYS))
    parser.add_argument("--short", action="store_true", help="one trace, two cells")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--strict", action="store_true", help="exit 1 on a missed aim")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    args = _arguments(argv)
    try:
        asked = cells(args.traces, short=args.short)
    except FileNotFoundError as error:
        sys.stderr.write(f"bench-scaling: {error}\n")
        return 2
    start_s = time.perf_counter()
    measured = measure_all(args.traces, asked, [*args.rules, OPTIMAL], args.jobs)
    found = tuned_elsewhere(measured)
    verdicts = scaling_tables.judge(found)
    aims = scaling_aims.reached(found)
    seconds = time.perf_counter() - start_s
    figures = {"cells": found, "verdicts": verdicts, "aims": aims, "seconds": seconds}
    report.write("scaling", figures, scaling_tables.rows(found), packages=["overspill", "numpy"])
    (report.OUT / "scaling.md").write_text(scaling_tables.markdown(found))
    for line in (*scaling_tables.lines(verdicts), *scaling_aims.lines(aims)):
        report.console().print(line)
    lost = [one for one in verdicts if one["rival"] == scaling_tables.OPPONENT and one["lost"]]
    reached = bool(aims) and all(one["passed"] for one in aims)  # nothing judged is not reached
    return int(args.strict and (bool(lost) or not reached))


if __name__ == "__main__":
    raise SystemExit(main())
