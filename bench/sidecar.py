"""`make bench-sidecar`: the sidecar and its peers in turns, each on the same one core."""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import generator, report, verdict
from bench.measuring import CASES, DIRECT, IDLE, Figures, Pace, measure
from bench.peers.install import Missing
from bench.peers.proxies import PROXIES
from bench.processes import Broken, allow_many_files, cores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHORT: Final = Pace(seconds=2.0, warmup_s=0.5, repeat=1)
FIGURES: Final = (
    "rps",
    "p50_ms",
    "p99_ms",
    "events_per_s",
    "cpu_cores",
    "foreign_cores",
    "rss_mib",
    "rest_mib",
)
QUIET_CORES: Final = 0.1
"""Others using more than this show in the 99th percentiles."""
SHOWN: Final = (
    ("json32", "rps"),
    ("json256", "rps"),
    ("prompt64k", "rps"),
    ("stream200", "events_per_s"),
    ("paced200", "events_per_s"),
    ("paced200", "cpu_cores"),
    ("json32", "p99_ms"),
    ("rate1000", "p99_ms"),
    ("rate1000", "added_p99_ms"),
    (IDLE, "rest_mib"),
    (IDLE, "rss_mib"),
)
log = Console(stderr=True, highlight=False)


class Session:
    """All runs of one session, by case and proxy."""

    def __init__(self, names: Sequence[str], cases: Sequence[str], pace: Pace) -> None:
        self._names, self._cases, self._pace = names, cases, pace
        self.runs: dict[str, dict[str, list[Figures]]] = {case: {} for case in cases}
        self.missing: dict[str, str] = {}

    def run(self, upstream: int) -> None:
        """Measure everything; proxies take turns, so that drift of the machine hits all alike."""
        columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=log, transient=True) as progress:
            total = self._pace.repeat * len(self._cases) * len(self._names)
            task = progress.add_task("", total=total)
            for _ in range(self._pace.repeat):
                for case in self._cases:
                    for name in self._names:
                        progress.update(task, description=f"{case:<10} {name:<10}")
                        self._one(case, name, upstream)
                        progress.advance(task)

    def _one(self, case: str, name: str, upstream: int) -> None:
        if name in self.missing:
            return
        try:
            found = measure(case, name, upstream, self._pace)
        except Missing as error:
            self.missing[name] = str(error)
            log.print(f"{name}: {error}")
            return
        except Broken as error:
            found = {"failed": str(error)}
            log.print(f"{case} {name}: {error}")
        self.runs[case].setdefault(name, []).append(found)
        if (foreign := found.get("foreign_cores", 0.0)) > QUIET_CORES:
            log.print(f"{case} {name}: other processes used {foreign:.1f} cores meanwhile")
        if found.get("errors"):
            log.print(f"{case} {name}: {found['errors']} errors, first: {found.get('first_error')}")

    def figures(self) -> dict[str, dict[str, Figures]]:
        """The median of each figure, and the runs themselves."""
        return {
            case: {name: self._summary(case, name) for name in proxies}
            for case, proxies in self.runs.items()
        }

    def _summary(self, case: str, name: str) -> Figures:
        runs = self.runs[case][name]
        made: Figures = {"errors": sum(run.get("errors", 0) for run in runs)}
        if broken := sum("failed" in run for run in runs):
            made["broken"] = broken
        for figure in FIGURES:
            if values := [run[figure] for run in runs if run.get(figure) is not None]:
                made[figure] = statistics.median(values)
        if case == "rate1000" and (added := self._added(name)):
            made["added_p99_ms"] = statistics.median(added)
        return made | {"runs": runs}

    def _added(self, name: str) -> list[float]:
        """What the proxy adds to the 99th percentile, against the direct run next to it."""
        pairs = zip(
            self.runs["rate1000"].get(DIRECT, []), self.runs["rate1000"][name], strict=False
        )
        return [
            run["p99_ms"] - direct["p99_ms"]
            for direct, run in pairs
            if name != DIRECT and run.get("p99_ms") and direct.get("p99_ms")
        ]


def _rows(cases: verdict.Cases, names: Sequence[str]) -> list[list[str]]:
    peers = [name for name in ("envoy", "litellm") if name in names]
    rows = [["", *names, *(f"÷ {peer}" for peer in peers)]]
    for case, figure in SHOWN:
        if not (found := cases.get(case, {})):
            continue
        cells = [_cell(found.get(name, {}).get(figure)) for name in names]
        ratios = [_cell(verdict.ratio(cases, case, figure, peer)) for peer in peers]
        rows.append([f"{case} {figure}", *cells, *ratios])
    return rows


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _show(verdicts: Sequence[verdict.Verdict], missing: Mapping[str, str]) -> None:
    table = Table("aim", "measured", "", title="sidecar against its aims", title_justify="left")
    words = {True: "reached", False: "missed", None: "not measured"}
    for one in verdicts:
        table.add_row(one.aim, _cell(one.measured), words[one.passed])
    report.console().print(table)
    for name, reason in missing.items():
        report.console().print(f"missing  {name}: {reason}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names, cases = (DIRECT, *PROXIES), tuple(CASES)
    parser.add_argument("--short", action="store_true", help="2 s a case, once")
    parser.add_argument("--seconds", type=float, default=10.0, help="a case's measured time")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--proxies", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--cases", nargs="+", choices=cases, default=cases, metavar="CASE")
    parser.add_argument("--strict", action="store_true", help="exit 1 where an aim is missed")
    return parser.parse_args()


def main() -> int:
    """Measure, judge, print, write."""
    args = _arguments()
    pace = SHORT if args.short else Pace(seconds=args.seconds, warmup_s=1.0, repeat=args.repeat)
    session = Session(args.proxies, args.cases, pace)
    allow_many_files()
    try:
        generator.build()
        with generator.upstream() as upstream:
            session.run(upstream)
    except Broken as error:
        log.print(f"bench-sidecar: {error}")
        return 1
    cases = session.figures()
    verdicts = verdict.judge(cases)
    _write(session, cases, verdicts, args.proxies, pace)
    _show(verdicts, session.missing)
    return int(args.strict and not all(one.passed for one in verdicts))


def _write(
    session: Session,
    cases: dict[str, dict[str, Figures]],
    verdicts: list[verdict.Verdict],
    names: Sequence[str],
    pace: Pace,
) -> None:
    proxy, rest = cores()
    figures: dict[str, Any] = {
        "seconds": pace.seconds,
        "repeat": pace.repeat,
        "proxy_cores": sorted(proxy),
        "other_cores": sorted(rest),
        "missing": session.missing,
        "verdict": verdict.as_json(verdicts),
        "cases": cases,
    }
    packages = ["overspill", "uvloop", "httptools"]
    report.write("sidecar", figures, _rows(cases, names), packages=packages)


if __name__ == "__main__":
    sys.exit(main())
