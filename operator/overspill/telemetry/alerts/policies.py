"""Alerts on a policy that is not obeyed, or not as fast as it should be."""

from __future__ import annotations

from typing import Final

from overspill.telemetry import names
from overspill.telemetry.alert import Alert, Group, Severity
from overspill.telemetry.alerts.signals import RECENT, is_false, says

LOOK: Final = "kubectl get rp -A and the condition's message say"
_WAITING: Final = f"{RECENT.now(names.READY_REPLICAS)} < {RECENT.now(names.DESIRED_REPLICAS)}"
_STARTUP_S: Final = RECENT.now(names.STARTUP_SECONDS)
_FAST_S: Final = 300
"""A rule waits a fixed time: three start-ups of so many seconds, and for slower ones an hour."""


def _not_ready(startup: str, lasting: str) -> Alert:
    return Alert(
        name="OverspillReplicasNotReady",
        expr=f"{_WAITING} and {_STARTUP_S} {startup} {_FAST_S}",
        lasting=lasting,
        severity=Severity.WARNING,
        summary="{{ $labels.policy }}: small replicas do not get ready",
        description="Fewer replicas are ready ({{ $value }}) than are asked for, for much longer "
        "than a start takes; what they should do overflows meanwhile. See why their pods are not "
        "ready: image, model files, probes, GPUs (kubectl describe pod).",
    )


POLICIES: Final = Group(
    name="overspill.policies",
    alerts=(
        Alert(
            name="OverspillPolicyNotReady",
            expr=says("Ready", "False"),
            lasting="5m",
            severity=Severity.WARNING,
            summary=is_false("Ready"),
            description="The policy cannot be obeyed; the last good configuration stays in force. "
            f"{LOOK} what to edit or create.",
        ),
        Alert(
            name="OverspillNoSamples",
            expr=says("MetricsAvailable", "False", "NoSamples", "FewSamples", "StaleSamples"),
            lasting="10m",
            severity=Severity.WARNING,
            summary=is_false("MetricsAvailable"),
            description="Demand is not known, so replicas are held. Let Prometheus scrape port "
            "4001 of pods with the label overspill.dev/policy: see its targets, the PodMonitor's "
            "labels, and network policies.",
        ),
        Alert(
            name="OverspillSidecarsNotCurrent",
            expr=says("SidecarsCurrent", "False", "Outdated", "NotInjected"),
            lasting="15m",
            severity=Severity.WARNING,
            summary=is_false("SidecarsCurrent"),
            description="Outdated: a sidecar runs an older generation of the policy; its log and "
            "/readyz say what it cannot use. NotInjected: a pod runs without a sidecar, around "
            "rules and budget; the condition's message has the command that restarts it.",
        ),
        Alert(
            name="OverspillScalingInactive",
            expr=says("ScalingActive", "False", "AnotherAutoscaler", "Forbidden", "Unschedulable"),
            lasting="15m",
            severity=Severity.WARNING,
            summary=is_false("ScalingActive"),
            description="The operator does not scale the small tier. AnotherAutoscaler: delete "
            "one of the two. Forbidden: grant the right that the condition names. Unschedulable: "
            "pods fit on no node; add nodes or lower spec.small.replicas.max.",
        ),
        _not_ready("<=", "15m"),
        _not_ready(">", "1h"),
    ),
)
