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
    (f"{overspill.IMAGE}:{overspill.TAG}", "Dockerfile"),
    (manifests.MODELS_IMAGE, "e2e/models/Dockerfile"),
    (manifests.APP_IMAGE, "e2e/app/Dockerfile"),
)
JOBS = {
    "tests": ["-m", "pytest", "e2e/tests", "-v", "--durations=0"],
    "demo": ["-m", "e2e.demo"],
}


def cluster(*words: str) -> None:
    """One command of `python -m e2e.cluster`. Raises: CalledProcessError."""
    subprocess.run([sys.executable, "-m", "e2e.cluster", *words], cwd=ROOT, check=True)


def prepare() -> None:
    """A running cluster that holds all images."""
    cluster("build")
    cluster("up", "--sync-frequency", "10s")
    for name, dockerfile in IMAGES:
        cluster("image", name, "--file", dockerfile, "--context", ".")


def main(words: list[str]) -> int:
    """Run one job on a fresh cluster; return its exit status."""
    if not words or words[0] not in JOBS:
        sys.stderr.write(f"usage: python -m e2e.run {'|'.join(JOBS)} [ARGUMENTS]\n")
        return 2
    job = [sys.executable, *JOBS[words[0]], *words[1:]]
    try:
        prepare()
        cluster("exec", "--", *job)
    except subprocess.CalledProcessError as error:
        if words[0] == "tests" and error.returncode == 1:
            cluster("logs")
        return error.returncode
    finally:
        if not os.environ.get("KEEP"):
            cluster("down")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
