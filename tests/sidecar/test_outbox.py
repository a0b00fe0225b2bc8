"""Writes of one turn of the loop go out together, in their order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from overspill.sidecar.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable


class Wire:
    """Where several transports write."""

    def __init__(self) -> None:
        self.written: list[tuple[str, bytes]] = []

    def transport(self, name: str) -> Transport:
        return Transport(name, self.written)


class Transport:
    def __init__(self, name: str, written: list[tuple[str, bytes]]) -> None:
        self.name, self.written, self.closing = name, written, False

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.written.append((self.name, data))


def real(transport: Transport) -> asyncio.Transport:
    return cast("asyncio.Transport", transport)


def on_a_loop(story: Callable[[Outbox, Wire], None]) -> tuple[Wire, Wire]:
    """Run a story; return what was written in its own turn, and one turn later."""
    wire, at_once = Wire(), Wire()

    async def play() -> None:
        story(Outbox(), wire)
        at_once.written = list(wire.written)
        await asyncio.sleep(0)

    asyncio.run(play())
    return at_once, wire


def test_nothing_is_written_before_the_turn_ends() -> None:
    def story(outbox: Outbox, wire: Wire) -> None:
        first, second = wire.transport("first"), wire.transport("second")
        for transport, data in ((first, b"1"), (second, b"2"), (first, b"3")):
            outbox.write(real(transport), data)

    at_once, later = on_a_loop(story)
    assert at_once.written == []
    assert later.written == [("first", b"1"), ("second", b"2"), ("first", b"3")]


def test_who_closes_flushes_first_and_nothing_goes_out_twice() -> None:
    def story(outbox: Outbox, wire: Wire) -> None:
        outbox.write(real(wire.transport("only")), b"good-bye")
        outbox.flush()

    at_once, later = on_a_loop(story)
    assert at_once.written == later.written == [("only", b"good-bye")]


def test_a_transport_that_closes_meanwhile_gets_nothing_and_the_others_all() -> None:
    def story(outbox: Outbox, wire: Wire) -> None:
        gone, there = wire.transport("gone"), wire.transport("there")
        outbox.write(real(gone), b"lost")
        outbox.write(real(there), b"kept")
        gone.closing = True

    assert on_a_loop(story)[1].written == [("there", b"kept")]
