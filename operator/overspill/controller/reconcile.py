"""One look at one policy: parse → observe → decide → apply → report.

Nothing here decides about scaling or spend; it fetches values for the pure functions that do and
carries their answers out. The configuration is published before the scale is written, so that
spill is possible before capacity goes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from overspill.api import InvalidPolicy, parse_policy
from overspill.api.errors import InvalidConfig
from overspill.budget.account import KEPT_S
from overspill.budget.period import current_period
from overspill.controller import experiments, happenings, pacing
from overspill.controller import status as statuses
from overspill.controller.applying import Applier
from overspill.controller.case import Case, generation_of
from overspill.controller.conditions import Look
from overspill.controller.errors import Missing, Refused, Unavailable
from overspill.controller.learning import attended, recalled, sight_of
from overspill.controller.ledgers import ledger_in
from overspill.controller.memory import Memory, elapsed_s, is_due, seeded
from overspill.controller.observe import coverage, named_score, node_labels, observe
from overspill.controller.quality import assessed
from overspill.controller.quality_status import quality_status
from overspill.controller.snapshot import UNASKED, Snapshot, demand_of
from overspill.controller.spend import absorbing, budget_state, suspended
from overspill.controller.times import timestamp
from overspill.controller.tutor import Tutor
from overspill.scaling import Learned, Situation, Unknown, decide
from overspill.scaling.economics import economics_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from overspill.api.policy import RoutingPolicySpec
    from overspill.api.sidecar_config import LenderConfig
    from overspill.budget.ledger import Ledger
    from overspill.controller.cluster import Cluster, InjectedPod, Watched
    from overspill.controller.happenings import Happening
    from overspill.controller.keys import Manifest, PolicyKey
    from overspill.controller.meters import Meters
    from overspill.controller.observe import Observed
    from overspill.scaling import Decision, Demand

log = logging.getLogger(__name__)

TRIED_FOR_S: Final = 900.0
"""So long after the last request a replica is kept for trials: the next may come soon."""
COVERAGE_EVERY_S: Final = 60.0
CONFIRM_EVERY_S: Final = 300.0
"""A policy that was deleted while a watch was cut off is forgotten within this time, a pod in twice
as much."""


class Reconciler:
    """Looks at policies; `memories` is all it keeps between looks."""

    def __init__(
        self,
        cluster: Cluster,
        watched: Watched,
        meters: Meters,
        *,
        interval_s: float,
        stale_after_s: float,
        window_s: float,
        clock: Callable[[], float] = time.time,
        lender: Callable[[], LenderConfig | None] = lambda: None,
        wake: Callable[[PolicyKey], None] = lambda _: None,
    ) -> None:
        """`wake` has a policy looked at soon."""
        self.cluster = cluster
        self.watched = watched
        self.meters = meters
        self.tutor = Tutor(wake)
        self.snapshot: Snapshot = UNASKED
        self.memories: dict[PolicyKey, Memory] = {}
        self._interval_s = interval_s
        self._stale_after_s = stale_after_s
        self._window_s = window_s
        self._clock = clock
        self._applier = Applier(cluster, lender)

    async def look(self, key: PolicyKey) -> None:
        """Look at one policy and count how it went. Raises: Unavailable, Refused to try again."""
        outcome = "error"
        try:
            with self.meters.reconcile_seconds.time():
                outcome = await self._look(key)
        except (Unavailable, Refused):
            outcome = "unavailable"
            raise
        finally:
            self.meters.reconciled(outcome)

    def period_starts_s(self) -> set[float]:
        """Starts of the budget periods whose spend should be asked for."""
        now_s = self._clock()
        specs = (_readable(self.watched.policy(key)) for key in list(self.memories))
        return {current_period(s.budget, now_s).start_s for s in specs if s and s.budget}

    async def _look(self, key: PolicyKey) -> str:
        policy = self.watched.policy(key)
        if policy is None or policy["metadata"].get("deletionTimestamp"):
            await self._forget(key)
            return "ok"
        memory, now_s = self._recall(key, policy), self._clock()
        if is_due(memory.confirmed_at_s, now_s, CONFIRM_EVERY_S):
            if await self.cluster.stored_policy(key) is None:
                await self._forget(key)
                return "ok"
            memory = await self._confirmed(key, memory, now_s)
        try:
            spec = parse_policy(policy.get("spec"))
        except InvalidPolicy as error:
            await self._refuse(key, policy, memory, error)
            return "invalid"
        running = {pod.name for pod in self._pods(key, memory) if pod.running}
        settled = memory.coverage.ready_before(running, now_s - self._window_s)
        case = Case(
            key=key,
            policy=policy,
            spec=spec,
            running=len(running),
            settled=settled,
            now_s=now_s,
        )
        await self._obey(case, memory)
        return "ok"

    def _recall(self, key: PolicyKey, policy: Manifest) -> Memory:
        uid = policy["metadata"]["uid"]
        memory = self.memories.get(key)
        if memory is not None and memory.uid != uid:
            self.tutor.forget(key)
        if memory is None or memory.uid != uid:
            memory = Memory(uid=uid, status=policy.get("status") or {})
        return memory

    async def _confirmed(self, key: PolicyKey, memory: Memory, now_s: float) -> Memory:
        """Note which pods are gone without a word: those that were not listed twice in a row.

        A list may be a little behind: once is not enough.
        """
        seen = {pod.uid for pod in self.watched.injected(key)}
        absent = seen - await self.cluster.injected_uids(key) if seen else frozenset()
        gone = memory.absent.intersection(absent)
        return replace(memory, confirmed_at_s=now_s, absent=frozenset(absent), gone=gone)

    def _pods(self, key: PolicyKey, memory: Memory) -> list[InjectedPod]:
        return [pod for pod in self.watched.injected(key) if pod.uid not in memory.gone]

    async def _forget(self, key: PolicyKey) -> None:
        """Sweep up after a policy that is gone. Its ConfigMap is garbage collected.

        Its ledger stays until the period is over: a policy that is made again goes on with it.
        """
        self.memories.pop(key, None)
        self.tutor.forget(key)
        self.meters.forget(key)
        await self._applier.stamp(key, self.watched.injected(key), None)
        manifest = self.watched.ledger(key)
        try:
            ledger = self._ledger(key)
        except Missing:
            return  # whose period it is of, nobody knows
        if manifest and ledger and self._clock() > ledger.current.period.end_s + KEPT_S:
            await self.cluster.delete_ledger(key, manifest)

    async def _refuse(
        self, key: PolicyKey, policy: Manifest, memory: Memory, error: InvalidPolicy
    ) -> None:
        """Say what is wrong. The last good configuration stays; a person must act."""
        generation, now_s = generation_of(policy), self._clock()
        status = statuses.invalid_status(memory.status or {}, error.problems, generation, now_s)
        await self._report(key, policy, memory, status)

    async def _obey(self, case: Case, memory: Memory) -> None:
        observed = await observe(self.cluster, self.watched, case.key, case.spec)
        memory, observed = await self._score(case, memory, observed)
        before, memory = memory.quality, await self._assess(case, memory)
        self.memories[case.key] = memory  # a lesson is given once: no failure below may lose it
        demand = self._demand(case)
        memory = self._attend(case, memory, demand)
        memory, observed = self._spend(case, memory, observed)
        memory = self._pace(case, memory, demand)
        memory = await self._cover(case, memory)
        memory, problem = seeded(memory, observed.replicas, case.spec)
        memory = await self._learn(case, memory, observed, demand)
        looked_before = memory
        memory = self._experiment(case, memory, observed)
        decision, memory = self._decide(case, memory, observed, demand)
        pods = self._pods(case.key, memory)
        memory = await self._applier.publish(case, memory, observed.endpoints, pods)
        self.memories[case.key] = memory
        self._charge(case, looked_before, observed)  # a look that failed until here is made again
        refusal = await self._applier.scale(case, decision)
        look = self._look_of(case, memory, observed, demand, decision, refusal)
        memory, status = statuses.status_after(memory, look, case.now_s)
        applied = not case.observing and refusal is None
        news = [happenings.dropped_state(problem)] if problem else []
        if before and memory.quality and before.subject != memory.quality.subject and before.trials:
            news.append(happenings.dropped_trials(before.trials))
        await self._report(case.key, case.policy, memory, status, applied=applied, news=news)

    # -- observe
    async def _cover(self, case: Case, memory: Memory) -> Memory:
        """List app pods at most once a minute; an edited policy is looked at anew."""
        edited = (memory.status or {}).get("observedGeneration") != case.generation
        due = is_due(memory.coverage_at_s, case.now_s, COVERAGE_EVERY_S)
        if not (edited or due):
            return memory
        seen = await coverage(self.cluster, case.key, case.spec)
        return replace(memory, coverage=seen, coverage_at_s=case.now_s)

    async def _score(
        self, case: Case, memory: Memory, observed: Observed
    ) -> tuple[Memory, Observed]:
        """Read the score that the policy names; where it is gone or bad, the last one stays."""
        try:
            text = await named_score(self.cluster, case.key, case.spec, memory.score)
        except Missing as error:
            return memory, replace(observed, missing=observed.missing or error)
        return replace(memory, score=text), observed

    async def _assess(self, case: Case, memory: Memory) -> Memory:
        """See what trials tell."""
        quality = await assessed(self.cluster, self.tutor, case, memory.quality, memory.score)
        return replace(memory, quality=quality)

    def _attend(self, case: Case, memory: Memory, demand: Demand | Unknown) -> Memory:
        """Note whether requests come; where that is not known, sidecars that run get some."""
        rates = self.snapshot.requests_per_s.get(str(case.key), {})
        unknown = isinstance(demand, Unknown)
        if case.running and (unknown or any(rate > 0 for rate in rates.values())):
            return replace(memory, asked_at_s=case.now_s)
        return memory

    def _demand(self, case: Case) -> Demand | Unknown:
        return demand_of(
            self.snapshot,
            str(case.key),
            running_sidecars=case.running,
            settled_sidecars=case.settled,
            now_s=case.now_s,
            stale_after_s=self._stale_after_s,
        )

    async def _learn(
        self, case: Case, memory: Memory, observed: Observed, demand: Demand | Unknown
    ) -> Memory:
        """Take in what replicas show of themselves, and reckon with it from now on."""
        sight = sight_of(case, observed, demand, self.snapshot, self._window_s)
        lessons = recalled(memory.lessons, (memory.status or {}).get("learned"), case.spec)
        lessons = attended(lessons, observed.starts, sight, case.spec)
        nodes = observed.nodes if case.spec.small.replica_cost_by_node_label else ()
        labels = await node_labels(self.cluster, nodes, memory.node_labels)
        economics = economics_of(case.spec, lessons.learned, nodes, labels)
        return replace(memory, lessons=lessons, node_labels=labels, economics=economics)

    def _spend(self, case: Case, memory: Memory, observed: Observed) -> tuple[Memory, Observed]:
        ledger = None
        try:
            ledger = self._ledger(case.key)
        except Missing as error:
            if case.spec.budget is not None:
                observed = replace(observed, missing=observed.missing or error)
        budget = budget_state(str(case.key), case.spec, memory, self.snapshot, case.now_s, ledger)
        return replace(memory, budget=budget), observed

    def _pace(self, case: Case, memory: Memory, demand: Demand | Unknown) -> Memory:
        known = memory.pace or pacing.recalled((memory.status or {}).get("pacing"), case.now_s)
        asked = pacing.asked_of(self.snapshot, str(case.key))
        pace = pacing.paced(
            known,
            case.spec.budget,
            memory.budget,
            None if isinstance(demand, Unknown) else asked,
            now_s=case.now_s,
            at_most_s=2 * self._interval_s,
        )
        return replace(memory, pace=pace)

    def _charge(self, case: Case, memory: Memory, observed: Observed) -> None:
        """Count the rent of what was asked for, where that is known."""
        replicas, economics = observed.replicas, memory.economics
        if replicas is not None and economics is not None:
            rent_usd_per_s = replicas.requested * economics.rent_usd_per_s
            seconds = elapsed_s(memory, case.now_s, self._interval_s)
            self.meters.rented(case.key, rent_usd_per_s * seconds)

    def _experiment(self, case: Case, memory: Memory, observed: Observed) -> Memory:
        """Take in what a small tier on trial saves and costs."""
        asked, saved = case.spec.experiment, (memory.status or {}).get("experiment")
        if asked is None:
            return replace(memory, experiment=None)
        known = experiments.continued(memory.experiment, saved, case.generation)
        if case.observing or memory.economics is None:
            return replace(memory, experiment=known)
        seen = experiments.looked(
            known,
            asked,
            self.snapshot,
            str(case.key),
            replicas=observed.replicas,
            economics=memory.economics,
            weight=float(case.spec.small.capacity.input_token_weight),
            elapsed_s=elapsed_s(memory, case.now_s, self._interval_s),
        )
        return replace(memory, experiment=seen)

    def _ledger(self, key: PolicyKey) -> Ledger | None:
        """Raises: Missing where nobody can read it."""
        manifest = self.watched.ledger(key)
        try:
            return ledger_in(manifest) if manifest else None
        except InvalidConfig as error:
            log.warning("the ledger of %s cannot be read: %s", key, error)
            raise Missing(
                "LedgerUnreadable",
                "nothing is lent, so only the small tier answers: undo what was edited, or "
                f"kubectl delete budgetledger -n {key.namespace} {key.name}; what status.spend "
                f"says stays counted. {error}",
            ) from None

    # -- decide
    def _decide(
        self, case: Case, memory: Memory, observed: Observed, demand: Demand | Unknown
    ) -> tuple[Decision | None, Memory]:
        if observed.replicas is None or memory.scaling is None or memory.economics is None:
            return None, memory
        situation = Situation(
            demand=demand,
            replicas=observed.replicas,
            paused=case.paused,
            rival="" if case.observing else observed.rival,
            suspended=suspended(case.spec, memory.budget, memory.experiment),
            absorbing=absorbing(case.spec, memory.budget),
            tried=_tried(case, memory),
        )
        elapsed = elapsed_s(memory, case.now_s, self._interval_s)
        decision = decide(memory.economics, situation, memory.scaling, elapsed)
        return decision, replace(memory, scaling=decision.state, decided_at_s=case.now_s)

    # -- report
    def _look_of(
        self,
        case: Case,
        memory: Memory,
        observed: Observed,
        demand: Demand | Unknown,
        decision: Decision | None,
        refusal: Missing | None,
    ) -> Look:
        return Look(
            policy=str(case.key),
            generation=case.generation,
            spec=case.spec,
            snapshot=self.snapshot,
            demand=demand,
            running_sidecars=case.running,
            coverage=memory.coverage,
            endpoints=observed.endpoints,
            missing=observed.missing,
            refusal=refusal,
            decision=decision,
            budget=memory.budget,
            pace=memory.pace,
            economics=memory.economics or economics_of(case.spec),
            learned=memory.lessons.learned if memory.lessons else Learned(),
            rival=observed.rival,
            quality=quality_status((memory.status or {}).get("quality"), memory.quality),
            experiment=memory.experiment,
        )

    async def _report(
        self,
        key: PolicyKey,
        policy: Manifest,
        memory: Memory,
        status: Manifest,
        *,
        applied: bool = True,
        news: Sequence[Happening] = (),
    ) -> None:
        before = memory.status or {}
        if patch := statuses.merge_patch(before, status):
            await self.cluster.patch_status(key, patch)
        self.memories[key] = replace(memory, status=status)
        self.meters.show(key, status, memory.budget)
        for happening in (*happenings.happenings(before, status, applied=applied), *news):
            now = timestamp(self._clock())
            await self.cluster.post_event(happenings.event_manifest(policy, happening, now))


def _tried(case: Case, memory: Memory) -> bool:
    """Whether trials need the small model to answer."""
    if memory.quality is None or memory.asked_at_s is None:
        return False
    return case.now_s - memory.asked_at_s < TRIED_FOR_S


def _readable(policy: Manifest | None) -> RoutingPolicySpec | None:
    try:
        return parse_policy(policy.get("spec")) if policy else None
    except InvalidPolicy:
        return None
