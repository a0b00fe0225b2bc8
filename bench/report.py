"""What every benchmark shares: the table on the terminal and the JSON with machine and versions."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OUT = Path(__file__).parents[1] / "build" / "bench"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def machine() -> dict[str, Any]:
    """CPU, cores and kernel this ran on."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def console() -> Console:
    """Standard output, wide enough for our tables where it is no terminal."""
    return Console(width=max(Console().width, 110), highlight=False)


def write(
    name: str, figures: Mapping[str, Any], rows: Sequence[Sequence[str]], packages: Sequence[str]
) -> None:
    """Print `rows` (the first is the head) and write the figures."""
    table = Table(*rows[0], title=f"bench-{name}", title_justify="left")
    for row in rows[1:]:
        table.add_row(*row)
    console().print(table)
    OUT.mkdir(parents=True, exist_ok=True)
    versions = {package: metadata.version(package) for package in packages}
    text = json.dumps({"machine": machine(), "versions": versions, **figures}, indent=2)
    path = OUT / f"{name}.json"
    path.write_text(text + "\n")
    console().print(f"figures  {path.relative_to(OUT.parents[1])}")
