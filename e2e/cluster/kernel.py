"""Kernel settings that kubelet changes for the whole machine; kept and put back."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

NAMES = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")
_PROC = Path("/proc/sys")


def boot_id() -> str:
    """Another one after every start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def save(file: Path) -> None:
    """Keep the settings, unless an earlier cluster has."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({name: (_PROC / name).read_text() for name in NAMES}))


def restore(file: Path) -> None:
    """Put them back."""
    if file.exists():
        for name, value in json.loads(file.read_text()).items():
            with contextlib.suppress(OSError):
                (_PROC / name).write_text(value)
        file.unlink()
