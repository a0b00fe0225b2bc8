"""What a dashboard is made of: rows of panels, each with its lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a panel draws; Grafana's names."""

    TIME_SERIES = "timeseries"
    STAT = "stat"
    BAR_GAUGE = "bargauge"


class Unit(StrEnum):
    """What a panel's numbers are; Grafana's names."""

    USD = "currencyUSD"
    SHARE = "percentunit"
    REQUESTS_PER_S = "reqps"
    PER_S = "ops"
    TOKENS_PER_S = "suffix:tok/s"
    SECONDS = "s"
    COUNT = "short"


@dataclass(frozen=True, slots=True)
class Line:
    """One query and the words beside its series, in which `{{label}}` is replaced."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From this value on, this colour."""

    value: float
    color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture. `width` is of 24, `height` in units of the grid."""

    title: str
    description: str
    """What to read off it."""
    unit: Unit
    lines: tuple[Line, ...]
    kind: Kind = Kind.TIME_SERIES
    width: int = 8
    height: int = 8
    stacked: bool = False
    lowest: float | None = 0.0
    highest: float | None = None
    steps: tuple[Step, ...] = ()
    """Below the first it is green."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels below one heading."""

    title: str
    panels: tuple[Panel, ...]
