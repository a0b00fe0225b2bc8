"""CLUSTER=existing: a cluster of one's own, named by KUBECONFIG."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import build, command, paths, versions
from e2e.cluster.errors import Unusable
from e2e.cluster.node import forget


@dataclass(frozen=True, slots=True)
class Existing:
    """The commands; this cluster is never created, changed or deleted here."""

    name: str

    @property
    def kubeconfig(self) -> Path:
        """The user's."""
        return Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")

    @property
    def enter(self) -> list[str]:
        """Nothing to enter."""
        return []

    @property
    def state(self) -> Path:
        """What further processes keep."""
        return paths.run(f"{self.name}-existing")

    def build(self) -> None:
        """The tools that any cluster needs."""
        build.binaries([chosen for chosen in versions.SETS if chosen.everywhere])

    def _answers(self) -> bool:
        env = {"KUBECONFIG": str(self.kubeconfig)}
        return command.succeeds(["kubectl", "get", "--raw", "/readyz"], env=env)

    def up(self, sync_frequency: str) -> None:
        """Only look. Raises: Unusable where it does not answer."""
        del sync_frequency  # its kubelets are not ours to configure
        self.build()
        if not self._answers():
            raise Unusable(f"the cluster of {self.kubeconfig} does not answer; check KUBECONFIG")

    def down(self) -> None:
        """Leave it alone."""
        forget(self.state)
        sys.stderr.write(f"the cluster of {self.kubeconfig} is yours and stays\n")

    def status(self) -> dict[str, bool]:
        """Whether it answers."""
        return {"API server": self._answers()}

    def image(self, name: str, file: Path, folder: Path) -> None:
        """Cannot be done from here. Raises: Unusable."""
        del file, folder
        raise Unusable(f"{name}: push it to a registry your cluster reads, and set IMAGE to it")

    def logs(self) -> list[Path]:
        """Not ours to read."""
        return []
