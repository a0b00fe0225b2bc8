"""Where binaries, images and state live: always outside the tree."""

from __future__ import annotations

import os
import re
from pathlib import Path

from e2e.cluster.errors import Unusable

_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")


def cache() -> Path:
    """Binaries and images; survives `down`.

    Without symbolic links: the kernel tells mounts and executables by their true paths, and what is
    not recognised there is neither unmounted nor ended.
    """
    own = os.environ.get("OVERSPILL_CACHE")
    if own:
        return Path(own).resolve()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (home / "overspill").resolve()


def cluster_name() -> str:
    """The netns, cgroup, bridge and state folder are named after it. Raises: Unusable."""
    name = os.environ.get("OVERSPILL_CLUSTER_NAME") or "overspill"
    if not _NAME.fullmatch(name):
        raise Unusable(f"OVERSPILL_CLUSTER_NAME={name}: want at most 12 of a-z, 0-9, - (a-z first)")
    return name


def run(name: str) -> Path:
    """State of one cluster: etcd, containerd, kubelet, pid files, logs; gone after `down`."""
    return cache() / "run" / name


def images() -> Path:
    """OCI archives and layouts."""
    return cache() / "images"


def binary(name: str) -> Path:
    """A built binary by its file name."""
    return cache() / "bin" / name


def search_path() -> str:
    """PATH with our binaries first."""
    return f"{cache() / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
