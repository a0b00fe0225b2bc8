"""KEDA as somebody gets it who tunes it on other traffic than it then meets.

The best setting in hindsight is nobody's to have. What can be had is the setting that was best
elsewhere: here on all other traces, for the same size, prices and start-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from overspill.simulate.contest import OPTIMAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.scaling_tables import Cells

ELSEWHERE: Final = "keda-tuned-elsewhere"
SETTINGS: Final = "settings_usd"
"""What each setting of the grid costs in this cell, USD, in the order of the grid."""


def tuned_elsewhere(cells: Cells) -> list[dict[str, Any]]:
    """Put what the setting costs that is best on the other traces in place of all settings' costs.

    Best is the least mean of cost ÷ optimum. Cells that no other trace has stay without.
    """
    return [_with(cell, [one for one in cells if _comparable(one, cell)]) for cell in cells]


def _comparable(one: Mapping[str, Any], cell: Mapping[str, Any]) -> bool:
    alike = all(one[key] == cell[key] for key in ("size", "ratio", "startup_s"))
    return alike and one["trace"] != cell["trace"] and SETTINGS in one


def _with(cell: Mapping[str, Any], others: Cells) -> dict[str, Any]:
    known = {key: value for key, value in cell.items() if key != SETTINGS}
    if SETTINGS not in cell or not others:
        return known
    ratios = [np.array(one[SETTINGS]) / one["cost_usd"][OPTIMAL] for one in others]
    usd = cell[SETTINGS][int(np.mean(ratios, axis=0).argmin())]
    ratio = usd / cell["cost_usd"][OPTIMAL]
    return known | {
        "cost_usd": {**cell["cost_usd"], ELSEWHERE: usd},
        "ratio_to_optimal": {**cell["ratio_to_optimal"], ELSEWHERE: ratio},
    }
