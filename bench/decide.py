"""`make bench-decide`: how long the scaling core takes for 1,000 policies."""

from __future__ import annotations

import statistics
import time

from bench import report
from overspill.scaling import Demand, Economics, Replicas, Situation, State, decide

POLICIES = 1000
RUNS = 7


def _situations(replicas: int) -> list[tuple[Economics, Situation, State]]:
    economics = Economics(
        capacity_tokens_per_s=2500.0,
        rent_usd_per_s=2.49 / 3600,
        startup_s=180.0,
        min_replicas=0,
        max_replicas=replicas,
    )
    made = []
    for n in range(POLICIES):
        work = 2500.0 * replicas * n / POLICIES
        situation = Situation(
            demand=Demand(work_tokens_per_s=work, frontier_usd_per_s=work * 20e-6),
            replicas=Replicas(requested=n % replicas, ready=n % replicas),
        )
        state = decide(economics, situation, State(on=n % replicas), 15.0).state
        made.append((economics, situation, state))
    return made


def _seconds(replicas: int) -> list[float]:
    situations = _situations(replicas)
    taken = []
    for _ in range(RUNS):
        start_s = time.perf_counter()
        for economics, situation, state in situations:
            decide(economics, situation, state, 15.0)
        taken.append(time.perf_counter() - start_s)
    return taken


def main() -> None:
    """Measure, print, write."""
    figures, rows = {}, [["max replicas", "median s", "min s", "max s"]]
    for replicas in (4, 16, 64, 1000):
        taken = _seconds(replicas)
        figures[str(replicas)] = {"median_s": statistics.median(taken), "runs_s": taken}
        ordered = (statistics.median(taken), min(taken), max(taken))
        rows.append([str(replicas), *(f"{value:.4f}" for value in ordered)])
    report.write(
        "decide", {"policies": POLICIES, "max_replicas": figures}, rows, packages=["overspill"]
    )


if __name__ == "__main__":
    main()
