"""`kill -9` from outside, as a node's out-of-memory killer would: by process, not by the API.

The processes of the cluster are found in this machine's /proc, which shows those of the own cluster
and of kind on Linux.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.stage import kube

if TYPE_CHECKING:
    from collections.abc import Iterator

API_SERVER = "kube-apiserver"


def kill_container(namespace: str, pod: str, container: str) -> bool:
    """Kill every process of a container; say whether there was one."""
    status = kube.get("pod", pod, namespace)["status"]
    known = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    ids = [
        one.get("containerID", "").rpartition("/")[2] for one in known if one["name"] == container
    ]
    found = [pid for pid in _pids() if ids and ids[0] and ids[0] in _text(pid, "cgroup")]
    for pid in found:
        _signal(pid, signal.SIGKILL)
    return bool(found)


def freeze_api_server(seconds: float) -> None:
    """Stop the API server in its tracks: connections stay and nobody answers."""
    found = [
        pid for pid in _pids() if Path(_text(pid, "cmdline").split("\0")[0]).name == API_SERVER
    ]
    assert found, "no kube-apiserver runs on this machine"
    for pid in found:
        _signal(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        for pid in found:
            _signal(pid, signal.SIGCONT)


def _pids() -> Iterator[int]:
    return (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit())


def _text(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
