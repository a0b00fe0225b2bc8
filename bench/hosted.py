"""`make bench-scaling`, second part: one's own GPUs against a host at 0.10 USD per million tokens.

GPU prices are list prices, capacities what others published; both as of November 2026.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import report
from bench.scaling import TRACES, traces_in
from overspill.scaling import Economics
from overspill.simulate.contest import play
from overspill.simulate.load import Load
from overspill.simulate.trace import read_trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.simulate.trace import Trace

HOST_USD_PER_TOKEN: Final = 0.10e-6
"""Input and output alike."""
STARTUP_S: Final = 180.0
RULES: Final = ("overspill", "frontier", "static", "optimal")
"""Here the `frontier` is the host: the first and only rung that work spills to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One replica: what it costs, and what it was seen to do."""

    name: str
    usd_per_hour: float
    tokens_per_s: float
    """Work: output + weight × input."""
    input_weight: float
    source: str


GPUS: Final = (
    Gpu(
        name="L4, new prompts",
        usd_per_hour=0.8048,
        tokens_per_s=2143.0,
        input_weight=1.0,
        source="AWS g6.xlarge; Qwen2.5-7B on vLLM, 0.127 USD per million tokens at 0.98 USD/h",
    ),
    Gpu(
        name="L4, cached prompts",
        usd_per_hour=0.8048,
        tokens_per_s=3945.0,
        input_weight=1.0,
        source="the same, 0.069 USD per million tokens with prefix-aware routing",
    ),
    Gpu(
        name="H100, vLLM",
        usd_per_hour=2.95,
        tokens_per_s=1384.0,
        input_weight=0.1,
        source="Nebius; Llama-3.1-8B fp16 on vLLM 0.21, 16 at a time",
    ),
    Gpu(
        name="H100, NIM",
        usd_per_hour=2.95,
        tokens_per_s=12215.0,
        input_weight=0.1,
        source="Nebius; Llama-3.1-8B on NIM 1.8, 100 at a time",
    ),
)


def load_of(trace: Trace, gpu: Gpu) -> Load:
    """Take the traffic as it was recorded."""
    work = trace.output_tokens + gpu.input_weight * trace.input_tokens
    usd = (trace.output_tokens + trace.input_tokens) * HOST_USD_PER_TOKEN
    most = math.ceil(float(work.max()) / trace.step_s / gpu.tokens_per_s)
    economics = Economics(
        capacity_tokens_per_s=gpu.tokens_per_s,
        rent_usd_per_s=gpu.usd_per_hour / 3600,
        startup_s=STARTUP_S,
        min_replicas=0,
        max_replicas=min(max(most, 1), 1000),
    )
    return Load(
        step_s=trace.step_s,
        work_tokens=work,
        frontier_usd=usd,
        economics=economics,
        rungs={"frontier": usd},
    )


def measure(name: str, trace: Trace, gpu: Gpu) -> dict[str, Any]:
    """Play the rules; costs are USD."""
    load = load_of(trace, gpu)
    played = {rule: play(rule, load) for rule in RULES}
    worth = float(load.frontier_usd.sum() / load.work_tokens.sum()) * gpu.tokens_per_s * 3600
    return {
        "trace": name,
        "gpu": asdict(gpu),
        "mean_replicas_of_work": load.mean_replicas,
        "full_replica_usd_per_hour": worth,
        "mean_replicas_asked_for": float(played["overspill"].requested.mean()),
        "spilled_share": played["overspill"].outcome.spilled_share,
        "cost_usd": {rule: one.outcome.total_cost_usd for rule, one in played.items()},
    }


def rows(found: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Say what was decided, and what it cost beside the simple ways."""
    head = ["trace", "replica", "full ÷ rent", "work", "asked for", "at the host"]
    table = [[*head, "÷ host only", "÷ best count", "÷ optimum"]]
    for one in found:
        cost = one["cost_usd"]
        against = (cost["overspill"] / cost[rule] for rule in ("frontier", "static", "optimal"))
        table.append(
            [
                one["trace"],
                one["gpu"]["name"],
                f"{one['full_replica_usd_per_hour'] / one['gpu']['usd_per_hour']:.2f}",
                f"{one['mean_replicas_of_work']:.1f}",
                f"{one['mean_replicas_asked_for']:.1f}",
                f"{one['spilled_share']:.0%}",
                *(f"{ratio:.3f}" for ratio in against),
            ]
        )
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; 2 where there is nothing to measure."""
    parser = argparse.ArgumentParser(prog="make bench-scaling", description=__doc__)
    parser.add_argument("--traces", type=Path, default=TRACES, help="folder of CSV files")
    args, _ = parser.parse_known_args(argv)
    try:
        paths = traces_in(args.traces)
    except FileNotFoundError as error:
        sys.stderr.write(f"bench-scaling: {error}\n")
        return 2
    found = []
    for path in paths:
        trace, name = read_trace(path), path.name.removesuffix(".gz").removesuffix(".csv")
        found += [measure(name, trace, gpu) for gpu in GPUS]
    report.write("hosted", {"cells": found}, rows(found), packages=["overspill", "numpy"])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
