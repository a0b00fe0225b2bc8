"""Which room a sample of the profiler counts for."""

from __future__ import annotations

import pytest

from bench.processes import Broken
from bench.profile_sidecar import LOOP, room, shares

RUN = (
    "run (overspill/sidecar/command.py:84);Runner.run (asyncio/runners.py:118);uv_run (core.c:399)"
)
ANSWER = f"{RUN};Connection._answer (overspill/sidecar/http.py:212)"
RUNNING = f"{ANSWER};Exchange.run (overspill/sidecar/exchange.py:90)"
SENDING = f"{RUNNING};send (overspill/sidecar/answer.py:34)"
STACKS = [
    pytest.param(f"{RUN};epoll_pwait (libc.so.6)", "kernel: wait", id="the kernel"),
    pytest.param(f"{SENDING};write (libc.so.6)", "kernel: write", id="the kernel, for one of ours"),
    pytest.param(SENDING, "HTTP with the client", id="the innermost of ours"),
    pytest.param(
        f"{ANSWER};read (overspill/wire/ingress/chat.py:53);decode (msgspec.so)",
        "JSON, events, protocols",
        id="a library counts for who called it",
    ),
    pytest.param(
        f"{ANSWER};take (overspill/sidecar/room.py:32);acquire (overspill/routing/capacity.py:89)",
        "decision and slots",
        id="the core, called by the shell",
    ),
    pytest.param(
        f"{SENDING};gc_collect_main (libpython3.11.so.1.0);visit (object.c:1)",
        "garbage collection",
        id="collecting, wherever it struck",
    ),
    pytest.param(f"{RUN};uv__io_poll (linux.c:1419)", LOOP, id="nothing of ours"),
]


@pytest.mark.parametrize(("stack", "name"), STACKS)
def test_a_sample_counts_for_its_innermost_room(stack: str, name: str) -> None:
    assert room(stack) == name


def test_shares_are_of_all_samples() -> None:
    found = shares([f"{SENDING} 3", f"{RUN};epoll_pwait (libc.so.6) 1"])
    assert found == {"HTTP with the client": 0.75, "kernel: wait": 0.25}


def test_no_sample_is_no_profile() -> None:
    with pytest.raises(Broken, match="no sample"):
        shares([])
