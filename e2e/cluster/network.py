"""The cluster's network namespace: loopback, a pod bridge, and no way out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import command
from e2e.cluster.errors import Failed

NODE_IP = "10.245.0.1"
BRIDGE_IP = "10.244.0.1"
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
KUBERNETES_IP = "10.96.0.1"
NO_PROXY = {"NO_PROXY": "*", "no_proxy": "*"}  # for all that runs inside: none can be reached


@dataclass(frozen=True, slots=True)
class Network:
    """A namespace and a bridge, both named after the cluster."""

    name: str

    @property
    def namespace(self) -> Path:
        """The handle `ip netns` keeps."""
        return Path("/run/netns") / self.name

    @property
    def bridge(self) -> str:
        """15 characters at most."""
        return f"{self.name}-br"

    @property
    def enter(self) -> list[str]:
        """Words before a command. `ip netns exec` would hide /sys/fs/cgroup."""
        return ["nsenter", f"--net={self.namespace}"]

    def _inside(self, *words: str) -> str:
        return command.run([*self.enter, *words])

    def up(self) -> None:
        """Make what is missing. Raises: Failed."""
        if not self.exists():
            command.run(["ip", "netns", "add", self.name])
        command.succeeds(["modprobe", "-a", "br_netfilter", "overlay", "nf_tables"])
        self._inside("ip", "link", "set", "lo", "up")
        if not command.succeeds([*self.enter, "ip", "link", "show", self.bridge]):
            self._inside("ip", "link", "add", self.bridge, "type", "bridge")
        self._inside("ip", "addr", "replace", f"{NODE_IP}/32", "dev", "lo")
        self._inside("ip", "addr", "replace", f"{BRIDGE_IP}/24", "dev", self.bridge)
        self._inside("ip", "link", "set", self.bridge, "up")
        # A route must exist before kube-proxy's rules see a packet from the node to a ClusterIP.
        route = ("ip", "route", "replace", SERVICE_CIDR, "dev", self.bridge, "src", NODE_IP)
        self._inside(*route)
        self._forwarding()

    def _forwarding(self) -> None:
        self._inside("sysctl", "-qw", "net.ipv4.ip_forward=1")
        try:
            self._inside("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
        except Failed as error:
            raise Failed(f"kernel module br_netfilter is needed\n{error}") from error

    def exists(self) -> bool:
        """Whether the namespace is there."""
        return self.namespace.exists()

    def down(self) -> None:
        """Remove the namespace; its links, routes and nft tables go with it."""
        if self.exists():
            command.run(["ip", "netns", "del", self.name])
