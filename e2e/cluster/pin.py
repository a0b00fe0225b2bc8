"""Write modules/NAME/go.mod and go.sum from versions.py; run by hand after a version bump."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from e2e.cluster.versions import ModuleSet

MODULES = Path(__file__).parent / "modules"
_STAGING = re.compile(r"^\s*(?:replace )?(k8s\.io/[a-z0-9-]+) => \./staging", re.MULTILINE)


def staging_modules(go_mod: str) -> list[str]:
    """The modules that k8s.io/kubernetes's own go.mod replaces by its staging folder."""
    return sorted(set(_STAGING.findall(go_mod)))


def go_mod(chosen: ModuleSet, staging: Iterable[str] = ()) -> str:
    """The go.mod to tidy: what we ask for, before Go adds what that asks for."""
    tools = "".join(f"\t{package}\n" for package in sorted(chosen.binaries.values()))
    lines = [
        f"module overspill.dev/e2e/{chosen.name}\n",
        f"go {versions.GO}\n",
        f"tool (\n{tools})\n",
        f"require {chosen.module} {chosen.version}",
    ]
    published = chosen.version.replace("v1.", "v0.", 1)
    lines += [f"replace {module} => {module} {published}" for module in staging]
    return "\n".join(lines) + "\n"


def _upstream_go_mod(chosen: ModuleSet) -> str:
    words = ["go", "mod", "download", "-json", f"{chosen.module}@{chosen.version}"]
    answer = json.loads(subprocess.run(words, check=True, capture_output=True, cwd="/").stdout)
    return Path(answer["GoMod"]).read_text()


def pin(chosen: ModuleSet) -> None:
    """Resolve one set and write its two files. Raises: CalledProcessError."""
    home = MODULES / chosen.name
    home.mkdir(parents=True, exist_ok=True)
    staging = staging_modules(_upstream_go_mod(chosen)) if chosen.staging else []
    (home / "go.mod").write_text(go_mod(chosen, staging))
    (home / "go.sum").unlink(missing_ok=True)
    subprocess.run(["go", "mod", "tidy"], check=True, cwd=home, capture_output=True)
