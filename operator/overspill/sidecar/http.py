"""HTTP/1.1 towards clients: protocol callbacks around httptools, no framework.

One connection answers one request at a time, in order; further pipelined requests wait. When the
client goes, the task that answers it is cancelled, and with it whatever it waits for upstream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, cast

import httptools

from overspill.wire.errors import openai_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Headers = list[tuple[bytes, bytes]]
JSON: Final[Headers] = [(b"content-type", b"application/json")]

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}
_LONGEST_PIPELINE: Final = 8
_OFFER: Final = frozenset({b"upgrade", b"connection", b"http2-settings"})
_HEADER_OVERHEAD: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may send, and how long it may take."""

    body_bytes: int = 32 * 2**20
    header_bytes: int = 64 * 2**10
    idle_s: float = 75.0
    """An open connection without a request is closed after this."""
    header_s: float = 30.0
    """From the first byte of a request to the end of its head."""
    body_stall_s: float = 30.0
    """The longest pause within a body."""
    write_stall_s: float = 60.0
    """The longest time a client may read nothing of what waits for it."""
    linger_s: float = 2.0
    """How long we read on, and throw away, so that a refusal is not lost to a reset."""


class Request:
    """A whole request. Header names are lower case."""

    __slots__ = ("body", "chunked_ok", "headers", "keep_alive", "method", "path", "target")

    def __init__(self, *, keep_alive: bool = True) -> None:
        self.method = b""
        self.target = b""
        self.path = b""
        """The target without its query."""
        self.headers: dict[bytes, bytes] = {}
        self.body: bytes | bytearray = b""
        self.keep_alive = keep_alive
        self.chunked_ok = True

    def header(self, name: str) -> str | None:
        """Value of a header."""
        value = self.headers.get(name.lower().encode("latin-1", "replace"))
        return None if value is None else value.decode("latin-1")


class Server(Protocol):
    """What a connection needs to know of the server it belongs to."""

    limits: Limits
    draining: bool
    connections: Connections

    async def handle(self, request: Request, answer: Answer) -> None:
        """Answer one request."""


class Connections(set["Connection"]):
    """All open connections of a server, and the clock that ends those that take too long.

    One timer looks at all of them, so that limits end a little late: a timer of its own for each
    would be set and cancelled with every request.
    """

    EVERY_S: Final = 5.0

    def __init__(self) -> None:
        super().__init__()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        """Take one more."""
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


class Answer:
    """The response to one request: whole, or started and then written piece by piece."""

    __slots__ = ("_chunked", "_connection", "_request", "ended", "started", "status")

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection, self._request = connection, request
        self._chunked = False
        self.started = False
        self.status = 0
        self.ended = False

    def send(self, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Send a whole response."""
        head = self._head(status, headers, b"content-length: %d\r\n\r\n" % len(body))
        self._connection.write(head if self._request.method == b"HEAD" else head + body)
        self.ended = True

    def start(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes = b"") -> None:
        """Begin a response of unknown length, with the first piece of its body."""
        self._chunked = self._request.chunked_ok
        if self._chunked:
            last = b"transfer-encoding: chunked\r\n\r\n"
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        else:
            last = b"\r\n"
            self._request.keep_alive = False
        self._connection.write(self._head(status, headers, last) + body)

    def push(self, data: bytes) -> bool:
        """Write a piece; say whether the client keeps up with what is written."""
        connection = self._connection
        if data:
            connection.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        return connection.stalled_s is None

    def when_drained(self, call: Callable[[], None]) -> None:
        """Call this once the client has caught up."""
        self._connection.when_drained = call

    async def write(self, data: bytes) -> None:
        """Write a piece; wait while the client reads slower than we write."""
        if not self.push(data):
            await self._connection.drained()

    def end(self) -> None:
        """End a response that was started."""
        if self._chunked:
            self._connection.write(b"0\r\n\r\n")
        self.ended = True

    def _head(self, status: int, headers: Iterable[tuple[bytes, bytes]], last: bytes) -> bytes:
        self.started, self.status = True, status
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status]
        lines += [b"%b: %b\r\n" % pair for pair in headers]
        if not self._request.keep_alive or self._connection.closing:
            lines.append(b"connection: close\r\n")
        lines.append(last)
        return b"".join(lines)


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._limits = server.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._header_bytes = 0
        self._reading = False
        self._head_done = False
        self._since_s = 0.0
        """When what we wait for began: idleness, a request's head, the last part of its body."""
        self._refusal: tuple[int, str] | None = None
        self._lingering = False
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._can_write: asyncio.Future[None] | None = None
        self.stalled_s: float | None = None
        """Since when the client reads too slowly."""
        self.when_drained: Callable[[], None] | None = None
        self._transport: asyncio.Transport | None = None

    # -- asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports do not inherit from asyncio's: no isinstance here
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)
        self._since_s = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: stop working for it."""
        self._server.connections.discard(self)
        self._waiting.clear()
        self.resume_writing()
        if self._task:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came in."""
        if self._refusal:
            return
        if self._head_done or not self._reading:  # a head has one time limit in all
            self._since_s = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            if not self._refusal:
                self._refuse(400, f"not a valid HTTP/1.1 request: {error}")
        if self._task is None and self._waiting:
            self._next()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.stalled_s = self._loop.time()
        self._can_write = self._loop.create_future()

    def resume_writing(self) -> None:
        """The client caught up."""
        self.stalled_s = None
        if self._can_write and not self._can_write.done():
            self._can_write.set_result(None)
        if self.when_drained:
            self.when_drained()
            self.when_drained = None

    # -- httptools
    def on_message_begin(self) -> None:
        """A new request starts."""
        self._request = Request()
        self._header_bytes = 0
        self._reading, self._head_done = True, False

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        self._request.target += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; several of one name are joined, as RFC 9110 has it."""
        name = name.lower()
        headers = self._request.headers
        headers[name] = headers[name] + b", " + value if name in headers else value
        self._header_bytes += len(name) + len(value) + _HEADER_OVERHEAD
        if self._header_bytes > self._limits.header_bytes:
            self._count_header(0)

    def on_headers_complete(self) -> None:
        """Check the announced length, and let a waiting client go on."""
        request = self._request
        request.method = self._parser.get_method()
        request.path = request.target.partition(b"?")[0]
        request.keep_alive = self._parser.should_keep_alive()
        request.chunked_ok = self._parser.get_http_version() != "1.0"
        self._head_done = True
        length = request.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._limits.body_bytes:
            self._too_large()
        elif (
            b"expect" in request.headers
            and request.headers[b"expect"].lower() == b"100-continue"
            and not self._task
        ):
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        request = self._request
        if not request.body:
            request.body = body
        else:
            if isinstance(request.body, bytes):
                request.body = bytearray(request.body)
            request.body += body
        if len(request.body) > self._limits.body_bytes:
            self._too_large()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._refusal:
            return
        self._reading = False
        self._waiting.append(self._request)
        if len(self._waiting) >= _LONGEST_PIPELINE and self._transport:
            self._transport.pause_reading()

    # -- answering
    def write(self, data: bytes) -> None:
        """Hand bytes to the transport."""
        if self._transport and data:
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has read enough."""
        if self.stalled_s is not None and self._can_write:
            await self._can_write

    def close(self) -> None:
        """Close after what was written has gone out."""
        if self._transport:
            self._transport.close()

    def close_if_idle(self) -> None:
        """Close where no request is under way, nor one coming in."""
        if not self.busy and not self._reading:
            self.close()

    @property
    def closing(self) -> bool:
        """Whether the server ends its connections."""
        return self._server.draining

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._task is not None or bool(self._waiting)

    def check(self, now_s: float) -> None:
        """End what has taken too long."""
        limits, waited_s = self._limits, now_s - self._since_s
        if self.stalled_s is not None and now_s - self.stalled_s > limits.write_stall_s:
            if self._transport:
                self._transport.abort()
        elif self._reading and not self._refusal:
            if waited_s > (limits.body_stall_s if self._head_done else limits.header_s):
                self._refuse(408, "the request did not arrive in time")
        elif not self.busy and not self._lingering and waited_s > limits.idle_s:
            self.close()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1, as RFC 9110 allows: Java's client offers h2c with its first request.

        The parser ends such a request before its body, so its head is parsed again without the
        offer, and the body with it.
        """
        if self._refusal or not self._waiting:
            return
        request = self._waiting.pop()
        if request.method == b"CONNECT":
            self._refuse(400, "this is no forward proxy: CONNECT is not served")
            return
        lines = [b"%b %b HTTP/1.1" % (request.method, request.target)]
        kept = (item for item in request.headers.items() if item[0] not in _OFFER)
        lines += [name + b": " + value for name, value in kept]
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._limits.header_bytes and not self._refusal:
            self._refuse(431, "the request's headers are too large")

    def _too_large(self) -> None:
        if not self._refusal:
            limit = self._limits.body_bytes
            self._refuse(413, f"the request's body is larger than {limit} bytes")

    def _refuse(self, status: int, message: str) -> None:
        """Refuse what cannot be read on: answered after the requests before it, then closed."""
        self._refusal = (status, message)
        if not self.busy:
            self._send_refusal()

    def _send_refusal(self) -> None:
        assert self._refusal
        status, message = self._refusal
        answer = Answer(self, Request(keep_alive=False))
        answer.send(status, openai_error(status, message), JSON)
        self._linger()

    def _linger(self) -> None:
        """Close our side, and read what is still coming: a reset would destroy the answer."""
        if self._transport is None or self._transport.is_closing():
            return
        self._lingering = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._loop.call_later(self._limits.linger_s, self.close)
        else:
            self.close()

    def _next(self) -> None:
        self._task = self._loop.create_task(self._answer(self._waiting.popleft()))

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
        elif self._waiting:
            transport.resume_reading()
            self._next()
        elif self._refusal:
            self._send_refusal()
        elif not self._reading:
            self._since_s = self._loop.time()
