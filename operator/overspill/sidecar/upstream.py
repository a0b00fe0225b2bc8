"""HTTP/1.1 towards upstreams: pooled connections, every wait bounded.

A connection is used again only after a response that was read to its end.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast
from urllib.parse import urlsplit

import httptools

from overspill.sidecar.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

CONNECT_S: Final = 5.0
SILENCE_S: Final = 300.0
"""The longest pause within an answer; models that think long send pings or comments."""
IDLE_S: Final = 4.0
"""Shorter than the keep-alive of common servers (uvicorn: 5 s), so that they rarely close first."""
HIGH_WATER: Final = 256 * 2**10
READ_OUT_S: Final = 1.0
"""So long after a stream's own end marker may HTTP's end take to come."""
LATENESS_S: Final = 0.002
"""The loop's clock has milliseconds: a timer may come one early."""
HEADER_BYTES: Final = 64 * 2**10
ANSWER_BYTES: Final = 64 * 2**20
"""The longest whole answer: embeddings of a large batch take a third of it."""
STALE_S: Final = 1.0
"""A kept connection that the other side had closed says so at once; later the request was read."""
_RESET: Final = struct.pack("ii", 1, 0)
FOREVER: Final = float("inf")


Sink = Callable[[bytes], bool]
"""Takes bytes; says whether it wants more."""


class UpstreamError(Exception):
    """The upstream did not answer as it should. `kind` is a metric label."""

    def __init__(self, kind: str, message: str, *, stale: bool = False) -> None:
        self.kind = kind
        self.stale = stale
        """A kept connection had been closed by the other side before it saw the request."""
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection goes."""

    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, url: str) -> Origin:
        """Read it from a URL."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if tls else 80), tls)

    @property
    def authority(self) -> str:
        """The `host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class _Connection(asyncio.Protocol):
    """One connection: writes a request, collects the response."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._loop = loop
        self.transport: asyncio.Transport | None = None
        self.idle_since_s = 0.0
        self.used = False
        self._parser = httptools.HttpResponseParser(self)
        """Serves all responses: a connection with anything but whole ones is not used again."""
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._unfinished_bytes = 0
        self._progress = False
        self.sent_s = 0.0
        self.chunks: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._orphan_of: Origin | None = None
        self._sink: Sink | None = None
        self.received = self.head_complete = self.complete = self.reusable = False
        self.failure: UpstreamError | None = None
        self.deadline_s = self.limit_s = FOREVER
        self._overdue = ("timeout", "")
        self._waiter: asyncio.Future[None] | None = None

    # -- asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's: no isinstance here
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.received = True
        if self.complete:  # bytes nobody asked for: what they belong to is unknown
            self.close()
            return
        try:
            self._progress = False
            self._parser.feed_data(data)
            if not self._progress:
                self._bound(len(data))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail("protocol", f"not a valid HTTP response: {error}")
            self.close()
        if self._sink is not None:
            self._pour(self._sink)
        elif self._waiter:
            self._wake()
        elif self._orphan_of is not None:
            self._end_orphan(self._orphan_of)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        del self._parser  # its callbacks hold us: a cycle that the garbage collector would find
        if not self.complete:
            if self.head_complete and exc is None and self._ends_with_connection():
                self.complete = True
            else:
                self._fail("reset", "the upstream closed the connection early")
        self._wake()

    def _ends_with_connection(self) -> bool:
        framed = b"content-length" in self.headers or b"transfer-encoding" in self.headers
        return not framed

    def _bound(self, size: int) -> None:
        """End what only says headers, trailers or chunk sizes: the parser tells of whole ones."""
        self._unfinished_bytes += size
        if self._unfinished_bytes > HEADER_BYTES:
            self._fail("protocol", "the upstream's headers are too large")
            self.close()

    # -- httptools
    def on_header(self, name: bytes, value: bytes) -> None:
        if self.complete:  # a second answer, to nothing that we asked
            self.reusable = False
        elif not self.head_complete:
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self.complete:
            self.reusable = False
            return
        self._progress = True
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self.head_complete = True
        else:
            self.headers.clear()

    def on_body(self, body: bytes) -> None:
        if self.complete:
            return
        self._progress = True
        self.chunks.append(body)
        self._buffered += len(body)
        if self._buffered > HIGH_WATER and self.transport:
            self._paused = True
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.head_complete and not self.complete:
            self.complete = self._progress = True
            self.reusable = self._parser.should_keep_alive()

    # -- use
    def now_s(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    def send(self, head: bytes, body: bytes) -> None:
        assert self.transport
        self.sent_s = self._loop.time()
        self._pool.outbox.write(self.transport, head + body)

    def prepare(self) -> None:
        """Forget the response before."""
        if self.used:
            self._reset()
        self.used = True

    @property
    def orphaned(self) -> bool:
        """Whether nobody waits for the rest."""
        return self._orphan_of is not None

    def take(self) -> bytes:
        """Everything that has arrived of the body."""
        chunks = self.chunks
        data = chunks.popleft() if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered = 0
        self.unpause()
        return data

    def unpause(self) -> None:
        """Read again, where we had stopped."""
        if self._paused and self.transport and not self.transport.is_closing():
            self.transport.resume_reading()
        self._paused = False

    def pour_into(self, sink: Sink | None) -> None:
        """Give what arrives to `sink` at once, until it wants no more."""
        self._sink = sink

    @property
    def pouring(self) -> bool:
        """Whether a sink takes what arrives."""
        return self._sink is not None

    def _pour(self, sink: Sink) -> None:
        if self.chunks and not sink(self.take()):
            self._sink = None
        if self._sink is None or self.complete or self.failure:
            self._wake()
        else:
            self.deadline_s = min(self.limit_s, self._loop.time() + SILENCE_S)

    def pause(self) -> None:
        """Stop reading: whoever gets the answer reads slower than it comes."""
        if self.transport and not self._paused:
            self._paused = True
            self.transport.pause_reading()
            self.deadline_s = self.limit_s  # the silence is our own

    def resume(self) -> None:
        """Read on."""
        if self._paused:
            self.unpause()
            self.due(min(self.limit_s, self.now_s() + SILENCE_S), *self._overdue)

    async def changed(self) -> None:
        """Wait until something arrives. Raises: UpstreamError on failure or past the deadline."""
        if self.failure is None:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.failure is not None and not self.head_complete:
            raise self.failure

    def due(self, deadline_s: float, kind: str, message: str) -> None:
        """Let waits end then."""
        self.deadline_s, self._overdue = deadline_s, (kind, message)
        self._pool.wake_at(deadline_s)

    def check(self, now_s: float) -> None:
        """End a wait that is overdue."""
        if self._orphan_of is not None:
            self._pool.give_back(self._orphan_of, self)
        elif now_s >= self.deadline_s and self._waiter is not None and not self.complete:
            self._fail(*self._overdue)
            self._wake()

    def orphan(self, origin: Origin) -> None:
        """Nobody waits for the rest: read it, so that the connection can serve again."""
        self.chunks.clear()
        self.unpause()
        self._orphan_of = origin
        self.due(self.now_s() + READ_OUT_S, "timeout", "the end did not come")

    def _end_orphan(self, origin: Origin) -> None:
        self.chunks.clear()
        if self.complete:
            self._pool.give_back(origin, self)

    def _fail(self, kind: str, message: str) -> None:
        self.failure = self.failure or UpstreamError(kind, message)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Let go at once. An answer that is not wanted any more is cut by a reset.

        After a plain close the kernel would keep the port for a minute: 470 clients a second that
        leave midway would use up all there are.
        """
        if not self.transport or self.transport.is_closing():
            return
        if self.used and not self.complete and (peer := self.transport.get_extra_info("socket")):
            with suppress(OSError):
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


class Response:
    """A response being read. Leaving the context early closes the upstream at once."""

    __slots__ = ("_connection", "_deadline_s", "_origin", "_pool", "first_byte_s")

    def __init__(
        self,
        pool: Pool,
        origin: Origin,
        connection: _Connection,
        deadline_s: float,
        first_byte_s: float,
    ) -> None:
        self._pool, self._origin, self._connection = pool, origin, connection
        self._deadline_s = deadline_s
        self.first_byte_s = first_byte_s
        """Until when something must have come that the client can be given."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Keep the connection if the response was read to its end, else cut it."""
        self._pool.give_back(self._origin, self._connection)

    def finish(self) -> None:
        """The protocol within has ended: what HTTP still owes is read without anybody waiting."""
        if self._connection.complete or self._connection.failure:
            self.close()
        else:
            self._connection.orphan(self._origin)

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._connection.status

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Headers, names in lower case."""
        return self._connection.headers

    @property
    def at_end(self) -> bool:
        """Whether everything has arrived and been read."""
        connection = self._connection
        return connection.complete and not connection.chunks

    async def read(self, silence_s: float = SILENCE_S) -> bytes:
        """Return what has arrived next; empty at the end. Raises: UpstreamError."""
        connection = self._connection
        while not connection.chunks:
            if connection.complete:
                return b""
            if connection.failure:
                raise connection.failure
            self.bound(silence_s)
            await connection.changed()
        return connection.take()

    def bound(self, silence_s: float = SILENCE_S) -> None:
        """Let the next wait end at the first of all limits."""
        connection = self._connection
        end_s = connection.now_s() + silence_s
        if self.first_byte_s < end_s and self.first_byte_s < self._deadline_s:
            connection.due(self.first_byte_s, "first_token", "no token in time")
        elif end_s < self._deadline_s:
            connection.due(end_s, "timeout", f"nothing came for {silence_s:g} s")
        else:
            connection.due(self._deadline_s, "deadline", "the request took longer than it may")

    async def pour_into(self, sink: Sink) -> None:
        """Give all that arrives to `sink`, until the end or until it wants no more.

        The bytes do not pass through a task on their way: a stream's event costs a third of what
        waiting for each costs. Raises: UpstreamError.
        """
        connection = self._connection
        connection.limit_s = self._deadline_s
        wants_more = sink(connection.take()) if connection.chunks else True
        if not wants_more or connection.complete:
            return
        connection.pour_into(sink)
        try:
            self.bound()
            while connection.pouring and not connection.complete:
                await connection.changed()
                if connection.failure and connection.pouring:
                    raise connection.failure
        finally:
            connection.pour_into(None)

    def pause(self) -> None:
        """Stop reading until `resume`."""
        self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        self._connection.resume()

    async def read_all(self) -> bytes:
        """Return the whole body. Raises: UpstreamError."""
        first = await self.read()
        if self.at_end:
            return first
        parts, size = [first], len(first)
        while part := await self.read():
            parts.append(part)
            size += len(part)
            if size > ANSWER_BYTES:
                raise UpstreamError("protocol", f"the answer is longer than {ANSWER_BYTES} bytes")
        return b"".join(parts)

    async def read_some(self, size: int, within_s: float) -> bytes:
        """Return the first `size` bytes of the body, or what of them came in time."""
        parts, end_s = b"", self._connection.now_s() + within_s
        with suppress(UpstreamError):
            while len(parts) < size and (left_s := end_s - self._connection.now_s()) > 0:
                part = await self.read(left_s)
                if not part:
                    break
                parts += part
        return parts[:size]


class Pool:
    """Connections to all upstreams of a sidecar."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """`tls` says whom to trust; None for whoever the system trusts."""
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox()
        self._idle: dict[Origin, list[_Connection]] = {}
        self._busy: set[_Connection] = set()
        self._tls = tls
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_s = FOREVER

    async def post(
        self,
        origin: Origin,
        head: bytes,
        body: bytes,
        *,
        deadline_s: float = FOREVER,
        first_byte_s: float = FOREVER,
    ) -> Response:
        """Send a request and wait for the response's head.

        `head` ends with all headers but the body's length. `deadline_s` bounds the whole answer,
        `first_byte_s` its beginning; both in the loop's time. Raises: UpstreamError.
        """
        connection = self._take_idle(origin)
        try:
            if connection is not None:
                return await self._ask(connection, origin, head, body, deadline_s, first_byte_s)
        except UpstreamError as error:
            if not error.stale:
                raise
        connection = await self._connect(origin, deadline_s, first_byte_s)
        return await self._ask(connection, origin, head, body, deadline_s, first_byte_s)

    async def _ask(
        self,
        connection: _Connection,
        origin: Origin,
        head: bytes,
        body: bytes,
        deadline_s: float,
        first_byte_s: float,
    ) -> Response:
        reused = connection.used
        connection.prepare()
        self._busy.add(connection)
        connection.send(b"%bcontent-length: %d\r\n\r\n" % (head, len(body)), body)
        response = Response(self, origin, connection, deadline_s, first_byte_s)
        response.bound()
        try:
            while not connection.head_complete:
                await connection.changed()
        except UpstreamError as error:
            self._drop(connection)
            soon = connection.now_s() - connection.sent_s < STALE_S
            silent = error.kind == "reset" and not connection.received
            error.stale = reused and silent and soon
            raise
        except BaseException:
            self._drop(connection)
            raise
        return response

    def _take_idle(self, origin: Origin) -> _Connection | None:
        idle = self._idle.get(origin)
        if not idle:
            return None
        now_s = self._loop.time()
        while idle:
            connection = idle.pop()
            assert connection.transport
            if not connection.transport.is_closing() and now_s - connection.idle_since_s < IDLE_S:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: Origin, deadline_s: float, first_byte_s: float) -> _Connection:
        context = self._context() if origin.tls else None
        loop = self._loop
        limits = ((CONNECT_S, "connect"), (first_byte_s - loop.time(), "first_token"))
        wait_s, overdue = min(*limits, (deadline_s - loop.time(), "deadline"))
        try:
            async with asyncio.timeout(wait_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, loop), origin.host, origin.port, ssl=context
                )
        except TimeoutError:
            raise UpstreamError(overdue, f"no connection within {wait_s:.3g} s") from None
        except ssl.SSLError as error:
            raise UpstreamError("tls", f"TLS failed: {error}") from None
        except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
            raise UpstreamError("connect", f"cannot connect: {error}") from None
        return connection

    def _context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context()
        return self._tls

    def give_back(self, origin: Origin, connection: _Connection) -> None:
        """Take back a connection whose response is done with."""
        self._busy.discard(connection)
        connection.unpause()
        transport = connection.transport
        if (
            connection.complete
            and connection.reusable
            and (not connection.chunks or connection.orphaned)
            and transport
            and not transport.is_closing()
        ):
            connection.idle_since_s = connection.now_s()
            self._idle.setdefault(origin, []).append(connection)
            self.wake_at(connection.idle_since_s + IDLE_S)
        else:
            connection.close()

    def _drop(self, connection: _Connection) -> None:
        self._busy.discard(connection)
        connection.close()

    # -- deadlines: one timer for all, set anew only where one is due before all others
    def wake_at(self, deadline_s: float) -> None:
        """Look at all deadlines then, at the latest."""
        if deadline_s >= self._wakes_s or deadline_s == FOREVER:
            return
        if self._timer:
            self._timer.cancel()
        self._wakes_s = deadline_s
        self._timer = self._loop.call_at(deadline_s + LATENESS_S, self._look)

    def _look(self) -> None:
        self._timer, self._wakes_s = None, FOREVER
        now_s = self._loop.time()
        first_s = FOREVER
        for connection in list(self._busy):
            if now_s >= connection.deadline_s:
                connection.check(now_s)
            elif connection.deadline_s < first_s:
                first_s = connection.deadline_s
        for idle in self._idle.values():
            while idle and now_s - idle[0].idle_since_s >= IDLE_S:
                idle.pop(0).close()
            if idle:
                first_s = min(first_s, idle[0].idle_since_s + IDLE_S)
        self.wake_at(first_s)

    def keep_only(self, origins: Collection[Origin]) -> None:
        """Close idle connections to everybody else."""
        for origin in [known for known in self._idle if known not in origins]:
            for connection in self._idle.pop(origin):
                connection.close()

    def close(self) -> None:
        """Close all idle connections."""
        if self._timer:
            self._timer.cancel()
        self.keep_only(())
