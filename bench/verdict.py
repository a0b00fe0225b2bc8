"""What the sidecar is meant to reach, and whether it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

Cases = Mapping[str, Mapping[str, Mapping[str, Any]]]
OURS: Final = "overspill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A bound on one of our figures, or on its ratio to a peer's."""

    case: str
    figure: str
    at_least: float | None = None
    below: float | None = None
    peer: str = ""

    @property
    def name(self) -> str:
        """The bound in words."""
        bound = f"≥ {self.at_least:g}" if self.below is None else f"< {self.below:g}"
        return f"{self.case} {self.figure} {bound}{f' × {self.peer}' if self.peer else ''}"

    def holds(self, measured: float) -> bool:
        """Whether it is reached."""
        return measured >= (self.at_least or 0) if self.below is None else measured < self.below


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aim and what was measured. Both None: a figure is missing; ours that broke is missed."""

    aim: str
    measured: float | None
    passed: bool | None


AIMS: Final = (
    Aim(case="json32", figure="rps", at_least=0.5, peer="envoy"),
    Aim(case="json256", figure="rps", at_least=0.5, peer="envoy"),
    Aim(case="prompt64k", figure="rps", at_least=0.5, peer="envoy"),
    Aim(case="stream200", figure="events_per_s", at_least=0.4, peer="envoy"),
    Aim(case="json32", figure="rps", at_least=100, peer="litellm"),
    Aim(case="rate1000", figure="added_p99_ms", below=1),
    Aim(case="idle2000", figure="rest_mib", below=80),
    Aim(case="idle2000", figure="rss_mib", below=250),
)


def ratio(cases: Cases, case: str, figure: str, peer: str) -> float | None:
    """Our figure over a peer's; None where either is missing.

    A peer that failed is no slow peer: what it answered between errors is no measure for ours.
    """
    ours = cases.get(case, {}).get(OURS, {}).get(figure)
    other = cases.get(case, {}).get(peer, {})
    theirs = other.get(figure) if sound(other) else None
    return ours / theirs if ours is not None and theirs else None


def sound(figures: Mapping[str, Any]) -> bool:
    """Whether every answer was right and no run broke."""
    return not figures.get("errors") and not figures.get("broken")


def judge(cases: Cases) -> list[Verdict]:
    """Hold every aim against the figures."""
    return [_judged(aim, cases) for aim in AIMS]


def _judged(aim: Aim, cases: Cases) -> Verdict:
    if aim.peer:
        measured = ratio(cases, aim.case, aim.figure, aim.peer)
    else:
        measured = cases.get(aim.case, {}).get(OURS, {}).get(aim.figure)
    if not sound(cases.get(aim.case, {}).get(OURS, {})):
        return Verdict(aim.name, measured, passed=False)
    return Verdict(aim.name, measured, None if measured is None else aim.holds(measured))


def as_json(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """For the file."""
    return [asdict(verdict) for verdict in verdicts]
