"""`python -m e2e.run` against a cluster that only says what it is asked for."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from e2e.run import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER = """
import signal, sys
print(sys.argv[1], flush=True)
if sys.argv[1] == "up" and "hang" in sys.argv[0]:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print("up waits", flush=True)
    try:
        signal.pause()
    finally:
        print("up cleans up", flush=True)
sys.exit(3 if sys.argv[1] == "exec" else 0)
"""
RUN = """
import signal, sys
from e2e import run
signal.signal(signal.SIGINT, signal.default_int_handler)
run.CLUSTER = (sys.argv[1],)
raise SystemExit(run.main(["demo"]))
"""


def _running(tmp_path: Path, name: str) -> subprocess.Popen[str]:
    cluster = tmp_path / name
    cluster.write_text(CLUSTER)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(cluster)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_it_finds_the_command_cleaned_up_after_and_the_cluster_down(
    tmp_path: Path, number: signal.Signals
) -> None:
    with _running(tmp_path, "hang.py") as child:
        assert child.stdout
        for line in child.stdout:
            if line == "up waits\n":
                break
        child.send_signal(number)
        assert child.stdout.read().split("\n") == ["up cleans up", "down", ""]
    assert child.returncode == 130


def test_a_job_that_fails_gives_its_status_and_the_cluster_goes_down(tmp_path: Path) -> None:
    with _running(tmp_path, "fails.py") as child:
        assert child.stdout
        done = child.stdout.read().split()
    assert done == ["build", "down", "up", "image", "image", "image", "exec", "down"]
    assert child.returncode == 3
