"""What is being made, k of n, and since when: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def clock(seconds: float) -> str:
    """4 -> `4s`, 64 -> `1m04s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


class Progress:
    """Counts steps. Writes to stderr, so that stdout holds results only."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began_s = time.monotonic()
        self._live = sys.stderr.isatty()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """One step; its line ends with the time it took."""
        self._done += 1
        head = f"[{self._done}/{self._total}] {what}"
        began_s = time.monotonic()
        ended = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(head, began_s, ended), daemon=True)
        ticker.start()
        outcome = " failed"
        try:
            yield
            outcome = ""
        finally:
            ended.set()
            ticker.join()
            self._write(f"{head} {clock(time.monotonic() - began_s)}{outcome}", end="\n")

    def _tick(self, head: str, began_s: float, ended: threading.Event) -> None:
        if not self._live:
            return
        while not ended.wait(0.2):
            now_s = time.monotonic()
            total = clock(now_s - self._began_s)
            self._write(f"{head} {clock(now_s - began_s)} (all {total})", end="")

    def _write(self, line: str, end: str) -> None:
        start = "\r\033[K" if self._live else ""
        sys.stderr.write(f"{start}{line}{end}")
        sys.stderr.flush()
