"""Running one command to its end."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from e2e.cluster import paths
from e2e.cluster.errors import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_TAIL = 3000  # characters of output worth showing


def run(
    words: Sequence[str | Path],
    *,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 1800.0,
) -> str:
    """Run it with our binaries on PATH and return stdout. Raises: Failed with what it printed."""
    try:
        done = subprocess.run(
            [str(word) for word in words],
            input=stdin,
            cwd=cwd,
            env={**os.environ, "PATH": paths.search_path(), **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(str(error)) from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-_TAIL:]
        raise Failed(f"{' '.join(str(word) for word in words[:4])}: exit {done.returncode}\n{said}")
    return done.stdout


def succeeds(words: Sequence[str | Path], env: Mapping[str, str] | None = None) -> bool:
    """Whether the command exits 0."""
    try:
        run(words, env=env, timeout_s=20)
    except Failed:
        return False
    return True


def wait(what: str, seen: Callable[[], bool], timeout_s: float) -> None:
    """Poll until seen. Raises: Failed."""
    deadline = time.monotonic() + timeout_s
    while not seen():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not seen in {timeout_s:g} s; `logs` shows why")
        time.sleep(0.1)
