"""Child processes pinned to cores, and what /proc tells of them."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STOP_S = 10.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_NO_PROXY = {"NO_PROXY": "*", "no_proxy": "*"}  # all peers talk to this machine only


class Broken(Exception):
    """A process did not do what it should; the message ends with what it printed."""


def cores() -> tuple[set[int], set[int]]:
    """The core of the proxy, and those of the upstream and the load: the same where one is all."""
    every = sorted(os.sched_getaffinity(0))
    return {every[-1]}, set(every[:-1] or every)


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def allow_many_files() -> None:
    """Let this process and its children open as many files as the machine allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def pinned(to: set[int]) -> Iterator[None]:
    """Run on these cores; children started meanwhile stay there with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def running(
    words: Sequence[str], to: set[int], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a process on these cores, and end it. Its standard input is a pipe."""
    with log.open("w") as out:
        with pinned(to):
            child = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                text=True,
                env={**os.environ, **_NO_PROXY, **(env or {})},
            )
        try:
            yield child
        finally:
            end(child)


def end(child: subprocess.Popen[str]) -> None:
    """SIGTERM, and SIGKILL when patience runs out."""
    if child.stdin:
        child.stdin.close()
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in thread.read_text().split():
            found += family(int(child))
    return found


def rss_mib(pid: int) -> float:
    """Resident memory of a process and its descendants."""
    total_kib = 0
    for member in family(pid):
        text = Path(f"/proc/{member}/smaps_rollup").read_text()
        total_kib += next(int(line.split()[1]) for line in text.splitlines() if "Rss:" in line)
    return total_kib / 1024


def cpu_s(pid: int) -> float:
    """Processor time that a process and its living descendants have used."""
    fields = (Path(f"/proc/{member}/stat").read_text() for member in family(pid))
    ticks = [text.rpartition(")")[2].split()[11:13] for text in fields]
    return sum(int(user) + int(system) for user, system in ticks) / _TICKS_PER_S


def own_cpu_s() -> float:
    """Processor time of this process and all its descendants, those that have ended too."""
    ended = os.times()
    return cpu_s(os.getpid()) + ended.children_user + ended.children_system


def machine_cpu_s() -> float:
    """Processor time that everybody on this machine has used, and what its host took from it."""
    _, user, nice, system, _, _, _, _, steal, *_ = Path("/proc/stat").read_text().split(maxsplit=10)
    return sum(map(int, (user, nice, system, steal))) / _TICKS_PER_S


def open_files(pid: int) -> int:
    """File descriptors that a process holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
