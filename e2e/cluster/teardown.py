"""Removing everything `up` made, and nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import command, kernel, node, paths, process, stranger
from e2e.cluster.errors import Failed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from e2e.cluster.node import Node

_LAST = ("containerd", "kube-apiserver", "etcd")  # what the others still talk to while ending


def down(target: Node) -> None:
    """Processes, mounts, cgroups, sockets, namespace, state. Raises: Failed if a mount stays."""
    sockets = [node.shim_socket(bundle) for bundle in node.bundles(target.state)]
    stop(target)
    for socket in sockets:
        if socket:
            socket.unlink(missing_ok=True)
    unmount(target.state)
    target.cgroup.remove()
    target.network.down()
    _forget_outside(target.state)
    node.forget(target.state)
    _restore_kernel()


def stop(target: Node) -> None:
    """End our processes: components, then pods, then what served both."""
    for name in target.pids():
        if name not in _LAST:
            target.process(name).stop(2.0)
    target.cgroup.kill()
    for pid in shims(str(target.places.containerd)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for name in _LAST:
        target.process(name).stop()


def shims(socket: str) -> list[int]:
    """containerd shims that report to this socket, whichever pin they were built from."""
    parts = paths.cache() / "parts" / "containerd-shim-runc-v2"
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if not process.executable(pid).startswith(f"{parts}/"):
            continue
        with contextlib.suppress(OSError):
            if socket.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def mounts(mountinfo: str, below: Path) -> list[str]:
    """Mount points below a folder, the deepest first, from /proc/self/mountinfo."""
    points = (_plain(line.split()[4]) for line in mountinfo.splitlines())
    return sorted((point for point in points if point.startswith(f"{below}/")), reverse=True)


def _plain(point: str) -> str:
    r"""Undo how the kernel writes spaces and the like: `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda hit: chr(int(hit[1], 8)), point)


def unmount(below: Path) -> None:
    """Detach all mounts below a folder. Raises: Failed if one stays."""
    table = Path("/proc/self/mountinfo")
    for point in mounts(table.read_text(), below):
        command.succeeds(["umount", "-l", point])
    left = mounts(table.read_text(), below)
    if left:
        raise Failed(f"still mounted, so nothing was deleted: {left[0]}")


def _forget_outside(state: Path) -> None:
    """Traces that kubelet and CNI leave at fixed places, told by our paths in them."""
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{state}/"):
            link.unlink()
    for result in Path("/var/lib/cni/results").glob("*"):
        with contextlib.suppress(OSError):
            if f"{state}/" in result.read_text():
                result.unlink()
    if not _other_clusters(state):
        forget_plugins()
    _remove_if_empty(
        ("/var/log/containers", "/var/lib/cni/results", "/var/lib/cni", "/run/containerd/s")
    )
    _remove_if_empty(("/run/containerd", str(stranger.PLUGINS), "/var/lib/kubelet", "/run/runc"))


def forget_plugins() -> None:
    """Remove what our last kubelet left in the folder of device plugins; a stranger's stays."""
    if stranger.kubelet():
        return
    for name in ("kubelet_internal_checkpoint", "kubelet.sock", "DEPRECATION"):
        (stranger.PLUGINS / name).unlink(missing_ok=True)


def _remove_if_empty(folders: Iterable[str]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _other_clusters(state: Path) -> bool:
    folder = state.parent
    return folder.exists() and any(path.is_dir() and path != state for path in folder.iterdir())


def _restore_kernel() -> None:
    file = node.saved_settings()
    if file.parent.exists() and not any(path.is_dir() for path in file.parent.iterdir()):
        kernel.restore(file)


def clear_dead(target: Node) -> None:
    """Make room for `up` after an unclean end.

    A machine that has restarted took processes and mounts along, so the state describes nothing
    any more. A namespace that went alone leaves processes that nobody can reach.
    """
    boot = target.state / "boot"
    if not target.state.exists():
        return
    if not boot.exists() or boot.read_text() != kernel.boot_id():
        down(target)
    elif not target.network.exists():
        stop(target)
