"""Another kubelet on this machine, such as a node's or k3s': it would share a folder with ours.

Device plugins register at a path that no kubelet lets one choose. Ours would take the socket away
from the other, and `down` would delete it.
"""

from __future__ import annotations

from pathlib import Path

from e2e.cluster.errors import Unusable

PLUGINS = Path("/var/lib/kubelet/device-plugins")
_SOCKETS = Path("/proc/net/unix")


def kubelet() -> bool:
    """Whether one listens in this network namespace. Those of our clusters have their own."""
    socket = PLUGINS / "kubelet.sock"
    bound = (line.split(maxsplit=7)[7:] for line in _SOCKETS.read_text().splitlines())
    return socket.exists() and [str(socket)] in bound


def refuse() -> None:
    """Raises: Unusable where there is one."""
    if kubelet():
        raise Unusable(
            f"a kubelet of another cluster runs on this machine and uses {PLUGINS}; use "
            "CLUSTER=existing with its KUBECONFIG, or Docker with CLUSTER=kind"
        )
