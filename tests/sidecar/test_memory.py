"""Freed memory is kept for the next request."""

from __future__ import annotations

import platform
import subprocess
import sys
import textwrap

import pytest

from overspill.sidecar import memory

CHURN = """
    import resource
    from overspill.sidecar import memory

    {settle}
    block = 300 * 1024

    def churn():
        for _ in range(100):
            parts = [bytes(block) for _ in range(4)]
            del parts

    def faults():
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    churn()
    before = faults()
    churn()
    print(faults() - before)
"""


def faults(settle: str) -> int:
    program = textwrap.dedent(CHURN.format(settle=settle))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc has other rules")
def test_a_request_finds_the_memory_of_the_one_before() -> None:
    """100 rounds of 1.2 MiB: taken from the kernel each time, that is 30,000 pages."""
    assert faults("memory.settle()") < 1_000
    assert faults("") > 10_000


def test_another_malloc_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        pass

    monkeypatch.setattr("ctypes.CDLL", lambda _: Other())
    assert not memory.keep_freed_memory()
