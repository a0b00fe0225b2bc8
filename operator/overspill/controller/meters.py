"""The operator's own metrics. The series of a policy end when the policy does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from overspill.telemetry import names

if TYPE_CHECKING:
    from overspill.budget import BudgetState
    from overspill.controller.keys import Manifest, PolicyKey


class Meters:
    """Counters and gauges over one registry."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self.registry = CollectorRegistry()

        def gauge(name: str, about: str) -> Gauge:
            return Gauge(name, about, (names.POLICY,), registry=registry)

        self._desired = gauge(names.DESIRED_REPLICAS, "Small replicas asked for.")
        self._ready = gauge(names.READY_REPLICAS, "Small replicas ready.")
        self._startup_s = gauge(names.STARTUP_SECONDS, "Start of a small replica, as learned.")
        self._capacity = gauge(names.CAPACITY_TOKENS_PER_S, "Work of a small replica, as learned.")
        self._limit = gauge(names.BUDGET_LIMIT_USD, "Budget of this period.")
        self._spent = gauge(names.BUDGET_SPENT_USD, "Spent in this period.")
        self._leased = gauge(names.BUDGET_LEASED_USD, "Held by sidecars, and not spent yet.")
        self._used = gauge(names.BUDGET_USED_RATIO, "Spent by limit.")
        self._budget = (self._limit, self._spent, self._leased, self._used)
        self._quality = {
            "estimate": gauge(names.QUALITY, "Of the frontier's, as estimated from trials."),
            "low": gauge(names.QUALITY_LOW, "At least so much, by the policy's confidence."),
            "floor": gauge(names.QUALITY_FLOOR, "Of quality, as the policy asks for."),
            "trials": gauge(names.TRIALS_KEPT, "Requests that both tiers answered."),
        }
        self._conditions = Gauge(
            names.CONDITION,
            "1 for what a condition of a policy says now.",
            names.LABELS[names.CONDITION],
            registry=registry,
        )
        self._rent = Counter(
            names.RENT_USD, "Rent of small replicas.", (names.POLICY,), registry=registry
        )
        self._reconciles = Counter(
            names.RECONCILES, "Looks at a policy.", ("outcome",), registry=registry
        )
        self.reconcile_seconds = Histogram(
            names.RECONCILE_SECONDS, "Time of one look.", registry=registry
        )
        self.leader = Gauge(names.LEADER, "1 on the leader.", registry=registry)
        self.metrics_age = Gauge(
            names.METRICS_AGE_SECONDS, "Age of what Prometheus last said.", registry=registry
        )
        for outcome in ("ok", "invalid", "unavailable", "error"):
            self._reconciles.labels(outcome)

    def reconciled(self, outcome: str) -> None:
        """Count one look."""
        self._reconciles.labels(outcome).inc()

    def rented(self, key: PolicyKey, usd: float) -> None:
        """Count what small replicas have cost since the last time."""
        self._rent.labels(str(key)).inc(usd)

    def show(self, key: PolicyKey, status: Manifest, budget: BudgetState | None) -> None:
        """Set one policy's gauges from its status."""
        policy = str(key)
        self._drop(policy, self._conditions)
        for one in status.get("conditions") or ():
            self._conditions.labels(policy, one["type"], one["status"], one["reason"]).set(1)
        if replicas := status.get("replicas"):
            self._desired.labels(policy).set(replicas["desired"])
            self._ready.labels(policy).set(replicas["ready"])
        else:
            self._drop(policy, self._desired, self._ready)
        if learned := status.get("learned"):
            self._startup_s.labels(policy).set(learned["startupSeconds"])
            self._capacity.labels(policy).set(learned["outputTokensPerSecond"])
        quality = status.get("quality") or {}
        for name, shown in self._quality.items():
            if name in quality:
                shown.labels(policy).set(float(quality[name]))
            else:
                self._drop(policy, shown)
        self._drop(policy, *self._budget)  # what is not known of a new period was of the last one
        if budget is None:
            return
        self._limit.labels(policy).set(float(budget.limit_usd))
        if budget.spent_usd is not None:
            self._spent.labels(policy).set(float(budget.spent_usd))
        if budget.used is not None:
            self._used.labels(policy).set(budget.used)
        if budget.leased_usd is not None:
            self._leased.labels(policy).set(float(budget.leased_usd))

    def forget(self, key: PolicyKey) -> None:
        """End the series of a policy that is gone."""
        gauges = (self._desired, self._ready, self._startup_s, self._capacity)
        self._drop(str(key), *gauges, self._conditions, *self._budget, *self._quality.values())
        self._drop(str(key), self._rent)

    def exposition(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)

    @staticmethod
    def _drop(policy: str, *series: Gauge | Counter) -> None:
        for one in series:
            one.remove_by_labels({names.POLICY: policy})
