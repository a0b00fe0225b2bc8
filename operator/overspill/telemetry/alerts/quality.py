"""Alerts on a promised floor of quality."""

from __future__ import annotations

from typing import Final

from overspill.telemetry.alert import Alert, Group, Severity
from overspill.telemetry.alerts.signals import asked, says

QUALITY: Final = Group(
    name="overspill.quality",
    alerts=(
        Alert(
            name="OverspillQualityBelowFloor",
            expr=says("QualityKept", "False"),
            lasting="30m",
            severity=Severity.WARNING,
            summary="{{ $labels.policy }}: QualityKept is False, quality is below the floor",
            description="Trials prove that answers are worse than routing.complexity.qualityFloor "
            "asks for. Stricter plans send more to the frontier by themselves; where it stays, "
            "see whether the small model, its version or the traffic changed, or lower the floor.",
        ),
        Alert(
            name="OverspillQualityNotProven",
            expr=f"{says('QualityKept', 'Unknown', 'NotProven')} and {asked()}",
            lasting="6h",
            severity=Severity.INFO,
            summary="{{ $labels.policy }}: QualityKept is Unknown, the floor is not proven",
            description="What trials say lies on both sides of the floor, for hours. The "
            "dashboard's trials by outcome say whether they come to nothing; raise "
            "routing.trials.sampleRate or routing.trials.limit to have more of them.",
        ),
    ),
)
