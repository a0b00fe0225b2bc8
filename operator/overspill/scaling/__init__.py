"""How many small replicas, and why. Pure: time and observations come in as values."""

from overspill.scaling.breakeven import LevelState, step, worth_usd_per_s
from overspill.scaling.carry import carried
from overspill.scaling.decide import Decision, Reason, Situation, decide
from overspill.scaling.physics import Learned, Load, Sight, Stretch
from overspill.scaling.values import Demand, Economics, Replicas, Unknown

__all__ = [
    "Decision",
    "Demand",
    "Economics",
    "Learned",
    "LevelState",
    "Load",
    "Reason",
    "Replicas",
    "Sight",
    "Situation",
    "Stretch",
    "Unknown",
    "carried",
    "decide",
    "step",
    "worth_usd_per_s",
]
