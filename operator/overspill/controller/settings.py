"""How one operator process is set up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarSettings:
    """The container put into app pods."""

    image: str
    image_pull_policy: str | None = None
    resources: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the command line says."""

    prometheus_url: str
    sidecar: SidecarSettings
    operator_namespace: str
    identity: str
    """Tells this process from every other candidate for the Lease."""
    interval_s: float = 15.0
    metrics_window_s: int = 60
    stale_after_s: float = 30.0
    namespaces: tuple[str, ...] = ()
    """Namespaces to serve; empty means all."""
    lease_name: str = "overspill-operator"
    leader_elect: bool = True
    http_port: int = 8080
    webhook_port: int = 9443
    webhook_config_name: str = "overspill"
    webhook_service: str = "overspill-webhook"
    webhook_hosts: tuple[str, ...] = ()
    workers: int = 8
    lend: bool = True
    """Whether sidecars spend from leases; else the budget follows what was metered."""

    def serves(self, namespace: str) -> bool:
        """Whether policies in this namespace are ours."""
        return not self.namespaces or namespace in self.namespaces
