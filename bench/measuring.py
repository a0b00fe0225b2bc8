"""One case on one proxy: start it on its core, load it, look at it, end it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import generator
from bench.generator import Target
from bench.peers.proxies import PROXIES
from bench.processes import Broken, cores, cpu_s, machine_cpu_s, own_cpu_s, rss_mib, running
from bench.report import OUT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

DIRECT: Final = "direct"
OURS: Final = "overspill"
IDLE: Final = "idle2000"
IDLE_STREAMS: Final = 2000
CASES: Final = {
    "json32": ("--case", "json", "--connections", "32"),
    "json256": ("--case", "json", "--connections", "256"),
    "stream200": ("--case", "stream", "--connections", "200"),
    "paced200": ("--case", "stream", "--connections", "200", "--gap-us", "10000"),
    "prompt64k": ("--case", "json", "--connections", "32", "--body-bytes", "65536"),
    "rate1000": ("--case", "json", "--connections", "256", "--rate", "1000"),
    IDLE: (),
}

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long everything takes."""

    seconds: float
    warmup_s: float
    repeat: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A proxy that serves, or the upstream itself, which has no pid here."""

    target: Target
    pid: int | None


@contextlib.contextmanager
def serving(name: str, upstream: int) -> Iterator[Subject]:
    """Start a proxy and wait until it answers. Raises: Missing, Broken."""
    if name == DIRECT:
        yield Subject(Target(f"http://127.0.0.1:{upstream}/v1"), None)
        return
    with tempfile.TemporaryDirectory(prefix="overspill-bench-") as folder:
        launch = PROXIES[name](Path(folder), upstream)
        with running(launch.words, cores()[0], OUT / f"{name}.log", launch.env) as child:
            url = launch.url if isinstance(launch.url, str) else _written(launch.url, child)
            target = Target(url, launch.model)
            generator.wait_for(target, child)
            yield Subject(target, child.pid)


def _written(file: Path, child: subprocess.Popen[str]) -> str:
    deadline_s = time.monotonic() + generator.START_LIMIT_S
    while not file.exists() or not file.read_text():
        if child.poll() is not None or time.monotonic() > deadline_s:
            raise Broken("does not say where it serves")
        time.sleep(0.05)
    return file.read_text()


def measure(case: str, name: str, upstream: int, pace: Pace) -> Figures:
    """Take all figures of one case. Raises: Missing, Broken."""
    with serving(name, upstream) as subject:
        rest = {} if subject.pid is None else {"rest_mib": rss_mib(subject.pid)}
        before = generator.served(upstream)
        found = _idle(subject) if case == IDLE else _busy(case, subject, pace)
    reached = generator.served(upstream) - before
    if reached < found.get("requests", 0):
        raise Broken(f"{found['requests']} answers, but only {reached} requests reached the model")
    return rest | found


def _busy(case: str, subject: Subject, pace: Pace) -> Figures:
    began_s, used_s = time.monotonic(), cpu_s(subject.pid) if subject.pid else 0.0
    others_s = machine_cpu_s() - own_cpu_s()
    found: Figures = generator.load(
        subject.target, CASES[case], warmup_s=pace.warmup_s, seconds=pace.seconds
    )
    taken_s = time.monotonic() - began_s
    found["foreign_cores"] = max(0.0, machine_cpu_s() - own_cpu_s() - others_s) / taken_s
    if subject.pid is not None:
        found["cpu_cores"] = (cpu_s(subject.pid) - used_s) / taken_s
        found["rss_mib"] = rss_mib(subject.pid)
    return found


def _idle(subject: Subject) -> Figures:
    with generator.held_streams(subject.target, IDLE_STREAMS) as held:
        found: Figures = dict(held)
        if subject.pid is not None and held["open"] == IDLE_STREAMS:
            found["rss_mib"] = rss_mib(subject.pid)
    return found
