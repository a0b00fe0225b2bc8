"""`python -m e2e.run tests|demo`: everything from nothing, and nothing left behind.

Builds the cluster's binaries and the images (both cached), starts the cluster, runs the tests or
the demo in it, and takes it down again. KEEP=1 leaves the cluster up for a closer look.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from e2e.stage import manifests, overspill

ROOT = Path(__file__).parents[1]
IMAGES = (
    ("IMAGE", f"{overspill.IMAGE}:{overspill.TAG}", "Dockerfile"),
    ("MODELS_IMAGE", manifests.MODELS_IMAGE, "e2e/models/Dockerfile"),
    ("APP_IMAGE", manifests.APP_IMAGE, "e2e/app/Dockerfile"),
)
"""Variable that names a pushed image instead, image, Dockerfile."""
CLUSTER = ("-m", "e2e.cluster")
"""Python's words before a command of the cluster."""
ENDING_S = 240.0
"""What a command may take to clean up once it is interrupted: `helm uninstall` waits for pods."""
INTERRUPTED = 130
JOBS = {
    "tests": ["-m", "pytest", "e2e/tests", "-v", "--durations=0"],
    "demo": ["-m", "e2e.demo"],
}


class Terminated(KeyboardInterrupt):
    """SIGTERM: to be cleaned up after as after ^C, but no terminal has told the command."""


def cluster(*words: str) -> None:
    """One command of `python -m e2e.cluster`. Raises: CalledProcessError.

    An interrupted command is waited for: BuildKit's daemon, Helm's release and more would stay.
    A terminal tells all its processes of ^C. Without one the command has a session of its own, so
    that it hears of the end once, from here: twice would break its cleaning up off.
    """
    alone = not sys.stdin.isatty()
    told = [sys.executable, *CLUSTER, *words]
    with subprocess.Popen(told, cwd=ROOT, start_new_session=alone) as child:
        try:
            status = child.wait()
        except KeyboardInterrupt as error:
            if alone or isinstance(error, Terminated):
                child.send_signal(signal.SIGINT)
            _let_end(child)
            raise
    if status:
        raise subprocess.CalledProcessError(status, told)


def _let_end(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(ENDING_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()


def _terminated(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, lambda *_: None)  # once: cleaning up has begun
    raise Terminated


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
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return _run(words[0], words[1:])
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(job: str, words: list[str]) -> int:
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
        cluster("exec", "--", sys.executable, *JOBS[job], *words)
    except subprocess.CalledProcessError as error:
        if job == "tests":
            cluster("logs")
        return error.returncode
    finally:
        if not keep:
            cluster("down")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
