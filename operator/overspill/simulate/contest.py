"""The rules that a load can be played under, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from overspill.simulate.engine import Progress, account, run
from overspill.simulate.fixed import best_constant, nothing
from overspill.simulate.load import Load, Series
from overspill.simulate.optimum import optimum
from overspill.simulate.ours import Overspill
from overspill.simulate.peers.hpa import Hpa
from overspill.simulate.peers.keda import Keda
from overspill.simulate.peers.kpa import Kpa
from overspill.simulate.peers.lanes import tuned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.scaling import Economics
    from overspill.simulate.outcome import Outcome
    from overspill.simulate.rule import Rule

Play = Callable[[Load, Progress | None], Series]
"""From a load to the replicas asked for in each step."""
OURS: Final = "overspill"
OPTIMAL: Final = "optimal"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """One rule's series and what came of it."""

    rule: str
    load: Load
    """As this rule pays for it."""
    requested: Series
    outcome: Outcome


def _driven(make: Callable[[Economics], Rule]) -> Play:
    return lambda load, progress: run(load, make(load.economics), progress)


PLAYS: Final[Mapping[str, Play]] = {
    OURS: _driven(Overspill),
    "frontier": lambda load, _: nothing(load),
    "hosted": lambda load, _: nothing(load),
    "static": lambda load, _: best_constant(load),
    "hpa": _driven(Hpa),
    "keda": _driven(Keda),
    "kpa": _driven(Kpa),
    "keda-tuned": lambda load, _: tuned(load).requested,
    OPTIMAL: optimum,
}
"""In the order of the documentation."""
RUNGS: Final = ("frontier", "hosted")
"""Rules that own nothing and pay for everything at the rung of their name."""


def entrants(load: Load) -> list[str]:
    """Return the rules whose prices this load knows."""
    return [rule for rule in PLAYS if rule not in RUNGS or rule in load.rungs]


def play(rule: str, load: Load, progress: Progress | None = None) -> Result:
    """Play one rule from a cold start."""
    if rule in RUNGS:
        load = replace(load, frontier_usd=load.rungs[rule])
    requested = PLAYS[rule](load, progress)
    return Result(rule=rule, load=load, requested=requested, outcome=account(load, requested))
