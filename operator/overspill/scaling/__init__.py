"""How many small replicas, and why. Pure: time and observations come in as values."""

from overspill.scaling.breakeven import LevelState, step, worth_usd_per_s
from overspill.scaling.decide import Decision, Reason, Situation, decide
from overspill.scaling.values import Demand, Economics, Replicas, Unknown

__all__ = [
    "Decision",
    "Demand",
    "Economics",
    "LevelState",
    "Reason",
    "Replicas",
    "Situation",
    "Unknown",
    "decide",
    "step",
    "worth_usd_per_s",
]
