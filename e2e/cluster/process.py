"""Long-running processes, known by a pid file that cannot be mistaken for another process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import paths
from e2e.cluster.errors import Failed
from e2e.cluster.network import NO_PROXY

if TYPE_CHECKING:
    from collections.abc import Sequence

STOP_S = 5.0


def start_ticks(pid: int) -> int | None:
    """When the process started, in ticks since boot: with the pid, its identity. None if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def executable(pid: int) -> str:
    """What the process runs; empty if it is gone."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Process:
    """One named process of a cluster, running or not."""

    name: str
    state: Path  # the cluster's run folder

    @property
    def _file(self) -> Path:
        return self.state / "pid" / self.name

    @property
    def log(self) -> Path:
        """Everything it prints, over all its lives."""
        return self.state / "log" / f"{self.name}.log"

    def pid(self) -> int | None:
        """Its pid while it really is the process that we started."""
        try:
            known = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return None
        pid: int = known["pid"]
        same = start_ticks(pid) == known["start_ticks"] and executable(pid) == known["exe"]
        return pid if same else None

    def start(self, words: Sequence[str | Path], prefix: Sequence[str] = ()) -> None:
        """Start it unless it runs; `prefix` enters a namespace. Raises: Failed if it cannot."""
        if self.pid() is not None:
            return
        exe = Path(words[0]).resolve()
        command = [*prefix, str(exe), *(str(word) for word in words[1:])]
        for file in (self._file, self.log):
            file.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PATH": paths.search_path(), **(NO_PROXY if prefix else {})},
            )
        try:
            self._keep(child, str(exe))
        except BaseException:  # an interrupt too: without its pid file nobody would find it again
            child.kill()
            child.wait()
            raise

    def _keep(self, child: subprocess.Popen[bytes], exe: str) -> None:
        """Write the pid file. Raises: Failed where it has ended instead."""
        while executable(child.pid) != exe:  # the prefix has not handed over yet
            if child.poll() is not None:
                raise Failed(f"{self.name} did not start\n{self.tail(10)}")
            time.sleep(0.005)
        known = {"pid": child.pid, "start_ticks": start_ticks(child.pid), "exe": exe}
        self._file.write_text(json.dumps(known))

    def stop(self, patience_s: float = STOP_S) -> None:
        """Ask it to end, then make it."""
        pid = self.pid()
        if pid is not None:
            end(pid, patience_s)
        self._file.unlink(missing_ok=True)

    def tail(self, count: int) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def end(pid: int, patience_s: float) -> None:
    """SIGTERM, and SIGKILL when patience runs out."""
    born = start_ticks(pid)
    for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, STOP_S)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + wait_s
        while start_ticks(pid) == born and born is not None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return


def known(state: Path) -> list[Process]:
    """All that were started and not stopped."""
    folder = state / "pid"
    return [Process(p.name, state) for p in sorted(folder.iterdir())] if folder.exists() else []
