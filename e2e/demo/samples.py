"""What the demo records while it runs, and what comes of it. Pure."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from e2e.app.asks import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look; counts and dollars are since the start."""

    at_s: float
    sent: int = 0
    small_answers: int = 0
    frontier_answers: int = 0
    failed: int = 0
    in_flight: int = 0
    demand_replicas: float = 0.0
    desired: int = 0
    ready: int = 0
    spend_usd: float = 0.0
    state: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """USD per million tokens at the frontier; USD per replica and hour."""

    input_per_mtok: float
    output_per_mtok: float
    replica_hourly: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How it ended; the file `summary.json`."""

    requests: int
    small_answers: int
    frontier_answers: int
    failed: int
    spend_usd: float
    frontier_only_usd: float
    gpu_usd: float
    peak_replicas: int
    final_replicas: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return asdict(self)


def frontier_only_usd(asks: Sequence[Ask], prices: Prices) -> float:
    """What all these calls cost if the frontier answers every one."""
    tokens_in = sum(ask.input_tokens for ask in asks)
    tokens_out = sum(ask.output_tokens for ask in asks)
    return (tokens_in * prices.input_per_mtok + tokens_out * prices.output_per_mtok) / 1e6


def gpu_usd(samples: Sequence[Sample], prices: Prices) -> float:
    """Rent of all replicas, from the moment each was asked for."""
    pairs = itertools.pairwise(samples)
    replica_s = sum(a.desired * (b.at_s - a.at_s) for a, b in pairs)
    return replica_s * prices.replica_hourly / 3600


def summarize(
    samples: Sequence[Sample], asks: Sequence[Ask], prices: Prices, charged_usd: float
) -> Summary:
    """Sum up; `charged_usd` is what the frontier itself says it charged."""
    last = samples[-1]
    return Summary(
        requests=last.sent,
        small_answers=last.small_answers,
        frontier_answers=last.frontier_answers,
        failed=last.failed,
        spend_usd=round(charged_usd, 6),
        frontier_only_usd=round(frontier_only_usd(asks, prices), 6),
        gpu_usd=round(gpu_usd(samples, prices), 6),
        peak_replicas=max(sample.ready for sample in samples),
        final_replicas=last.desired,
        seconds=round(last.at_s, 1),
    )
