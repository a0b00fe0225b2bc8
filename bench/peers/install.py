"""Each peer in a virtual environment of its own, outside the tree and kept."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from e2e.cluster import paths

PINS = Path(__file__).parents[1] / "requirements-peers.txt"
INSTALL_LIMIT_S = 900.0


class Missing(Exception):
    """The peer cannot be measured here; the message says why."""


def pin(package: str) -> str:
    """The requirement line of a package, such as `litellm[proxy]==1.0`."""
    pattern = re.compile(rf"{re.escape(package)}(\[\w+\])?==")
    return next(line for line in PINS.read_text().splitlines() if pattern.match(line))


def version(package: str) -> str:
    """The pinned version of a package."""
    return pin(package).partition("==")[2]


def environment(package: str) -> Path:
    """The peer's environment, made where it is not there. Raises: Missing."""
    folder = paths.cache() / "bench" / f"{package}-{version(package)}"
    ready = folder / ".ready"
    if not ready.exists():
        _make(folder, pin(package))
        ready.touch()
    return folder


def _make(folder: Path, requirement: str) -> None:
    python = folder / "bin" / "python"
    flags = ("-q", "--disable-pip-version-check", "--no-input")
    _run([sys.executable, "-m", "venv", "--clear", folder])
    _run([python, "-m", "pip", "install", *flags, requirement])


def _run(words: list[str | Path]) -> None:
    try:
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=INSTALL_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Missing(f"cannot be installed: {said[-1] if said else done.returncode}")
