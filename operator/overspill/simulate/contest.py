"""The rules that a load can be played under, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.simulate.engine import Progress, account, run
from overspill.simulate.fixed import Given, best_constant, nothing
from overspill.simulate.load import Load, Series, cheapest
from overspill.simulate.optimum import optimum
from overspill.simulate.ours import Overspill
from overspill.simulate.peers.hpa import Hpa
from overspill.simulate.peers.keda import Keda
from overspill.simulate.peers.kpa import Kpa
from overspill.simulate.peers.lanes import tuned
from overspill.simulate.replay import Replay

if TYPE_CHECKING:
    from overspill.scaling import Economics
    from overspill.simulate.latency import Latency
    from overspill.simulate.outcome import Outcome
    from overspill.simulate.requests import Traffic
    from overspill.simulate.rule import Rule
    from overspill.simulate.tier import Tier

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
    latency: Latency | None = None
    """Where single requests were played."""


def _driven(make: Callable[[Economics], Rule]) -> Play:
    return lambda load, progress: run(load, make(load.economics), progress)


DRIVEN: Final[Mapping[str, Callable[[Economics], Rule]]] = {
    OURS: Overspill,
    "hpa": Hpa,
    "keda": Keda,
    "kpa": Kpa,
}
"""Rules that are asked step by step."""
PLAYS: Final[Mapping[str, Play]] = {
    OURS: _driven(DRIVEN[OURS]),
    "frontier": lambda load, _: nothing(load),
    "hosted": lambda load, _: nothing(load),
    "static": lambda load, _: best_constant(load),
    "hpa": _driven(DRIVEN["hpa"]),
    "keda": _driven(DRIVEN["keda"]),
    "kpa": _driven(DRIVEN["kpa"]),
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


def play_requests(
    rule: str, load: Load, progress: Progress | None = None, *, traffic: Traffic, tier: Tier
) -> Result:
    """Play one rule against single requests.

    A rule that is computed for a whole load at once is played with what it asks of the flow.
    """
    if rule in RUNGS:
        load = replace(load, frontier_usd=load.rungs[rule])
    replay = Replay(load, traffic, tier, progress)
    requested = _asked(rule, load, replay)
    spilled = np.frombuffer(replay.spilled, dtype=np.bool_)
    usd = traffic.rungs[rule if rule in RUNGS else cheapest(load.rungs)]
    work, flowed = float(traffic.work_tokens.sum()), account(load, requested)
    outcome = replace(
        flowed,
        gpu_cost_usd=flowed.gpu_cost_usd + replay.drained_s * load.economics.rent_usd_per_s,
        frontier_cost_usd=float(usd[spilled].sum()),
        spilled_share=float(traffic.work_tokens[spilled].sum()) / work if work else 0.0,
    )
    return Result(
        rule=rule, load=load, requested=requested, outcome=outcome, latency=replay.watch.latency()
    )


def _asked(rule: str, load: Load, replay: Replay) -> Series:
    if rule in DRIVEN:
        return run(load, DRIVEN[rule](load.economics), serve=replay.serve)
    given = Given(PLAYS[rule](load, None))
    unbound = replace(load, economics=replace(load.economics, min_replicas=0))
    return run(unbound, given, serve=replay.serve)
