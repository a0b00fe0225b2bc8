"""How long requests took, first token and whole answer."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np

EXTERNAL_TTFT_S: Final = 1.0
EXTERNAL_TOKENS_PER_S: Final = 80.0
"""What a provider that is paid per token takes: assumed, the same for all; no policy says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Percentiles over all requests, whoever answered; None where there were none."""

    ttft_p50_s: float | None
    """From arrival to the first token, waiting and attempts in vain included."""
    ttft_p99_s: float | None
    queue_wait_p99_s: float | None
    """`routing.queue.maxWait`: until a replica had room, or the wait was given up."""
    duration_p99_s: float | None
    """From arrival to the last token."""


class Stopwatch:
    """Times of each request. Arrays of numbers: 5 million requests are 120 MB of them."""

    def __init__(self, requests: int) -> None:
        self.ttft_s = _zeros(requests)
        self.queue_wait_s = _zeros(requests)
        self.duration_s = _zeros(requests)

    def external(self, number: int, asked_after_s: float, output_tokens: float) -> None:
        """A provider was asked this long after the arrival."""
        first_s = asked_after_s + EXTERNAL_TTFT_S
        self.ttft_s[number] = first_s
        self.duration_s[number] = first_s + output_tokens / EXTERNAL_TOKENS_PER_S

    def latency(self) -> Latency:
        """Return the percentiles."""
        return Latency(
            ttft_p50_s=_percentile(self.ttft_s, 50),
            ttft_p99_s=_percentile(self.ttft_s, 99),
            queue_wait_p99_s=_percentile(self.queue_wait_s, 99),
            duration_p99_s=_percentile(self.duration_s, 99),
        )


def _zeros(count: int) -> array[float]:
    return array("d", bytes(8 * count))


def _percentile(values: array[float], percent: float) -> float | None:
    return float(np.percentile(np.frombuffer(values), percent)) if values else None
