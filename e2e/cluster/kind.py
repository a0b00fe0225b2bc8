"""CLUSTER=kind: where Docker runs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2e.cluster import build, command, paths, stock, versions
from e2e.cluster.errors import Failed
from e2e.cluster.node import forget

if TYPE_CHECKING:
    from pathlib import Path

WAIT = "120s"


@dataclass(frozen=True, slots=True)
class Kind:
    """The commands, for the kind cluster of that name."""

    name: str

    @property
    def state(self) -> Path:
        """Kubeconfig, and what further processes keep."""
        return paths.run(self.name)

    @property
    def kubeconfig(self) -> Path:
        """Ours alone: the user's own file is not touched."""
        return self.state / "kubeconfig"

    @property
    def enter(self) -> list[str]:
        """The host reaches a kind cluster as it is."""
        return []

    def _kind(self, *words: str) -> str:
        return command.run([build.kind(), *words])

    def _exists(self) -> bool:
        return self.name in self._kind("get", "clusters").split()

    def build(self) -> None:
        """kind, and the tools that any cluster needs."""
        build.kind()
        build.binaries([chosen for chosen in versions.SETS if chosen.everywhere])
        stock.prometheus()

    def up(self, sync_frequency: str) -> None:
        """Create it if it is not there, and load Prometheus."""
        self.build()
        self.state.mkdir(parents=True, exist_ok=True)
        chosen = ("--name", self.name)
        if self._exists():
            self.kubeconfig.write_text(self._kind("get", "kubeconfig", *chosen))
        else:
            config = self.state / "kind.yaml"
            config.write_text(configuration(sync_frequency))
            files = ("--config", str(config), "--kubeconfig", str(self.kubeconfig))
            self._kind("create", "cluster", *chosen, *files, "--wait", WAIT)
        self._load(stock.prometheus())

    def down(self) -> None:
        """Delete it."""
        self._kind("delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig))
        forget(self.state)

    def status(self) -> dict[str, bool]:
        """Whether it is there and answers."""
        env = {"KUBECONFIG": str(self.kubeconfig)}
        answers = command.succeeds(["kubectl", "get", "--raw", "/readyz"], env=env)
        return {f"kind cluster {self.name}": self._exists(), "API server": answers}

    def image(self, name: str, file: Path, folder: Path) -> None:
        """docker build, then load; both skip what they have."""
        done = subprocess.run(["docker", "build", "-t", name, "-f", str(file), str(folder)])
        if done.returncode:
            raise Failed(f"docker build {name}: exit {done.returncode}")
        self._kind("load", "docker-image", name, "--name", self.name)

    def _load(self, archive: Path) -> None:
        self._kind("load", "image-archive", str(archive), "--name", self.name)

    def logs(self) -> list[Path]:
        """What `kind export logs` gives."""
        folder = self.state / "export"
        self._kind("export", "logs", str(folder), "--name", self.name)
        return sorted(folder.rglob("*.log"))


def configuration(sync_frequency: str) -> str:
    """kind's configuration; kubelet's sync period comes in as a kubeadm patch."""
    return f"""\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  apiVersion: kubelet.config.k8s.io/v1beta1
  syncFrequency: {sync_frequency}
"""
