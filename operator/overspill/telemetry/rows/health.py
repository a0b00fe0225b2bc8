"""Whether the operator does its work, and sidecars follow."""

from __future__ import annotations

from overspill.telemetry import names
from overspill.telemetry.panel import Line, Panel, Row, Unit
from overspill.telemetry.promql import among, on_the_leader
from overspill.telemetry.rows.views import VIEW


def operator() -> Row:
    """Whether the operator does its work, and sidecars follow. Mostly of all policies together."""
    return Row(title="Operator", panels=(*_work(), *_following()))


def _work() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Reconciles by outcome",
            description="Looks at any policy. invalid: somebody must edit a policy; unavailable: "
            "the API server did not answer or refused; error: a defect, see the operator's log.",
            unit=Unit.PER_S,
            lines=(Line(VIEW.rate(names.RECONCILES, by=("outcome",)), "{{outcome}}"),),
            width=6,
            stacked=True,
        ),
        Panel(
            title="Duration of a reconcile",
            description="Half and 95 of 100 looks took at most so long. Looks that take longer "
            "than operator.intervalSeconds leave policies waiting.",
            unit=Unit.SECONDS,
            lines=(
                Line(VIEW.quantile(0.5, names.RECONCILE_SECONDS), "half"),
                Line(VIEW.quantile(0.95, names.RECONCILE_SECONDS), "95 of 100"),
            ),
            width=6,
        ),
        Panel(
            title="Leaders",
            description="One is right. Without one nothing is scaled and no change of a policy is "
            "published; sidecars go on with what they have.",
            unit=Unit.COUNT,
            lines=(Line(VIEW.now(names.LEADER, by=(), how="sum"), "leaders"),),
            width=6,
        ),
        Panel(
            title="Age of metrics",
            description="How long ago Prometheus last answered the leader. A line that climbs "
            "says that it does not: replicas are held meanwhile.",
            unit=Unit.SECONDS,
            lines=(Line(on_the_leader(names.METRICS_AGE_SECONDS), "age"),),
            width=6,
        ),
    )


def _following() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Sidecars by generation of the policy",
            description="How many sidecars run which generation. After an edit the old line ends "
            "within seconds; one that stays is a sidecar that cannot read its file.",
            unit=Unit.COUNT,
            lines=(
                Line(
                    VIEW.values(names.CONFIG_GENERATION, "generation"),
                    "{{policy}} generation {{generation}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            title="Sidecars without a provider's key",
            description="Above 0 that provider is not asked by so many sidecars: create the "
            "Secret that the policy names.",
            unit=Unit.COUNT,
            lines=(
                Line(
                    VIEW.now(names.CREDENTIAL_MISSING, by=(names.POLICY, "provider"), how="sum"),
                    "{{policy}} {{provider}}",
                ),
            ),
        ),
        Panel(
            title="Conditions that are not true",
            description="What kubectl get rp says is wrong or unknown, by policy and reason. The "
            "condition's message says what to do.",
            unit=Unit.COUNT,
            lines=(
                Line(
                    VIEW.now(
                        names.CONDITION,
                        among("status", "False", "Unknown"),
                        by=(names.POLICY, "type", "reason"),
                    ),
                    "{{policy}} {{type}} {{reason}}",
                ),
            ),
            stacked=True,
        ),
    )
