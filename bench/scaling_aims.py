"""What scaling is meant to cost at most, and whether it did."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from overspill.simulate.contest import OURS

if TYPE_CHECKING:
    from bench.scaling_tables import Cells

DEFAULTS: Final = ("hpa", "keda", "kpa")
SAVED: Final = 0.15
"""Part of the cost of the best autoscaler as it comes that is to be saved, on the mean."""
MOST_OF_OPTIMUM: Final = {2: 1.10, 5: 1.10, 20: 1.20, 75: 1.40}
"""Mean cost ÷ optimum over traces and sizes, by frontier price."""
AT_STARTUP_S: Final = 180


def reached(cells: Cells) -> list[dict[str, Any]]:
    """One entry an aim whose rules and cells are there: what was measured, and the bound."""
    found: list[dict[str, Any]] = []
    rules = {*cells[0]["ratio_to_optimal"]}
    if OURS not in rules:
        return found
    if rules.issuperset(DEFAULTS):
        best = min(DEFAULTS, key=lambda rule: _mean(cells, rule))
        measured = _mean(cells, OURS) / _mean(cells, best)
        found.append(_aim(f"mean cost ÷ {best}, the best default", measured, 1 - SAVED))
    for ratio, most in MOST_OF_OPTIMUM.items():
        some = [c for c in cells if (c["ratio"], c["startup_s"]) == (ratio, AT_STARTUP_S)]
        if some:
            name = f"mean cost ÷ optimum at {ratio}×, {AT_STARTUP_S} s"
            found.append(_aim(name, _mean(some, OURS), most))
    return found


def _mean(cells: Cells, rule: str) -> float:
    """Mean cost ÷ optimum: every cell weighs the same, whatever its traffic costs."""
    return fmean(cell["ratio_to_optimal"][rule] for cell in cells)


def _aim(name: str, measured: float, most: float) -> dict[str, Any]:
    return {"aim": name, "measured": measured, "most": most, "passed": measured <= most}


def lines(aims: list[dict[str, Any]]) -> list[str]:
    """The aims in words."""
    return [
        f"{'reached' if one['passed'] else 'MISSED '} {one['aim']}: "
        f"{one['measured']:.3f}, at most {one['most']:.2f}"
        for one in aims
    ]
