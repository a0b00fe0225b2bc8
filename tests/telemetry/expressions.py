"""PromQL, read only as far as tests ask: which metrics, and which of their labels."""

from __future__ import annotations

import re
from dataclasses import dataclass

from overspill.telemetry import names

HISTOGRAMS = {*names.BUCKETS, names.RECONCILE_SECONDS}
SERIES = {name: name for name in names.LABELS} | {
    f"{histogram}_{part}": histogram for histogram in HISTOGRAMS for part in ("bucket", "count")
}
"""Every series there is, and its metric."""
_SERIES = re.compile(r"\b((?:overspill|gen_ai)_\w+)(?:\{([^}]*)\})?")
_MATCH = re.compile(r'(\w+)(?:=~|!~|!=|=)"[^"]*"')
_GROUPED = re.compile(r'(?:by|on) \(([^)]*)\)(?: group_left \(\))? \((?:"(\w+)", )?')


@dataclass(frozen=True, slots=True)
class Selected:
    """One series of an expression, and the labels it is chosen by."""

    series: str
    labels: frozenset[str]


def selected(expr: str) -> list[Selected]:
    """All series of an expression."""
    return [
        Selected(found[1], frozenset(_MATCH.findall(found[2] or "")))
        for found in _SERIES.finditer(expr)
    ]


def groups(expr: str) -> list[tuple[frozenset[str], str]]:
    """Each list of labels to group by, and what is grouped."""
    return [
        (frozenset(filter(None, found[1].split(", "))), _inside(expr, found.end()))
        for found in _GROUPED.finditer(expr)
    ]


def told_apart_by(expr: str) -> set[str]:
    """Labels that the series of the answer may have."""
    made = {found[2] for found in _GROUPED.finditer(expr) if found[2]}
    return made.union(*(labels for labels, _ in groups(expr))) - {"le"}


def strange_in(expr: str) -> list[str]:
    """What an expression uses that does not exist: series, and labels of series."""
    strange = [one.series for one in selected(expr) if one.series not in SERIES]
    if strange:
        return strange
    for one in selected(expr):
        strange += [f"{one.series}.{label}" for label in one.labels - _labels(one.series)]
    for labels, inside in groups(expr):
        for one in selected(inside):
            strange += [f"{one.series}.{label}" for label in labels - _labels(one.series)]
    return strange


def _labels(series: str) -> set[str]:
    return {*names.LABELS[SERIES[series]], *({"le"} if series.endswith("_bucket") else ())}


def _inside(expr: str, start: int) -> str:
    """What stands from there to the parenthesis that closes."""
    depth = 1
    for place in range(start, len(expr)):
        depth += {"(": 1, ")": -1}.get(expr[place], 0)
        if not depth:
            return expr[start:place]
    raise AssertionError(f"a parenthesis is not closed: {expr}")
