"""What starts a component leaves none behind that nobody knows of."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from e2e.cluster import process
from e2e.cluster.process import Process

if TYPE_CHECKING:
    from pathlib import Path

WAIT = (sys.executable, "-c", "import signal; signal.pause()")


def test_an_interrupted_start_leaves_no_process_without_a_pid_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def interrupted(pid: int) -> str:
        started.append(pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "executable", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Process("waits", tmp_path).start(WAIT)
    assert [process.start_ticks(pid) for pid in started] == [None]
