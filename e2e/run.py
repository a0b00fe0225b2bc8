"""`python -m e2e.run tests|demo`: everything from nothing, and nothing left behind.

Builds the cluster's binaries and the images (both cached), starts the cluster, runs the tests or
the demo in it, and takes it down again. KEEP=1 leaves the cluster up for a closer look.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from e2e.stage import manifests, overspill

ROOT = Path(__file__).parents[1]
IMAGES = (
    ("IMAGE", f"{overspill.IMAGE}:{overspill.TAG}", "Dockerfile"),
    ("MODELS_IMAGE", manifests.MODELS_IMAGE, "e2e/models/Dockerfile"),
    ("APP_IMAGE", manifests.APP_IMAGE, "e2e/app/Dockerfile"),
)
"""Variable that names a pushed image instead, image, Dockerfile."""
JOBS = {
    "tests": ["-m", "pytest", "e2e/tests", "-v", "--durations=0"],
    "demo": ["-m", "e2e.demo"],
}


def cluster(*words: str) -> None:
    """One command of `python -m e2e.cluster`. Raises: CalledProcessError."""
    subprocess.run([sys.executable, "-m", "e2e.cluster", *words], cwd=ROOT, check=True)


def images() -> None:
    """Build the images, or take the pushed ones that variables name."""
    for variable, name, dockerfile in IMAGES:
        if variable not in os.environ:
            cluster("image", name, "--file", dockerfile, "--context", ".")


def main(words: list[str]) -> int:
    """Run one job on a fresh cluster; return its exit status."""
    if not words or words[0] not in JOBS:
        sys.stderr.write(f"usage: python -m e2e.run {'|'.join(JOBS)} [ARGUMENTS]\n")
        return 2
    job = [sys.executable, *JOBS[words[0]], *words[1:]]
    keep = bool(os.environ.get("KEEP"))
    try:
        cluster("build")  # says in one line, with exit status 2, where no cluster can be
    except subprocess.CalledProcessError as error:
        return error.returncode
    try:
        if not keep:
            cluster("down")  # what an interrupted run may have left
        cluster("up", "--sync-frequency", "10s")
        images()
        cluster("exec", "--", *job)
    except subprocess.CalledProcessError as error:
        if words[0] == "tests":
            cluster("logs")
        return error.returncode
    finally:
        if not keep:
            cluster("down")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
