"""Which requests become trials, by lot, and with what chances.

What the score would give to the small model goes to the frontier at the plan's rate: paid trials.
Of what goes there anyway a share is looked at: trials for nothing. Each chance is written down, so
that the few that were seen stand for all.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How to route until the next plan."""

    limit: float
    """Of the score: from here on a request goes up anyway; -inf for all, inf for none."""
    trial_rate: float
    """Of the others, by lot."""
    shadow_rate: float
    """Of what the frontier answers anyway."""
    variance: float = 0.0
    """Of the margins of what the small model is to answer, as expected."""


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """What the lot says of one request."""

    gain: float
    """By the score."""
    to_frontier: bool
    paid: bool = False
    """It goes there as a trial only."""
    watched: bool = False
    """It is to become a trial."""
    sent: float = 1.0
    """The chance that it went to the frontier."""
    seen: float = 1.0
    """The chance that it went there and is watched."""


UNSEEN: Final = Draw(gain=0.0, to_frontier=False, sent=0.0, seen=0.0)
"""It is for the small model, and could not have become a trial."""


def draw(plan: Plan, gain: float, *, up: bool, dice: float) -> Draw:
    """Draw for a request; `up`: it goes to the frontier anyway, `dice` is from 0 to below 1."""
    if up:
        return Draw(
            gain=gain, to_frontier=True, watched=dice < plan.shadow_rate, seen=plan.shadow_rate
        )
    if plan.trial_rate <= 0.0:
        return UNSEEN
    drawn, chance = dice < plan.trial_rate, plan.trial_rate
    return Draw(gain=gain, to_frontier=drawn, paid=drawn, watched=drawn, sent=chance, seen=chance)
