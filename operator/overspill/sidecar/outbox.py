"""Writes of one turn of the event loop, handed to the kernel together.

A write to a socket whose reader sleeps also wakes the reader, and that costs several times what the
write costs. Writes that follow each other closely wake a reader once: docs/performance.md has the
figures.
"""

from __future__ import annotations

import asyncio


class Outbox:
    """Keeps what is written until the callbacks that are ready have run."""

    __slots__ = ("_due", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: list[tuple[asyncio.Transport, bytes]] = []

    def write(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write soon. Bytes for one transport keep their order."""
        if not self._due:
            self._loop.call_soon(self.flush)
        self._due.append((transport, data))

    def flush(self) -> None:
        """Write what is kept, now: whoever closes a transport calls this first."""
        due, self._due = self._due, []
        for transport, data in due:
            if not transport.is_closing():
                transport.write(data)
