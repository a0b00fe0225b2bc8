"""What an alert is, and the rule that Prometheus makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Who should look, and when."""

    CRITICAL = "critical"
    """Somebody now: requests fail, or nobody is at the helm."""
    WARNING = "warning"
    """Somebody today."""
    INFO = "info"
    """Whoever looks next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule. Prometheus fills in what its texts hold: `{{ $labels.policy }}`, `{{ $value }}`."""

    name: str
    expr: str
    severity: Severity
    summary: str
    description: str
    """What it means, and what to do."""
    lasting: str = ""
    """For so long before it fires, such as `5m`; empty: at once."""

    def rule(self) -> dict[str, object]:
        """Return the rule as plain values."""
        waiting = {"for": self.lasting} if self.lasting else {}
        return {
            "alert": self.name,
            "expr": self.expr,
            **waiting,
            "labels": {"severity": self.severity.value},
            "annotations": {"summary": self.summary, "description": self.description},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Alerts that are evaluated together."""

    name: str
    alerts: tuple[Alert, ...]
