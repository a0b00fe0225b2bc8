"""What a part of a budget is for, and how much of it that part may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from overspill.budget.money import usd_micros

if TYPE_CHECKING:
    from overspill.api.policy import Trials

TRIALS: Final = "trials"
"""Judges, and what goes to the frontier by lot only."""


def purposes_of(trials: Trials | None) -> dict[str, int]:
    """Return the limits within a policy's budget, in micro-dollars by purpose."""
    if trials is None or trials.limit is None:
        return {}
    return {TRIALS: usd_micros(trials.limit)}
