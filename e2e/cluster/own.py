"""CLUSTER=own: our node in a network namespace of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2e.cluster import build, debian, images, paths, stock, stranger, teardown, versions
from e2e.cluster.errors import Unusable
from e2e.cluster.node import Node

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Own:
    """The commands, for the cluster of that name."""

    name: str

    @property
    def _node(self) -> Node:
        return Node(self.name)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self._node.kubeconfig

    @property
    def enter(self) -> list[str]:
        """Words that put a command into the namespace. Raises: Unusable while it is down."""
        if not self._node.network.exists():
            raise Unusable(f"cluster {self.name} is down; start it with `up`")
        return self._node.network.enter

    @property
    def state(self) -> Path:
        """Where further processes may keep pid files and logs."""
        return self._node.state

    def build(self) -> None:
        """All binaries and the images that no Dockerfile makes. Raises: Unusable, Failed."""
        stranger.refuse()
        build.binaries(versions.SETS)
        stock.pause()
        stock.prometheus()
        stock.base()

    def up(self, sync_frequency: str) -> None:
        """Build what is missing, start what does not run."""
        stranger.refuse()
        debian.ensure(debian.RUN)
        self.build()
        teardown.clear_dead(self._node)
        self._node.up(sync_frequency)

    def down(self) -> None:
        """Remove it."""
        teardown.down(self._node)

    def status(self) -> dict[str, bool]:
        """What should be so, and whether it is."""
        pids = self._node.pids()
        seen = {name: pid is not None for name, pid in pids.items()}
        return seen | {"node Ready": self._node.network.exists() and self._node.ready()}

    def image(self, name: str, file: Path, folder: Path) -> None:
        """Build, and import if the node is up."""
        archive = images.build_image(name, file, folder)
        if self._node.process("containerd").pid() is not None:
            self._node.load(archive)

    def logs(self) -> list[Path]:
        """Log files; after `down` those of the last life."""
        for folder in (self._node.state / "log", paths.cache() / "logs" / self.name):
            if folder.exists():
                return sorted(folder.glob("*.log"))
        return []
