"""An event loop whose clock stands still while anything is left to do, and then jumps.

Sockets are real; as all of them are on loopback and in one process, nothing comes in later by
itself. So a story of minutes takes as long as its computing, and a busy machine changes nothing.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine

SETTLE_S: Final = 0.0002


class _Jumping(selectors.SelectSelector):
    """Looks for what is there; where nothing is, the time that was to be waited has passed."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout is not None and timeout > 0:
            found = super().select(SETTLE_S)  # the kernel may hand over what was just written
            if not found:
                self.now_s += timeout
        return found


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0 s."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds that were waited for."""
        return self._jumping.now_s


def play(story: Coroutine[Any, Any, Any]) -> None:
    """Run it to its end."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(story)
