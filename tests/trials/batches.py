"""Batches of trials to begin with; tests change one thing at a time."""

from __future__ import annotations

from typing import Any

from overspill.routing.features import VERSION, features
from overspill.trials.record import Batch, Trial, features_of

PROMPT = "Which of these is the capital of France?\n(A) Lyon\n(B) Paris\n" * 8


def trial(prompt: str = PROMPT, **changes: float) -> Trial:
    """Return a trial that was drawn with one chance in ten, and that both answered well."""
    words, shape = features_of(features(prompt))
    said = {"score": 0.2, "small": 1.0, "frontier": 1.0, "sent": 0.1, "seen": 0.1} | changes
    return Trial(words=words, shape=shape, **said)


def batch(*trials: Trial, **changes: Any) -> Batch:  # noqa: ANN401 - any field
    """Return what a sidecar told."""
    said: dict[str, Any] = {
        "name": "a-1",
        "features": VERSION,
        "ended_s": 1_000.0,
        "alone": 7,
        "at_frontier": 3,
        "unseen": 0,
        "lost_free": 0,
        "lost_paid": 0,
        "trial_rate": 0.1,
        "variance": 0.2,
        "spent_usd_micros": 0,
        "trials": list(trials),
    }
    return Batch(**said | changes)
