"""Alerts on the operator itself."""

from __future__ import annotations

from typing import Final

from overspill.telemetry import names
from overspill.telemetry.alert import Alert, Group, Severity
from overspill.telemetry.alerts.signals import RECENT
from overspill.telemetry.promql import among, on_the_leader, share

STALE_S: Final = 300
FAILING: Final = 0.1
"""Of all looks at policies."""
_FAILED: Final = RECENT.rate(names.RECONCILES, among("outcome", "error", "unavailable"))

OPERATOR: Final = Group(
    name="overspill.operator",
    alerts=(
        Alert(
            name="OverspillNoLeader",
            expr=f"absent({names.LEADER} == 1)",
            lasting="5m",
            severity=Severity.CRITICAL,
            summary="no Overspill operator leads",
            description="Nothing is scaled and no change of a policy is published; sidecars go "
            "on with what they have. See the operator's pods and log. Where it does run, this "
            "Prometheus does not scrape it: port 8080, path /metrics.",
        ),
        Alert(
            name="OverspillMetricsStale",
            expr=f"{on_the_leader(names.METRICS_AGE_SECONDS)} > {STALE_S}",
            lasting="1m",
            severity=Severity.WARNING,
            summary="Prometheus has not answered the operator for {{ $value | humanizeDuration }}",
            description="MetricsAvailable is False, PrometheusUnavailable: replicas are held. "
            "Check prometheus.url in the chart's values and the way from the operator to there.",
        ),
        Alert(
            name="OverspillReconcilesFailing",
            expr=f"{share(_FAILED, RECENT.rate(names.RECONCILES))} > {FAILING:g}",
            lasting="15m",
            severity=Severity.WARNING,
            summary="{{ $value | humanizePercentage }} of looks at policies fail",
            description="The API server does not answer the operator, refuses it, or the operator "
            "has a defect; its log says which. Policies are tried again until it works.",
        ),
    ),
)
