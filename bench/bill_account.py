"""What one way to serve a trace cost, and how good its answers were."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from bench.bill_replay import USD_PER_TOKEN
from bench.bill_traffic import GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.bill_replay import Played
    from bench.bill_traffic import Graded, Traffic
    from overspill.simulate.load import FloatArray

FRONTIER_ONLY: Final = "frontier only"
FLOORS: Final = (0.95, 0.98)
THIRD: Final = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One way to serve a trace. Shares are of requests, qualities means over them, 0..1."""

    way: str
    score_share: float
    """Part that the score sends to the frontier."""
    total_usd: float
    of_frontier_only: float
    quality: float
    of_frontier_quality: float
    behind: float
    """Quality less the frontier's, on the same requests."""
    standard_error: float
    """Of `behind`, over graded prompts and paired: each against the frontier's answer to it."""
    frontier_share: float
    """Overflow included."""
    lost_share: float
    """Neither room nor money: counted as wrong."""
    gpu_usd: float
    frontier_usd: float
    blind_quality: float
    """Of frontier's, where as many requests go there but are drawn blindly: the same bill."""

    @property
    def held(self) -> bool:
        """Whether no loss was measured: not behind by more than one standard error."""
        return self.behind >= -self.standard_error


def billed(way: str, traffic: Traffic, prompts: Graded, played: Played) -> Bill:
    """Add up dollars and outcomes."""
    requests, all_usd = traffic.requests, float(traffic.work_tokens.sum()) * USD_PER_TOKEN
    kept, lost = (_reached(one, played) for one in (played.kept, played.lost))
    many, best = float(requests.sum()), float(traffic.frontier.sum())
    behind = float(
        (kept * (traffic.small - traffic.frontier)).sum() - (lost * traffic.frontier).sum()
    )
    gap = float(traffic.small.sum()) - best
    kept_share, lost_share = (float((one * requests).sum()) / many for one in (kept, lost))
    total_usd = played.gpu_usd + played.frontier_usd
    return Bill(
        way=way,
        score_share=played.share,
        total_usd=total_usd,
        of_frontier_only=total_usd / all_usd,
        quality=(best + behind) / many,
        of_frontier_quality=1 + behind / best,
        behind=behind / many,
        standard_error=_standard_error(requests, kept, lost, prompts),
        frontier_share=1 - kept_share - lost_share,
        lost_share=lost_share,
        gpu_usd=played.gpu_usd,
        frontier_usd=played.frontier_usd,
        blind_quality=1 + kept_share * gap / best - lost_share,
    )


def _reached(part: FloatArray, played: Played) -> FloatArray:
    """Turn a part of the small tier's requests into one of each group's, (steps, GROUPS)."""
    groups = round(played.share * GROUPS)
    sent = (part * played.refused)[:, None].repeat(groups, axis=1)
    return np.hstack([sent, part[:, None].repeat(GROUPS - groups, axis=1)])


def _standard_error(
    requests: FloatArray, kept: FloatArray, lost: FloatArray, prompts: Graded
) -> float:
    """Standard error of the mean over prompts of what each is expected to lose."""
    asked = np.maximum(requests.sum(axis=0), 1.0)
    small, none = (((part * requests).sum(axis=0) / asked)[prompts.group] for part in (kept, lost))
    behind = small * (prompts.small - prompts.frontier) - none * prompts.frontier
    return float(behind.std(ddof=1)) / math.sqrt(len(behind))


def frontier_only(traffic: Traffic) -> Bill:
    """Send everything there; own nothing."""
    usd = float(traffic.work_tokens.sum()) * USD_PER_TOKEN
    return Bill(
        way=FRONTIER_ONLY,
        score_share=1.0,
        total_usd=usd,
        of_frontier_only=1.0,
        quality=float(traffic.frontier.sum() / traffic.requests.sum()),
        of_frontier_quality=1.0,
        behind=0.0,
        standard_error=0.0,
        frontier_share=1.0,
        lost_share=0.0,
        gpu_usd=0.0,
        frontier_usd=usd,
        blind_quality=1.0,
    )


def answers(bills: Sequence[Bill]) -> dict[str, Bill]:
    """Name the bills that answer the question."""
    by_usd = sorted(bills, key=lambda bill: bill.total_usd)
    found = {"no loss measured": next(bill for bill in by_usd if bill.held)}
    for floor in FLOORS:
        enough = (bill for bill in by_usd if bill.of_frontier_quality >= floor)
        found[f"{floor:.0%} of its quality"] = next(enough)
    if cheap := [bill for bill in bills if bill.of_frontier_only <= THIRD]:
        found["two thirds less"] = max(cheap, key=lambda bill: bill.quality)
    return found
