"""A clock that skips silence, and waits that have a bound."""

from __future__ import annotations

import asyncio
import selectors
import socket
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
QUIET_S = 0.01
"""So long must nothing at all happen before time jumps to the next timer."""
STILL_QUIET_S = 0.001
"""So long after a jump that nothing came of."""
HANG_S = 30.0
PATIENT_HANG_S = 7200.0
"""No wait of a test outlasts this: reaching it is a failure."""


class _Skipping(selectors.DefaultSelector):
    skipped_s = 0.0
    _quiet_s = QUIET_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= self._quiet_s:
            found = super().select(timeout)
        else:
            found = super().select(self._quiet_s)
            if not found:
                self.skipped_s += timeout
        self._quiet_s = QUIET_S if found else STILL_QUIET_S
        return found


class PatientLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps over silence: five minutes without a byte take a moment."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Monotonic time, silence skipped."""
        return super().time() + self._skipping.skipped_s

    async def getaddrinfo(self, *where: Any, **how: Any) -> Any:  # noqa: ANN401 - as asyncio has it
        """Look a name up at once: a thread that still does is silent, and the clock would jump."""
        return socket.getaddrinfo(*where, **how)


def play(story: Coroutine[Any, Any, T], *, patient: bool = False) -> T:
    """Run a story on the loop that production uses, or on the patient one."""
    factory = PatientLoop if patient else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(story)


def _patient() -> bool:
    return isinstance(asyncio.get_running_loop(), PatientLoop)


def bounded() -> asyncio.Timeout:
    """Bound a wait: whoever takes longer hangs."""
    return asyncio.timeout(PATIENT_HANG_S if _patient() else HANG_S)


async def until(so: Callable[[], object]) -> None:
    """Wait for a condition that becomes true by itself."""
    async with bounded():
        while not so():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(2 * QUIET_S if _patient() else 0)  # a clock that skips, not a wait
