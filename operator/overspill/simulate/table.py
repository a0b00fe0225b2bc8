"""Results for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.table import Table

from overspill.simulate.contest import OPTIMAL, OURS, Result
from overspill.simulate.latency import EXTERNAL_TOKENS_PER_S, EXTERNAL_TTFT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.simulate.latency import Latency
    from overspill.simulate.load import Load
    from overspill.simulate.outcome import Outcome

_COSTS: Final = ("total USD", "÷ optimal")
_FLOW: Final = ("GPU rent", "per token", "spilled", "starts", "peak")
_LATENCY: Final = ("spilled", "peak", "TTFT\np50 s", "p99 s", "waited\np99 s", "answer\np99 s")
_ASSUMED: Final = (
    f"Taken for granted: what is spilled begins after {EXTERNAL_TTFT_S:g} s "
    f"and comes at {EXTERNAL_TOKENS_PER_S:g} tokens/s."
)
_CENTS_BELOW_USD: Final = 10_000
_LEAST_USD: Final = 0.01


def ratio_to_optimal(result: Result, results: Sequence[Result]) -> float | None:
    """Divide a rule's cost by the optimum's; None without an optimum or where it costs nothing."""
    best = next((one.outcome.total_cost_usd for one in results if one.rule == OPTIMAL), 0.0)
    return result.outcome.total_cost_usd / best if best else None


def as_json(
    trace: str, policy: str, load: Load, rules: Sequence[str], results: Sequence[Result]
) -> dict[str, Any]:
    """Return the whole comparison as plain JSON values; dollars are USD."""
    mode = {"mode": "requests"} if _timed(results) else {}
    return {
        "trace": trace,
        "policy": policy,
        **mode,
        "steps": load.steps,
        "duration_s": load.steps * load.step_s,
        "mean_replicas_of_work": load.mean_replicas,
        "rules": [_row(one, results) for one in results if one.rule in rules],
    }


def _row(result: Result, results: Sequence[Result]) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "rule": result.rule,
        "gpu_cost": outcome.gpu_cost_usd,
        "frontier_cost": outcome.frontier_cost_usd,
        "total_cost": outcome.total_cost_usd,
        "ratio_to_optimal": ratio_to_optimal(result, results),
        "spilled_share": outcome.spilled_share,
        "starts": outcome.starts,
        "stops": outcome.stops,
        "peak_replicas": outcome.peak_replicas,
        **(asdict(result.latency) if result.latency else {}),
    }


def _timed(results: Sequence[Result]) -> bool:
    return any(one.latency for one in results)


def as_table(rules: Sequence[str], results: Sequence[Result]) -> Table:
    """Return a table for a terminal of 80 columns, the cheapest first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    timed = _timed(results)
    if timed:
        table.caption, table.caption_justify = _ASSUMED, "left"
    table.add_column("rule", no_wrap=True)
    for column in (*_COSTS, *(_LATENCY if timed else _FLOW)):
        table.add_column(column, justify="right", no_wrap=True)
    for result in sorted(results, key=lambda one: one.outcome.total_cost_usd):
        if result.rule in rules:
            style = "bold" if result.rule == OURS else ""
            table.add_row(result.rule, *_cells(result, results), style=style)
    return table


def _cells(result: Result, results: Sequence[Result]) -> list[str]:
    outcome, ratio = result.outcome, ratio_to_optimal(result, results)
    return [
        in_usd(outcome.total_cost_usd),
        "" if ratio is None else f"{ratio:.3f}",
        *(_times(outcome, result.latency) if result.latency else _flows(outcome)),
    ]


def _flows(outcome: Outcome) -> list[str]:
    return [
        in_usd(outcome.gpu_cost_usd),
        in_usd(outcome.frontier_cost_usd),
        f"{outcome.spilled_share:.2%}",
        f"{outcome.starts:,}",
        f"{outcome.peak_replicas:,}",
    ]


def _times(outcome: Outcome, latency: Latency) -> list[str]:
    times = (
        latency.ttft_p50_s,
        latency.ttft_p99_s,
        latency.queue_wait_p99_s,
        latency.duration_p99_s,
    )
    return [
        f"{outcome.spilled_share:.2%}",
        f"{outcome.peak_replicas:,}",
        *("" if one_s is None else f"{one_s:.2f}" for one_s in times),
    ]


def in_usd(amount: float) -> str:
    """Write dollars, with cents while they matter."""
    if 0 < amount < _LEAST_USD:  # little is not nothing
        return f"<{_LEAST_USD:g}"
    return f"{amount:,.0f}" if amount >= _CENTS_BELOW_USD else f"{amount:,.2f}"
