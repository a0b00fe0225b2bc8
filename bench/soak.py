"""`make soak`: the sidecar under mixed load for long: does it keep its memory and its files?

Seven of ten requests are JSON, two are streams, and one is a stream whose client leaves midway.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from bench import generator, report
from bench.measuring import OURS, serving
from bench.processes import Broken, allow_many_files, open_files, rss_mib
from overspill.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measuring import Subject

MIX: Final = ("--case", "mixed", "--connections", "256", "--gap-us", "2000")
SHARE: Final = 0.7
CAPACITY_S: Final = 5.0
UPSTREAM_IDLE_S: Final = 5.0
"""As uvicorn closes idle connections, which vLLM runs on."""
SETTLE_LIMIT_S: Final = 30.0
log = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Held:
    """What the sidecar holds on to at one moment."""

    open_files: int
    in_flight: float


@dataclass(frozen=True, slots=True)
class Line:
    """Least squares through the samples.

    Neighbouring samples are alike, so that the true error of the slope is larger than this one.
    """

    start_mib: float
    slope_mib_per_h: float
    error_mib_per_h: float

    def at(self, hours: float) -> float:
        """Memory on the line."""
        return self.start_mib + self.slope_mib_per_h * hours


def fit(samples: Sequence[tuple[float, float]]) -> Line:
    """Fit a line to (s, MiB). Raises: ValueError below four samples."""
    if len(samples) < 4:
        raise ValueError(f"{len(samples)} samples are too few for a line; let it run for longer")
    hours, mib = np.array(samples).T / np.array([[3600.0], [1.0]])
    (slope, start), covariance = np.polyfit(hours, mib, 1, cov=True)
    return Line(float(start), float(slope), float(np.sqrt(covariance[0][0])))


def held(subject: Subject) -> Held:
    """Look at the sidecar."""
    assert subject.pid
    address = subject.target.url.removesuffix("/v1")
    lines = generator.get(f"{address}/metrics").decode().splitlines()
    gauges = [line.split()[-1] for line in lines if line.startswith(names.IN_FLIGHT + "{")]
    return Held(open_files(subject.pid), sum(map(float, gauges)))


def _settled(subject: Subject, start: Held) -> Held:
    """Wait until it holds no more than at the start, or for as long as that may take."""
    deadline_s = time.monotonic() + SETTLE_LIMIT_S
    while True:
        now = held(subject)
        back = now.open_files <= start.open_files and now.in_flight == start.in_flight
        if back or time.monotonic() > deadline_s:
            return now
        time.sleep(0.5)


def _soak(
    subject: Subject, rate: float, seconds: float
) -> tuple[dict[str, Any], list[tuple[float, float]]]:
    """Load it and sample its memory once a second after a warm-up: (s, MiB)."""
    assert subject.pid
    warmup_s = min(60.0, seconds / 5)
    options = (*MIX, "--rate", f"{rate:.1f}")
    samples, began_s = [], time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(
            generator.load, subject.target, options, warmup_s=warmup_s, seconds=seconds
        )
        while not loading.done():
            time.sleep(1.0)
            if warmup_s < (at_s := time.monotonic() - began_s) < warmup_s + seconds:
                samples.append((at_s - warmup_s, rss_mib(subject.pid)))
    return loading.result(), samples


def run(minutes: float) -> dict[str, Any]:
    """Find the capacity, soak, and look at what is left. Raises: Broken, Missing."""
    with generator.upstream(UPSTREAM_IDLE_S) as upstream, serving(OURS, upstream) as subject:
        start = held(subject)
        found = generator.load(subject.target, MIX, warmup_s=1.0, seconds=CAPACITY_S)
        capacity_rps = found["rps"]
        log.print(f"capacity  {capacity_rps:,.0f} requests/s; soaking at {SHARE:.0%} of it")
        loaded, samples = _soak(subject, SHARE * capacity_rps, minutes * 60)
        end = _settled(subject, start)
    return {
        "minutes": minutes,
        "capacity_rps": capacity_rps,
        "load": loaded,
        "start": asdict(start),
        "end": asdict(end),
        "line": asdict(fit(samples)),
        "samples": [[round(at_s, 2), round(mib, 3)] for at_s, mib in samples],
        "passed": {
            "no errors": not loaded["errors"] and not found["errors"],
            "open files return": end.open_files <= start.open_files,
            "in flight returns": end.in_flight == start.in_flight,
        },
    }


def _picture(samples: Sequence[Sequence[float]], line: Line) -> None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    minutes = [at_s / 60 for at_s, _ in samples]
    axes.plot(minutes, [mib for _, mib in samples], ".", markersize=3, label="resident memory")
    label = f"{line.slope_mib_per_h:+.2f} ± {line.error_mib_per_h:.2f} MiB/h"
    axes.plot(minutes, [line.at(minute / 60) for minute in minutes], label=label)
    axes.set_xlabel("minutes under load")
    axes.set_ylabel("MiB")
    axes.set_ylim(0, 1.25 * max(mib for _, mib in samples))
    axes.legend()
    figure.savefig(report.OUT / "soak.png", dpi=150)


def _rows(found: dict[str, Any]) -> list[list[str]]:
    load, line, start, end = found["load"], Line(**found["line"]), found["start"], found["end"]
    slope = f"{line.slope_mib_per_h:+.2f} ± {line.error_mib_per_h:.2f} MiB/h"
    return [
        ["", ""],
        ["requests", f"{load['requests']:,} at {load['rps']:,.0f}/s"],
        ["clients that left midway", f"{load['left']:,}"],
        ["errors", f"{load['errors']:,}"],
        ["p50, p99", f"{_ms(load['p50_ms'])}, {_ms(load['p99_ms'])}"],
        ["memory", f"{line.start_mib:.1f} MiB, {slope}"],
        ["open files", f"{start['open_files']} → {end['open_files']}"],
        ["in flight", f"{start['in_flight']:g} → {end['in_flight']:g}"],
    ]


def _ms(value: float | None) -> str:
    """None where nothing was answered."""
    return "–" if value is None else f"{value:.2f} ms"


def main() -> int:
    """Run, print, write, draw; return 1 where something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="time under load")
    args = parser.parse_args()
    allow_many_files()
    try:
        generator.build()
        found = run(args.minutes)
    except (Broken, ValueError) as error:
        log.print(f"soak: {error}")
        return 1
    report.write("soak", found, _rows(found), packages=["overspill", "uvloop", "httptools"])
    _picture(found["samples"], Line(**found["line"]))
    for check, passed in found["passed"].items():
        if not passed:
            log.print(f"soak: failed: {check} {found['load'].get('first_error', '')}")
    return int(not all(found["passed"].values()))


if __name__ == "__main__":
    sys.exit(main())
