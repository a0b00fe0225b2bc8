"""Carrying decisions out: the configuration that sidecars read, and the scale of the target."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from overspill.controller import publication
from overspill.controller.errors import Missing, Unavailable
from overspill.controller.keys import REVISION_ANNOTATION
from overspill.controller.memory import is_due
from overspill.controller.watch import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from overspill.api.sidecar_config import LenderConfig
    from overspill.controller.case import Case
    from overspill.controller.cluster import Cluster, InjectedPod
    from overspill.controller.keys import PolicyKey
    from overspill.controller.memory import Memory
    from overspill.scaling import Decision

log = logging.getLogger(__name__)

REPUBLISH_EVERY_S: Final = 300.0
"""A ConfigMap that somebody else deleted or changed comes back within this time."""


class Applier:
    """Writes what was decided, where it is not so already."""

    def __init__(self, cluster: Cluster, lender: Callable[[], LenderConfig | None]) -> None:
        self._cluster = cluster
        self._lender = lender

    async def publish(
        self,
        case: Case,
        memory: Memory,
        endpoints: Sequence[str],
        pods: Iterable[InjectedPod],
    ) -> Memory:
        """Publish the configuration in force, and have each sidecar's pod look at it."""
        ended = memory.experiment is not None and memory.experiment.ended
        config = publication.sidecar_config(
            case.key,
            case.generation,
            case.spec,
            endpoints=[] if ended else endpoints,
            running_sidecars=case.running,
            budget=memory.budget,
            lender=self._lender(),
            score=memory.score_in_force,
            plan=memory.quality.plan if memory.quality else None,
        )
        published = publication.publish(case.policy, config)
        due = is_due(memory.published_at_s, case.now_s, REPUBLISH_EVERY_S)
        if due or published.revision != memory.revision:
            await self._cluster.apply_config_map(published.manifest)
            memory = replace(memory, revision=published.revision, published_at_s=case.now_s)
        await self.stamp(case.key, pods, published.revision)
        return memory

    async def stamp(
        self, key: PolicyKey, pods: Iterable[InjectedPod], revision: str | None
    ) -> None:
        """Stamp pods with a revision; the kubelet then looks at once for the new file."""
        for pod in pods:
            if pod.revision != revision and not pod.finished:
                await self._cluster.annotate_pod(
                    key.namespace, pod.name, REVISION_ANNOTATION, revision
                )

    async def scale(self, case: Case, decision: Decision | None) -> Missing | None:
        """Write the scale; return the right that was missing for it.

        Raises: Unavailable where the policy is no longer what was decided on.
        """
        if decision is None or not decision.changes or case.observing:
            return None
        await self._confirm(case)
        target, desired = case.spec.small.scale_target_ref, decision.desired
        try:
            await self._cluster.write_scale(case.key.namespace, target, desired)
        except Missing as error:
            return error
        requested, reason = decision.replicas.requested, decision.reason
        log.info("%s: %d -> %d replicas (%s)", case.key, requested, desired, reason)
        return None

    async def _confirm(self, case: Case) -> None:
        """See that nothing is scaled for a policy that is gone, paused or edited by now.

        A watch can be behind, and kopf's never hears of what was deleted while it was cut off.
        """
        now = await self._cluster.stored_policy(case.key)
        if now is None or fingerprint(now) != fingerprint(case.policy):
            raise Unavailable(f"{case.key} has changed or is gone; nothing was scaled")
