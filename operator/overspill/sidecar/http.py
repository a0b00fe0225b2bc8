"""HTTP/1.1 towards clients: protocol callbacks, no framework.

One connection answers one request at a time, in order; further pipelined requests wait. When the
client goes, the task that answers it is cancelled, and with it whatever it waits for upstream.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, cast

from overspill.sidecar.answer import JSON, Answer
from overspill.sidecar.outbox import Outbox
from overspill.sidecar.request import Refusal, Request, RequestReader
from overspill.wire.errors import openai_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from overspill.sidecar.request import Limits

_LONGEST_PIPELINE: Final = 64
"""While more requests wait we read nothing, and cannot see that their client leaves."""


class Server(Protocol):
    """What a connection needs to know of the server it belongs to."""

    limits: Limits
    draining: bool
    connections: Connections

    async def handle(self, request: Request, answer: Answer) -> None:
        """Answer one request."""


class Connections(set["Connection"]):
    """All open connections of a server, their outbox, and the clock that ends what takes too long.

    One timer looks at all of them, so that limits end a little late: a timer of its own for each
    would be set and cancelled with every request.
    """

    EVERY_S: Final = 5.0

    def __init__(self, most: int | None = None) -> None:
        """Beyond `most` the one that has waited longest makes way: whoever comes is served."""
        super().__init__()
        self._most = most
        self.outbox = Outbox()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        """Take one more."""
        if self._most is not None and len(self) >= self._most:
            longest = min(self, key=lambda one: one.since_s)
            self.discard(longest)
            longest.abort()
        super().add(connection)
        if self._timer is None:
            self._later()

    def _later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        for connection in list(self):
            connection.check(now_s)
        if self:
            self._later()


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._limits = server.limits
        self._outbox = server.connections.outbox
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(server.limits)
        self.since_s = 0.0
        """When what we wait for began: idleness, a request's head, the last part of its body."""
        self._began_s = 0.0
        """When the request that is being read began."""
        self._paused = False
        """We read nothing: enough requests wait."""
        self._unread_bytes = 0
        self._unread_since_s = 0.0
        """Since when the client has read nothing of what waits for it."""
        self._lingering = False
        self._task: asyncio.Task[None] | None = None
        self.stalled = False
        """The client reads more slowly than we write."""
        self.when_drained: Callable[[], None] | None = None
        self._transport: asyncio.Transport | None = None

    # -- asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports do not inherit from asyncio's: no isinstance here
        self._transport = cast("asyncio.Transport", transport)
        self.since_s = self._loop.time()
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: stop working for it."""
        self._server.connections.discard(self)
        self._reader.close()
        self.resume_writing()
        if self._task:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Read what came in."""
        reader = self._reader
        if reader.refusal:
            return
        if not reader.reading:
            self.since_s = self._began_s = self._loop.time()
        elif reader.head_done:  # a head has one time limit in all
            self.since_s = self._loop.time()
        reader.feed(data)
        if self._task is None:
            self._go_on()
        if reader.ready:
            self._pause_or_resume()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.stalled = True

    def resume_writing(self) -> None:
        """The client caught up."""
        self.stalled = False
        if self.when_drained:
            self.when_drained()
            self.when_drained = None
        if self._task is None:
            self._go_on()

    # -- answering
    def write(self, data: bytes) -> None:
        """Hand bytes to the transport."""
        if self._transport and data:
            self._outbox.write(self._transport, data)

    def close(self) -> None:
        """Close after what was written has gone out."""
        if self._transport:
            self._outbox.flush()
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport:
            self._transport.abort()

    def close_if_idle(self) -> None:
        """Close where no request is under way, nor one coming in."""
        if not self.busy and not self._reader.reading:
            self.close()

    @property
    def closing(self) -> bool:
        """Whether the server ends its connections."""
        return self._server.draining

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._task is not None or bool(self._reader.ready)

    def check(self, now_s: float) -> None:
        """End what has taken too long."""
        limits, waited_s = self._limits, now_s - self.since_s
        reader = self._reader
        if self._reads_nothing(now_s):
            self.abort()
        elif reader.reading and not reader.refusal:
            limit_s = limits.body_stall_s if reader.head_done else limits.header_s
            late = waited_s > limit_s or now_s - self._began_s > limits.request_s
            if late and not self._paused:
                reader.refusal = Refusal(408, "the request did not arrive in time")
                if not self.busy:
                    self._send_refusal(reader.refusal)
        elif not self.busy and not self._lingering and waited_s > limits.idle_s:
            self.close()

    def _reads_nothing(self, now_s: float) -> bool:
        """Whether the client has not read for too long, of an answer or of its last bytes."""
        unread = self._transport.get_write_buffer_size() if self._transport else 0
        if unread != self._unread_bytes:
            self._unread_bytes, self._unread_since_s = unread, now_s
        return unread > 0 and now_s - self._unread_since_s > self._limits.write_stall_s

    def _pause_or_resume(self) -> None:
        """Read on only while few requests wait."""
        reader, transport = self._reader, self._transport
        many = len(reader.ready) >= _LONGEST_PIPELINE
        many = many or reader.ready_bytes > self._limits.body_bytes
        if transport is None or many == self._paused:
            return
        self._paused = many
        if many:
            transport.pause_reading()
        else:
            self.since_s = self._began_s = self._loop.time()
            transport.resume_reading()

    def _go_on(self) -> None:
        """Nothing is under way: do what comes next, if anything does."""
        reader = self._reader
        gone = self._transport is None or self._transport.is_closing() or self._lingering
        if gone or self.stalled:  # who does not read gets no more to read
            return
        if reader.ready:
            self._task = self._loop.create_task(self._answer(reader.ready.popleft()))
        elif reader.refusal:
            self._send_refusal(reader.refusal)
        elif reader.waits:
            reader.waits = False
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _send_refusal(self, refusal: Refusal) -> None:
        """Refuse what cannot be read on: answered after the requests before it, then closed."""
        answer = Answer(self, Request(keep_alive=False))
        answer.send(refusal.status, openai_error(refusal.status, refusal.message), JSON)
        self._linger()

    def _linger(self) -> None:
        """Close our side, and read what is still coming: a reset would destroy the answer."""
        self._outbox.flush()
        if self._transport is None or self._transport.is_closing():
            return
        self._lingering = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._loop.call_later(self._limits.linger_s, self.close)
        else:
            self.close()

    async def _answer(self, request: Request) -> None:
        answer = Answer(self, request)
        if self._server.draining:
            request.keep_alive = False
        try:
            await self._server.handle(request, answer)
        finally:
            self._task = None
            self._after(request, answer)

    def _after(self, request: Request, answer: Answer) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not answer.ended or not request.keep_alive or self._server.draining:
            self.close()  # an answer without its end must not look like one that has it
            return
        if not self._reader.reading:
            self.since_s = self._loop.time()
        self._go_on()
        if self._paused:
            self._pause_or_resume()
