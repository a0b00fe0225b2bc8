"""One cgroup tree for all that a cluster's pods run, on cgroup v2 and on v1 (hybrid too)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.errors import Failed

_ROOT = Path("/sys/fs/cgroup")
_NEEDED = {"cpuset", "cpu", "memory", "pids"}


def is_v2() -> bool:
    """Whether the host has the unified hierarchy only."""
    return (_ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The v2 root, or each v1 controller's."""
    if is_v2():
        return [_ROOT]
    return [path for path in sorted(_ROOT.iterdir()) if (path / "cgroup.procs").exists()]


def hand_down(group: Path) -> None:
    """Give a v2 group every controller that its parent has, and its children as well.

    kubelet wants all that it knows of and the root has, hugetlb included.
    Raises: Failed where the parent holds processes itself, as in a container.
    """
    for folder in (group.parent, group):
        for controller in (folder / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")
    lacking = _NEEDED - set((group / "cgroup.controllers").read_text().split())
    if lacking:
        raise Failed(f"cgroup v2: no {', '.join(sorted(lacking))} below {group.parent}")


@dataclass(frozen=True, slots=True)
class Tree:
    """The groups of one name below every root."""

    name: str

    def _tops(self) -> list[Path]:
        return [root / self.name for root in hierarchies()]

    def make(self) -> None:
        """Make the groups and hand the controllers down."""
        for top in self._tops():
            top.mkdir(exist_ok=True)
        if is_v2():
            hand_down(_ROOT / self.name)
            return
        top = _ROOT / "cpuset" / self.name
        for name in ("cpuset.cpus", "cpuset.mems") if top.exists() else ():
            if not (top / name).read_text().strip():  # v1 starts empty, and empty takes no process
                (top / name).write_text((top.parent / name).read_text())

    def members(self) -> set[int]:
        """Processes in the tree."""
        found: set[int] = set()
        for top in self._tops():
            for folder, _, _ in os.walk(top):  # which bears that groups end while it walks
                with contextlib.suppress(OSError):
                    procs = Path(folder, "cgroup.procs").read_text()
                    found.update(int(pid) for pid in procs.split())
        return found

    def kill(self, patience_s: float = 5.0) -> None:
        """SIGKILL all members until none is left."""
        deadline = time.monotonic() + patience_s
        while (pids := self.members()) and time.monotonic() < deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def remove(self) -> None:
        """Remove the groups, deepest first; a busy one stays."""
        for top in self._tops():
            if not top.exists():
                continue
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
