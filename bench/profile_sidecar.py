"""`make profile-sidecar`: where each microsecond of the sidecar's core goes.

py-spy samples the sidecar under the loads of bench-sidecar, native frames too. Each sample counts
for one room of the house; the shares are of the processor time that a request (or an event) took in
a run of the same load without the profiler.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from bench import generator, report
from bench.measuring import CASES, OURS, serving
from bench.peers import install
from bench.processes import Broken, allow_many_files, cores, cpu_s, pinned

if TYPE_CHECKING:
    from collections.abc import Iterable

PROFILED: Final = ("json32", "prompt64k", "stream200", "paced200")
PER_EVENT: Final = frozenset({"stream200", "paced200"})
SECONDS: Final = 10.0
WARMUP_S: Final = 1.0
SAMPLES_PER_S: Final = 200
ANYWHERE: Final = (("garbage collection", re.compile(r"gc_collect")),)
"""What a sample counts for where such a frame stands anywhere in its stack."""
INNERMOST: Final = (
    ("kernel: write", re.compile(r"^(write|writev|sendmsg|send) \(libc")),
    ("kernel: read", re.compile(r"^(read|recv|recvmsg) \(libc")),
    ("kernel: wait", re.compile(r"^epoll_\w+ \(libc")),
)
ROOMS: Final = (
    ("HTTP with the client", re.compile(r"overspill/sidecar/(http|request|answer|outbox)\.py")),
    ("HTTP with the upstream", re.compile(r"overspill/sidecar/upstream\.py")),
    ("JSON, events, protocols", re.compile(r"overspill/wire/")),
    ("decision and slots", re.compile(r"overspill/(routing/|sidecar/room\.py)")),
    ("metering and metrics", re.compile(r"overspill/sidecar/(tally|meters|metrics)\.py")),
    ("the request's course", re.compile(r"overspill/sidecar/(?!command)")),
)
LOOP: Final = "event loop"
Shares = dict[str, float]
log = Console(stderr=True, highlight=False)


def room(stack: str) -> str:
    """The room that a sample counts for: that of its innermost frame of ours, or of the kernel.

    `stack` is a line of py-spy's raw format without its count: frames from the outermost on.
    """
    frames = stack.split(";")
    for name, pattern in ANYWHERE:
        if any(pattern.search(frame) for frame in frames):
            return name
    for name, pattern in INNERMOST:
        if pattern.search(frames[-1]):
            return name
    for frame in reversed(frames):
        for name, pattern in ROOMS:
            if pattern.search(frame):
                return name
    return LOOP


def shares(lines: Iterable[str]) -> Shares:
    """Share of each room in all samples. Raises: Broken where there are none."""
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rstrip("\n").rpartition(" ")
        counts[room(stack)] += int(count)
    total = counts.total()
    if not total:
        raise Broken("py-spy took no sample; it needs the right to trace processes")
    return {name: count / total for name, count in counts.most_common()}


def _sampled(pid: int, out: Path) -> subprocess.Popen[bytes]:
    spy = install.environment("py-spy") / "bin" / "py-spy"
    words = [str(spy), "record", "--pid", str(pid), "--native", "--format", "raw"]
    words += ["--duration", f"{SECONDS:g}", "--rate", str(SAMPLES_PER_S), "--output", str(out)]
    with pinned(cores()[1]):
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def profile(case: str, upstream: int) -> dict[str, Any]:
    """Profile one load. Raises: Broken, Missing."""
    with serving(OURS, upstream) as subject, TemporaryDirectory() as folder:
        assert subject.pid
        used_s = cpu_s(subject.pid)
        found = generator.load(subject.target, CASES[case], warmup_s=0.0, seconds=SECONDS)
        used_s = cpu_s(subject.pid) - used_s
        rate = found["events_per_s" if case in PER_EVENT else "rps"]
        out = Path(folder) / "stacks"
        spy = _sampled(subject.pid, out)
        generator.load(subject.target, CASES[case], warmup_s=0.0, seconds=SECONDS + WARMUP_S)
        if spy.wait(60):
            raise Broken("py-spy cannot sample the sidecar; it needs the right to trace processes")
        return {
            "unit": "event" if case in PER_EVENT else "request",
            "per_s": rate,
            "us": used_s / SECONDS / rate * 1e6,
            "shares": shares(out.read_text().splitlines()),
        }


def _rows(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    names = sorted(
        {name for one in found.values() for name in one["shares"]},
        key=lambda name: -sum(one["shares"].get(name, 0.0) for one in found.values()),
    )
    rows = [["µs", *(f"{case}, per {one['unit']}" for case, one in found.items())]]
    for name in names:
        parts = (one["shares"].get(name, 0.0) * one["us"] for one in found.values())
        rows.append([name, *(f"{part:.2f}" for part in parts)])
    rows.append(["in all", *(f"{one['us']:.2f}" for one in found.values())])
    return rows


def main() -> int:
    """Profile every load, print, write."""
    allow_many_files()
    found = {}
    try:
        generator.build()
        with generator.upstream() as upstream:
            for case in PROFILED:
                log.print(f"profiling {case}")
                found[case] = profile(case, upstream)
    except (Broken, install.Missing) as error:
        log.print(f"profile-sidecar: {error}")
        return 1
    packages = ["overspill", "uvloop", "httptools", "msgspec"]
    report.write("profile", {"cases": found}, _rows(found), packages=packages)
    return 0


if __name__ == "__main__":
    sys.exit(main())
