"""A small tier on trial: what it cost, what it saved, and whether it goes on.

Time is watched in windows. At the end of each it is judged by that window alone, so that a good
past covers up nothing. Time in which nothing could be seen counts for neither side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What is asked of it."""

    window_s: float
    least_saved_per_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window so far."""

    watched_s: float = 0.0
    saved_usd: float = 0.0
    """Not paid for what the small tier answered."""
    cost_usd: float = 0.0
    """Rent of its replicas, and judges of trials."""

    @property
    def saved_per_usd(self) -> float | None:
        """None where it has cost nothing."""
        return self.saved_usd / self.cost_usd if self.cost_usd else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """All that is known."""

    window: Window = Window()
    last: Window | None = None
    """The one before."""
    ended: bool = False
    """By `last`: it goes on only where somebody says so."""


def watched(
    before: Experiment,
    line: Line,
    *,
    saved_usd_per_s: float,
    cost_usd_per_s: float,
    elapsed_s: float,
) -> Experiment:
    """Take in so much time, and judge where a window is full."""
    if before.ended:
        return before
    window = Window(
        watched_s=before.window.watched_s + elapsed_s,
        saved_usd=before.window.saved_usd + saved_usd_per_s * elapsed_s,
        cost_usd=before.window.cost_usd + cost_usd_per_s * elapsed_s,
    )
    if window.watched_s < line.window_s:
        return replace(before, window=window)
    return Experiment(last=window, ended=not _good_enough(window, line))


def _good_enough(window: Window, line: Line) -> bool:
    """Whether it was worth it. What has cost nothing is worth anything."""
    saved = window.saved_per_usd
    return saved is None or saved >= line.least_saved_per_usd
