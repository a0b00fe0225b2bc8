"""`make bench-pacing`: what a budget buys over recorded days, spent greedily and spread.

Each day may cost a part of what a day asks of the frontier on average, overflow left aside. Three
priorities ask for fixed shares of it. Nothing is known before the first day.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.progress import track

from bench import report
from bench.scaling import TRACES
from overspill.api.policy import BudgetPeriod
from overspill.budget.pace import Pattern, admit_from, observed
from overspill.budget.period import period_at
from overspill.simulate.trace import STEP_S, read_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STEPS: Final = 6
"""Of the trace, between two looks of the operator: a minute."""
LOOK_S: Final = STEPS * STEP_S
SHARES: Final = (0.3, 0.5, 0.2)
"""Of low, normal and high priority."""
PARTS: Final = (0.3, 0.6)
"""Of what a day asks for on average."""
MONDAY_S: Final = 1_767_571_200.0
"""5 January 2026, midnight UTC."""
MICROS: Final = 1e6
_PRICE: Final = (5.0, 25.0)
"""USD per million tokens, in and out; only its ratio matters."""

Asked = tuple[float, ...]


@dataclass(slots=True)
class Day:
    """What was asked for and what was bought, by priority, in micro-dollars."""

    left: float
    asked: list[float] = field(default_factory=lambda: [0.0] * len(SHARES))
    bought: list[float] = field(default_factory=lambda: [0.0] * len(SHARES))
    broke_s: float = 0.0
    """How long there was nothing left."""

    def buy(self, asked: Asked, wanted: Asked) -> None:
        """Pay for what is wanted, alike where the rest does not suffice."""
        share = min(1.0, self.left / sum(wanted)) if sum(wanted) > 0 else 1.0
        self.broke_s += LOOK_S * (share < 1)
        self.left -= share * sum(wanted)
        for index, (one, taken) in enumerate(zip(asked, wanted, strict=True)):
            self.asked[index] += one
            self.bought[index] += share * taken


def greedy(looks: Sequence[Asked], limit: float) -> list[Day]:
    """Whoever comes first."""
    return _days(looks, limit, lambda _day, _at_s, asked: asked)


def even(looks: Sequence[Asked], limit: float) -> list[Day]:
    """A limit of dollars per second that saves what is not used: whoever comes first within it."""

    def choose(day: Day, at_s: float, asked: Asked) -> Asked:
        passed = (at_s % 86_400 + LOOK_S) / 86_400
        free = max(0.0, limit * passed - (limit - day.left))
        share = min(1.0, free / sum(asked)) if sum(asked) > 0 else 1.0
        return tuple(share * one for one in asked)

    return _days(looks, limit, choose)


def smooth(looks: Sequence[Asked], limit: float) -> list[Day]:
    """`pacing: Smooth`, with the value that followed from the look before."""
    pattern, value = Pattern.unknown(len(SHARES) + 1), 0.0

    def choose(day: Day, at_s: float, asked: Asked) -> Asked:
        nonlocal pattern, value
        wanted = tuple(
            one * (1 - min(1.0, max(0.0, value * len(asked) - index)))
            for index, one in enumerate(asked)
        )
        rates = (*(one / LOOK_S for one in asked), 0.0)
        pattern = observed(pattern, UTC, at_s, rates, LOOK_S)
        period = period_at(BudgetPeriod.DAY, UTC, at_s)
        left = int(max(0.0, day.left - sum(wanted)))
        value = admit_from(pattern, rates, period, UTC, at_s, left)
        return wanted

    return _days(looks, limit, choose)


def _days(
    looks: Sequence[Asked], limit: float, choose: Callable[[Day, float, Asked], Asked]
) -> list[Day]:
    days: dict[int, Day] = defaultdict(lambda: Day(limit))
    for number, asked in enumerate(looks):
        at_s = MONDAY_S + number * LOOK_S
        day = days[int(at_s // 86_400)]
        day.buy(asked, choose(day, at_s, asked))
    return list(days.values())


RULES: Final = {"greedy": greedy, "even": even, "smooth": smooth}


def looks_of(path: Path) -> list[Asked]:
    """Price a trace, minute by minute."""
    trace = read_trace(path)
    usd_micros = trace.input_tokens * _PRICE[0] + trace.output_tokens * _PRICE[1]
    whole = len(usd_micros) // STEPS * STEPS
    minutes = usd_micros[:whole].reshape(-1, STEPS).sum(axis=1)
    return [tuple(float(one) * share for share in SHARES) for one in minutes]


def figures_of(days: Sequence[Day], limit: float) -> dict[str, float]:
    """Sum up all whole days."""
    asked = [sum(day.asked[index] for day in days) for index in range(len(SHARES))]
    bought = [sum(day.bought[index] for day in days) for index in range(len(SHARES))]
    low, normal, high = (got / one if one else 1.0 for got, one in zip(bought, asked, strict=True))
    could = sum(min(limit, sum(day.asked)) for day in days)
    return {
        "high": high,
        "normal": normal,
        "low": low,
        "of_what_could_be_spent": sum(bought) / could,
        "hours_broke_a_day": sum(day.broke_s for day in days) / 3600 / len(days),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Replay, print, write; 2 where there is nothing to replay."""
    parser = argparse.ArgumentParser(prog="make bench-pacing", description=__doc__)
    parser.add_argument("--traces", type=Path, default=TRACES, help="folder of traces of days")
    options = parser.parse_args(argv)
    rows = [["trace", "budget", "rule", "high", "normal", "low", "spent", "broke h/day"]]
    figures = []
    paths = sorted(options.traces.glob("servegen-*.csv.gz"))
    for path in track(paths, description="replaying", console=report.console()):
        looks = looks_of(path)
        whole_days = int(len(looks) * LOOK_S // 86_400)
        if whole_days < 2:
            continue
        looks = looks[: int(whole_days * 86_400 / LOOK_S)]
        for part in PARTS:
            limit = part * sum(map(sum, looks)) / whole_days
            for rule, run in RULES.items():
                found = figures_of(run(looks, limit), limit)
                name = path.name.removesuffix(".csv.gz")
                figures.append({"trace": name, "budget": part, "rule": rule, **found})
                shares = [f"{100 * value:.1f}%" for value in list(found.values())[:4]]
                broke = f"{found['hours_broke_a_day']:.1f}"
                rows.append([name, f"{part:.0%}", rule, *shares, broke])
    if not figures:
        sys.stderr.write(
            f"bench-pacing: no servegen-*.csv.gz of two days or more in {options.traces}; "
            "say where recorded traffic is: ARGS='--traces FOLDER'\n"
        )
        return 2
    report.write("pacing", {"runs": figures}, rows, packages=["overspill"])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
