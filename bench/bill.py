"""`make bench-bill`: the whole bill of routing by score, scaling and budget, and its quality.

Each request of a recorded trace is a graded prompt, drawn at random; its score comes from a model
that did not see it. A full replica's tokens cost 1% of the frontier's.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import track

from bench import report
from bench.bill_account import FLOORS, answers, billed, frontier_only
from bench.bill_replay import MEAN_REPLICAS, SMALL_PRICE, STARTUP_S, play
from bench.bill_traffic import DAY_STEPS, graded, mixed, read_counts
from bench.routing import DATA
from bench.scaling import TRACES
from overspill.learning.examples import read_examples
from overspill.learning.trial import cross_validated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bill_account import Bill
    from bench.bill_traffic import Graded, Traffic

OUTCOMES: Final = DATA / "routellm_mmlu.jsonl.gz"
SENT: Final = (0, 2, 4, 6, 8, 9, 10, 12, 14, 15, 16, 17, 18)
"""Groups that go to the frontier: shares of 0, 0.1, 0.2 …; finer where an aim may lie."""
BUDGETED: Final = (4, 10, 16)
BUDGET: Final = 0.5
"""Of what a day would cost at the frontier on average."""
DAYS: Final = 7
OURS: Final = "overspill"
STATIC: Final = "best count"
HALF: Final = "half budget"


def bills_of(traffic: Traffic, prompts: Graded) -> list[Bill]:
    """Play every way."""
    days = traffic.steps / DAY_STEPS
    found = [frontier_only(traffic)]
    for groups in SENT:
        played = play(traffic, groups)
        found.append(billed(OURS, traffic, prompts, played))
        found.append(billed(STATIC, traffic, prompts, play(traffic, groups, static=True)))
        if groups in BUDGETED:
            limit_usd = BUDGET * played.frontier_usd / days
            held = play(traffic, groups, limit_usd=limit_usd)
            found.append(billed(HALF, traffic, prompts, held))
    return found


def rows(name: str, bills: Sequence[Bill]) -> list[list[str]]:
    """Lay one trace's bills out."""
    return [
        [
            name,
            bill.way,
            f"{bill.score_share:.2f}",
            f"{bill.total_usd:,.0f}",
            f"{bill.of_frontier_only:.3f}",
            f"{bill.quality:.4f}",
            f"{bill.of_frontier_quality:.4f}",
            f"{bill.behind:+.4f} ± {bill.standard_error:.4f}",
            f"{bill.blind_quality:.3f}",
            f"{bill.frontier_share:.1%}",
            f"{bill.lost_share:.2%}",
            f"{bill.gpu_usd:,.0f}",
            f"{bill.frontier_usd:,.0f}",
        ]
        for bill in bills
    ]


HEAD: Final = (
    *("trace", "way", "score", "USD", "÷ all", "quality", "÷ best", "behind ± 1 SE"),
    *("blind", "frontier", "lost", "GPU USD", "frontier USD"),
)


def lines(name: str, found: dict[str, Bill]) -> list[str]:
    """Say the answers."""
    return [
        f"{name}: {what}: {1 - bill.of_frontier_only:.1%} less with {bill.way} at "
        f"{bill.score_share:.2f}, quality {bill.of_frontier_quality:.3f} of the frontier's"
        for what, bill in found.items()
    ]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-bill", description=__doc__)
    parser.add_argument("--traces", type=Path, default=TRACES, help="folder of servegen-*.csv.gz")
    parser.add_argument("--outcomes", type=Path, default=OUTCOMES, help="file of graded prompts")
    parser.add_argument("--days", type=int, default=DAYS, help="of each trace, from its first")
    parser.add_argument("--seed", type=int, default=0, help="of the folds and of the prompts drawn")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Play, print, write."""
    args = _arguments(argv)
    paths = sorted(args.traces.glob("servegen-*.csv*"))
    if not paths or not args.outcomes.exists():
        lacking = args.outcomes if paths else args.traces / "servegen-*.csv.gz"
        sys.stderr.write(
            f"bench-bill: {lacking} is not there; say where recorded traffic and graded prompts "
            "are: ARGS='--traces FOLDER --outcomes FILE'\n"
        )
        return 2
    start_s = time.perf_counter()
    examples = read_examples(args.outcomes)
    # No prior: the one of the package was trained on these very prompts.
    scored = cross_validated(examples, None, floor=FLOORS[0], seed=args.seed)
    prompts = graded(examples, scored.scores)
    bills = {}
    for path in track(paths, "traces", console=Console(stderr=True)):
        counts, work = read_counts(path, args.days * DAY_STEPS)
        name = path.name.split(".")[0]
        bills[name] = bills_of(mixed(counts, work, prompts, args.seed), prompts)
    _write(args, bills, time.perf_counter() - start_s)
    return 0


def _write(args: argparse.Namespace, bills: dict[str, list[Bill]], seconds: float) -> None:
    found = {name: answers(some) for name, some in bills.items()}
    figures: dict[str, Any] = {
        "outcomes": args.outcomes.name,
        "days": args.days,
        "seed": args.seed,
        "small_price": SMALL_PRICE,
        "mean_replicas": MEAN_REPLICAS,
        "startup_s": STARTUP_S,
        "bills": {name: [asdict(bill) for bill in some] for name, some in bills.items()},
        "answers": {
            name: {what: asdict(bill) for what, bill in one.items()} for name, one in found.items()
        },
        "seconds": seconds,
    }
    table = [HEAD, *(row for name, some in bills.items() for row in rows(name, some))]
    report.write("bill", figures, table, packages=["overspill", "numpy"])
    for name, one in found.items():
        for line in lines(name, one):
            report.console().print(line)


if __name__ == "__main__":
    raise SystemExit(main())
