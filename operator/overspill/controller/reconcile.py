"""One look at one policy: parse → observe → decide → apply → report.

Nothing here decides about scaling or spend; it fetches values for the pure functions that do and
carries their answers out. The configuration is published before the scale is written, so that
spill is possible before capacity goes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from overspill.api import InvalidPolicy, parse_policy
from overspill.api.policy import Mode, OnExhausted
from overspill.budget import Effect, observe_spend, period_at
from overspill.controller import happenings, observation, publication
from overspill.controller import status as statuses
from overspill.controller.conditions import Look
from overspill.controller.errors import Missing, Refused, Unavailable
from overspill.controller.keys import PAUSED_ANNOTATION, REVISION_ANNOTATION, PolicyKey
from overspill.controller.memory import (
    Memory,
    dump_levels,
    elapsed_s,
    load_levels,
    worth_writing,
)
from overspill.controller.snapshot import UNASKED, Snapshot, demand_of
from overspill.controller.times import timestamp
from overspill.scaling import Economics, LevelState, Replicas, Situation, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from overspill.api.policy import RoutingPolicySpec
    from overspill.budget import BudgetState
    from overspill.controller.cluster import Cluster, Scale, Watched
    from overspill.controller.happenings import Happening
    from overspill.controller.keys import Manifest
    from overspill.controller.meters import Meters
    from overspill.scaling import Decision, Demand, Unknown

log = logging.getLogger(__name__)

COVERAGE_EVERY_S: Final = 60.0
REPUBLISH_EVERY_S: Final = 300.0
"""A ConfigMap that somebody else deleted or changed comes back within this time."""
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The world of one policy, as far as the cluster tells."""

    scale: Scale | None
    replicas: Replicas | None
    endpoints: list[str]
    missing: Missing | None


class Reconciler:
    """Looks at policies, one at a time each; `memories` is all it keeps between looks."""

    def __init__(
        self,
        cluster: Cluster,
        watched: Watched,
        meters: Meters,
        *,
        interval_s: float,
        stale_after_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.cluster = cluster
        self.watched = watched
        self.meters = meters
        self.snapshot: Snapshot = UNASKED
        self.memories: dict[PolicyKey, Memory] = {}
        self._interval_s = interval_s
        self._stale_after_s = stale_after_s
        self._clock = clock

    async def look(self, key: PolicyKey) -> None:
        """Look at one policy and count how it went. Raises: Unavailable, Refused to try again."""
        try:
            with self.meters.reconcile_seconds.time():
                outcome = await self._look(key)
        except (Unavailable, Refused):
            self.meters.reconciled("unavailable")
            raise
        except Exception:
            self.meters.reconciled("error")
            raise
        self.meters.reconciled(outcome)

    def period_starts_s(self) -> set[float]:
        """Starts of the budget periods whose spend should be asked for."""
        now_s = self._clock()
        return {
            period_at(budget.period, ZoneInfo(budget.time_zone), now_s).start_s
            for key in list(self.memories)
            if (spec := _readable(self.watched.policy(key))) and (budget := spec.budget)
        }

    async def _look(self, key: PolicyKey) -> str:
        policy = self.watched.policy(key)
        if policy is None or policy["metadata"].get("deletionTimestamp"):
            await self._forget(key)
            return "ok"
        memory = self._recall(key, policy)
        try:
            spec = parse_policy(policy.get("spec"))
        except InvalidPolicy as error:
            await self._refuse(key, policy, memory, error)
            return "invalid"
        await self._obey(key, policy, spec, memory)
        return "ok"

    async def _forget(self, key: PolicyKey) -> None:
        """Sweep up after a policy that is gone. Its ConfigMap is garbage collected."""
        self.memories.pop(key, None)
        self.meters.forget(key)
        for pod in self.watched.injected(key):
            if pod.revision is not None:
                await self.cluster.annotate_pod(key.namespace, pod.name, REVISION_ANNOTATION, None)

    def _recall(self, key: PolicyKey, policy: Manifest) -> Memory:
        uid = policy["metadata"]["uid"]
        memory = self.memories.get(key)
        if memory is None or memory.uid != uid:
            memory = Memory(uid=uid, status=policy.get("status") or {})
        return memory

    async def _refuse(
        self, key: PolicyKey, policy: Manifest, memory: Memory, error: InvalidPolicy
    ) -> None:
        before = memory.status or {}
        generation = policy["metadata"].get("generation", 0)
        after = statuses.invalid_status(before, error.problems, generation, self._clock())
        await self._report(key, policy, memory, after)

    async def _obey(
        self, key: PolicyKey, policy: Manifest, spec: RoutingPolicySpec, memory: Memory
    ) -> None:
        now_s = self._clock()
        running = sum(pod.running for pod in self.watched.injected(key))
        observed = await self._observe(key, spec)
        memory = await self._cover(key, spec, memory, now_s)
        memory = replace(memory, budget=self._budget(key, spec, memory, now_s))
        demand = demand_of(
            self.snapshot,
            str(key),
            running_sidecars=running,
            now_s=now_s,
            stale_after_s=self._stale_after_s,
        )
        memory, reset = _seed(memory, observed.replicas, spec)
        decision, memory = self._decide(policy, spec, memory, observed, demand, now_s)
        memory = await self._publish(key, policy, spec, memory, observed, running, now_s)
        self.memories[key] = memory
        await self._scale(key, spec, observed, decision)
        look = Look(
            policy=str(key),
            generation=policy["metadata"].get("generation", 0),
            spec=spec,
            snapshot=self.snapshot,
            demand=demand,
            running_sidecars=running,
            coverage=memory.coverage,
            endpoints=observed.endpoints,
            missing=observed.missing,
            decision=decision,
            budget=memory.budget,
        )
        memory, after = self._status(memory, look, now_s)
        await self._report(key, policy, memory, after, observing=_observing(spec), extra=reset)

    # -- observe
    async def _observe(self, key: PolicyKey, spec: RoutingPolicySpec) -> Observed:
        scale, replicas, missing = None, None, None
        try:
            scale = await self.cluster.scale(key.namespace, spec.small.scale_target_ref)
            replicas = await self._replicas(key, scale)
        except Missing as error:
            missing = error
        service = spec.small.service
        endpoints: list[str] = []
        try:
            endpoints = observation.endpoints_of(
                self.watched.slices(key.namespace, service.name),
                await self.cluster.service(key.namespace, service.name),
                service.name,
                service.port,
            )
        except Missing as error:
            missing = missing or error
        return Observed(scale=scale, replicas=replicas, endpoints=endpoints, missing=missing)

    async def _replicas(self, key: PolicyKey, scale: Scale) -> Replicas:
        if not scale.selector:
            return observation.replicas_of(scale, None)
        return observation.replicas_of(
            scale, await self.cluster.pods(key.namespace, scale.selector)
        )

    async def _cover(
        self, key: PolicyKey, spec: RoutingPolicySpec, memory: Memory, now_s: float
    ) -> Memory:
        last_s = memory.coverage_at_s
        if last_s is not None and now_s - last_s < COVERAGE_EVERY_S:
            return memory
        labels = spec.workload.selector.match_labels
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        pods = await self.cluster.pods(key.namespace, selector)
        coverage = observation.coverage_of(pods, key.namespace, key.name)
        # While a pod lacks the sidecar a person is about to act: look again soon.
        at_s = now_s - (COVERAGE_EVERY_S - self._interval_s if coverage.uncovered else 0.0)
        return replace(memory, coverage=coverage, coverage_at_s=at_s)

    def _budget(
        self, key: PolicyKey, spec: RoutingPolicySpec, memory: Memory, now_s: float
    ) -> BudgetState | None:
        if (budget := spec.budget) is None:
            return None
        period = period_at(budget.period, ZoneInfo(budget.time_zone), now_s)
        seen = self.snapshot.spend_usd.get(period.start_s, {}).get(str(key))
        known = memory.budget or statuses.saved_budget(memory.status or {}, period, budget.limit)
        return observe_spend(
            known,
            period=period,
            limit_usd=budget.limit,
            seen_usd=None if seen is None else Decimal(repr(seen)),
        )

    # -- decide
    def _decide(
        self,
        policy: Manifest,
        spec: RoutingPolicySpec,
        memory: Memory,
        observed: Observed,
        demand: Demand | Unknown,
        now_s: float,
    ) -> tuple[Decision | None, Memory]:
        if observed.replicas is None or memory.levels is None:
            return None, memory
        budget = memory.budget
        effect = budget.effect(_on_exhausted(spec)) if budget else Effect.OPEN
        situation = Situation(
            demand=demand,
            replicas=observed.replicas,
            paused=_paused(policy),
            suspended=effect is Effect.SUSPEND,
        )
        decision = decide(
            economics_of(spec),
            situation,
            memory.levels,
            elapsed_s(memory, now_s, self._interval_s),
        )
        return decision, replace(memory, levels=decision.state, decided_at_s=now_s)

    # -- apply
    async def _publish(
        self,
        key: PolicyKey,
        policy: Manifest,
        spec: RoutingPolicySpec,
        memory: Memory,
        observed: Observed,
        running: int,
        now_s: float,
    ) -> Memory:
        config = publication.sidecar_config(
            key,
            policy["metadata"].get("generation", 0),
            spec,
            endpoints=observed.endpoints,
            running_sidecars=running,
            budget=memory.budget,
        )
        published = publication.publish(policy, config)
        due = now_s - memory.published_at_s >= REPUBLISH_EVERY_S
        if due or published.revision != memory.revision:
            await self.cluster.apply_config_map(published.manifest)
            memory = replace(memory, revision=published.revision, published_at_s=now_s)
        for pod in self.watched.injected(key):
            if pod.revision != published.revision and not pod.finished:
                await self.cluster.annotate_pod(
                    key.namespace, pod.name, REVISION_ANNOTATION, published.revision
                )
        return memory

    async def _scale(
        self,
        key: PolicyKey,
        spec: RoutingPolicySpec,
        observed: Observed,
        decision: Decision | None,
    ) -> None:
        if decision is None or not decision.changes or _observing(spec):
            return
        target = spec.small.scale_target_ref
        await self.cluster.write_scale(key.namespace, target, decision.desired)
        log.info(
            "%s: %d -> %d replicas (%s)",
            key,
            decision.replicas.requested,
            decision.desired,
            decision.reason,
        )

    # -- report
    def _status(self, memory: Memory, look: Look, now_s: float) -> tuple[Memory, Manifest]:
        before = memory.status or {}
        desired = look.decision.desired if look.decision else None
        saved = None
        start_cost_usd = economics_of(look.spec).start_cost_usd
        if memory.levels is not None and (
            desired != memory.desired
            or worth_writing(memory.levels_written, memory.levels, start_cost_usd)
        ):
            saved = dump_levels(memory.levels, timestamp(now_s))
            memory = replace(memory, levels_written=memory.levels)
        fresh = desired is not None and self._stamp_due(memory, before, now_s)
        after = statuses.status_of(before, look, scaling_state=saved, fresh=fresh, now_s=now_s)
        return replace(memory, desired=desired), after

    def _stamp_due(self, memory: Memory, before: Manifest, now_s: float) -> bool:
        """The first decision of a process is stamped, and later ones now and then."""
        stamped = (before.get("lastDecision") or {}).get("time", "")
        return memory.desired is None or stamped <= timestamp(now_s - statuses.DECISION_REFRESH_S)

    async def _report(
        self,
        key: PolicyKey,
        policy: Manifest,
        memory: Memory,
        after: Manifest,
        *,
        observing: bool = False,
        extra: Happening | None = None,
    ) -> None:
        before = memory.status or {}
        if patch := statuses.merge_patch(before, after):
            await self.cluster.patch_status(key, patch)
        self.memories[key] = replace(memory, status=after)
        self.meters.show(key, after, memory.budget)
        for happening in _all(extra, happenings.happenings(before, after, observing=observing)):
            now = timestamp(self._clock())
            await self.cluster.post_event(happenings.event_manifest(policy, happening, now))


def economics_of(spec: RoutingPolicySpec) -> Economics:
    """Read prices and physics from a policy."""
    small = spec.small
    return Economics(
        capacity_tokens_per_s=float(small.capacity.output_tokens_per_second),
        rent_usd_per_s=float(small.replica_hourly_cost) / _HOUR_S,
        startup_s=float(small.startup_seconds),
        min_replicas=small.replicas.min,
        max_replicas=small.replicas.max,
    )


def _seed(
    memory: Memory, replicas: Replicas | None, spec: RoutingPolicySpec
) -> tuple[Memory, Happening | None]:
    """Give break-even its memory back, or start it from what runs; say so if it was unreadable."""
    if memory.levels is not None or replicas is None:
        return memory, None
    start = LevelState(on=min(replicas.requested, spec.small.replicas.max))
    saved = (memory.status or {}).get("scalingState")
    if saved is None:
        return replace(memory, levels=start), None
    try:
        levels = load_levels(saved)
    except ValueError as error:
        message = f"status.scalingState was dropped: {error}; scaling starts anew from {start.on}"
        dropped = happenings.Happening(
            type=happenings.WARNING, reason="ScalingStateDropped", message=message
        )
        return replace(memory, levels=start), dropped
    return replace(memory, levels=levels, levels_written=levels), None


def _readable(policy: Manifest | None) -> RoutingPolicySpec | None:
    try:
        return parse_policy(policy.get("spec")) if policy else None
    except InvalidPolicy:
        return None


def _on_exhausted(spec: RoutingPolicySpec) -> OnExhausted:
    return spec.budget.on_exhausted if spec.budget else OnExhausted.SMALL_ONLY


def _observing(spec: RoutingPolicySpec) -> bool:
    return spec.mode is Mode.OBSERVE


def _paused(policy: Manifest) -> bool:
    annotations = policy["metadata"].get("annotations") or {}
    return bool(annotations.get(PAUSED_ANNOTATION) == "true")


def _all(first: Happening | None, rest: Iterator[Happening]) -> Iterator[Happening]:
    if first is not None:
        yield first
    yield from rest
