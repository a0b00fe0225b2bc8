"""How many small replicas, and why. Pure: time and observations come in as values."""

from overspill.scaling.breakeven import State, step
from overspill.scaling.decide import Decision, Reason, Situation, decide
from overspill.scaling.physics import Learned, Load, Sight, Stretch
from overspill.scaling.values import Demand, Economics, Replicas, Unknown

__all__ = [
    "Decision",
    "Demand",
    "Economics",
    "Learned",
    "Load",
    "Reason",
    "Replicas",
    "Sight",
    "Situation",
    "State",
    "Stretch",
    "Unknown",
    "decide",
    "step",
]
