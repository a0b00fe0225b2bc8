"""From the HPA's tables to pods. Kubernetes names what a case leaves out in its own harness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overspill.simulate.peers.pods import Pod, Warmup

if TYPE_CHECKING:
    from tests.simulate.peers.tables import Case

WARMUP = Warmup(cpu_initialisation_s=120.0, initial_readiness_s=10.0)
"""As Kubernetes' own tests set it."""


def pods_of(case: Case, count: int, used: list[int | None], asked: list[int]) -> list[Pod]:
    def listed(name: str, i: int, default: Any) -> Any:  # noqa: ANN401 - any JSON value
        return case[name][i] if name in case else default

    pods = []
    for i in range(count):
        age_s = 0.0 if str(listed("pod_start", i, "cool")).startswith("hot") else 180.0
        pods.append(
            Pod(
                used=used[i] if i < len(used) else None,
                asked=asked[i],
                ready=listed("pod_ready", i, default=True),
                phase=listed("pod_phase", i, "Running"),
                deleting=listed("pod_deleting", i, default=False),
                started_ago_s=age_s,
                turned_ago_s=age_s,
            )
        )
    return pods
