"""What break-even remembers, when the numbers it was reckoned with change under it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from overspill.scaling.breakeven import LevelState
    from overspill.scaling.values import Economics


def carried(state: LevelState, before: Economics, now: Economics) -> LevelState:
    """Keep each level as far from its turn as it was: the same share of the cost of a start.

    An edited rent, or a start-up time that was learned, moves that cost; without this, levels
    would turn for the edit and not for what it makes of the time to come.
    """
    if before.start_cost_usd == now.start_cost_usd or not before.start_cost_usd:
        return state
    scale = now.start_cost_usd / before.start_cost_usd
    return replace(state, accrued_usd=tuple(usd * scale for usd in state.accrued_usd))
