"""The cells of `bench-scaling`, put together for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from statistics import geometric_mean
from typing import Any, Final

from overspill.simulate.contest import OPTIMAL, OURS, RUNGS

Cells = Sequence[Mapping[str, Any]]
OPPONENT: Final = "keda-tuned"
"""The peer to beat: it chose its parameters with hindsight."""
_EVEN: Final = 1e-9
"""Relative difference below which two costs are the same sum, added in another order."""


def _rivals(cells: Cells) -> list[str]:
    """Return the rules with a ratio worth a column, ours first; the optimum's is always 1."""
    return [rule for rule in cells[0]["ratio_to_optimal"] if rule not in {OPTIMAL, *RUNGS}]


def _grouped(cells: Cells, *keys: str) -> list[tuple[tuple[Any, ...], Cells]]:
    def key(cell: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(cell[name] for name in keys)

    return [(group, [*some]) for group, some in groupby(sorted(cells, key=key), key)]


def judge(cells: Cells) -> list[dict[str, Any]]:
    """Say for each rival in how many cells it was not cheaper, and list where it was."""
    found: list[dict[str, Any]] = []
    if OURS not in cells[0]["cost_usd"]:
        return found
    for rule in (one for one in _rivals(cells) if one != OURS):
        lost = [cell for cell in cells if not _holds(cell["cost_usd"], rule)]
        keys = ("trace", "size", "ratio", "startup_s")
        where = [{key: cell[key] for key in keys} for cell in lost]
        found.append({"rival": rule, "won": len(cells) - len(lost), "lost": where})
    return found


def _holds(costs: Mapping[str, float], rival: str) -> bool:
    """Whether we cost no more."""
    return costs[OURS] <= costs[rival] * (1 + _EVEN)


def rows(cells: Cells) -> list[list[str]]:
    """One row a trace and price: mean cost ÷ optimum, over sizes and start times."""
    rules = _rivals(cells)
    table = [["trace", "price", *rules, f"≤ {OPPONENT}"]]
    for (trace, ratio), some in _grouped(cells, "trace", "ratio"):
        table.append([trace, f"{ratio}×", *_means(some, rules), _won(some)])
    for (ratio,), some in _grouped(cells, "ratio"):
        table.append(["all", f"{ratio}×", *_means(some, rules), _won(some)])
    return table


def _means(cells: Cells, rules: Sequence[str]) -> list[str]:
    """Ratios are averaged geometrically: half and twice the cost are even."""
    return [
        f"{geometric_mean(cell['ratio_to_optimal'][rule] for cell in cells):.3f}" for rule in rules
    ]


def _won(cells: Cells) -> str:
    if not {OURS, OPPONENT} <= {*cells[0]["cost_usd"]}:
        return ""
    return f"{sum(_holds(cell['cost_usd'], OPPONENT) for cell in cells)}/{len(cells)}"


def lines(verdicts: Sequence[Mapping[str, Any]]) -> list[str]:
    """The verdicts in words."""
    return [
        f"{OURS} ≤ {verdict['rival']} in {verdict['won']} of "
        f"{verdict['won'] + len(verdict['lost'])} cells"
        for verdict in verdicts
    ]


def markdown(cells: Cells) -> str:
    """Cost ÷ optimum as lowest–highest and mean of all cells of a price."""
    rules = _rivals(cells)
    table = [["frontier ÷ small price", *rules, f"≤ {OPPONENT}"], ["---"] * (len(rules) + 2)]
    for (ratio,), some in _grouped(cells, "ratio"):
        spans = zip(_spans(some, rules), _means(some, rules), strict=True)
        table.append([f"{ratio}×", *(f"{span}, {mean}" for span, mean in spans), _won(some)])
    return "".join(f"| {' | '.join(row)} |\n" for row in table)


def _spans(cells: Cells, rules: Sequence[str]) -> list[str]:
    spans = []
    for rule in rules:
        ratios = [cell["ratio_to_optimal"][rule] for cell in cells]
        spans.append(f"{min(ratios):.2f}–{max(ratios):.2f}")
    return spans
