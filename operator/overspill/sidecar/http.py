"""HTTP/1.1 towards clients: protocol callbacks around httptools, no framework.

One connection answers one request at a time, in order; further pipelined requests wait. When the
client goes, the task that answers it is cancelled, and with it whatever it waits for upstream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, cast

import httptools

from overspill.wire.errors import openai_error

if TYPE_CHECKING:
    from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]
JSON: Final[Headers] = [(b"content-type", b"application/json")]

_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_LONGEST_PIPELINE: Final = 8
_OFFER: Final = frozenset({b"upgrade", b"connection", b"http2-settings"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may send."""

    body_bytes: int = 32 * 2**20
    header_bytes: int = 64 * 2**10
    idle_s: float = 75.0
    """An open connection without a request is closed after this."""


@dataclass(slots=True)
class Request:
    """A whole request. Header names are lower case."""

    method: str = ""
    target: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    keep_alive: bool = True
    chunked_ok: bool = True

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.target.partition(b"?")[0].decode("latin-1")

    def header(self, name: str) -> str | None:
        """Value of a header."""
        value = self.headers.get(name.lower().encode("latin-1", "replace"))
        return None if value is None else value.decode("latin-1")


class Server(Protocol):
    """What a connection needs to know of the server it belongs to."""

    limits: Limits
    draining: bool
    connections: set[Connection]

    async def handle(self, request: Request, answer: Answer) -> None:
        """Answer one request."""


class Answer:
    """The response to one request: whole, or started and then written piece by piece."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection, self._request = connection, request
        self._chunked = False
        self.started = False
        self.status = 0
        self.ended = False

    def send(self, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Send a whole response."""
        length = (b"content-length", str(len(body)).encode())
        self._head(status, [*headers, length])
        self._connection.write(b"" if self._request.method == "HEAD" else body)
        self.ended = True

    def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Begin a response of unknown length."""
        self._chunked = self._request.chunked_ok
        extra = [(b"transfer-encoding", b"chunked")] if self._chunked else []
        if not self._chunked:
            self._request.keep_alive = False
        self._head(status, [*headers, *extra])

    async def write(self, data: bytes) -> None:
        """Write a piece; wait while the client reads slower than we write."""
        if not data:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._connection.write(data)
        await self._connection.drained()

    def end(self) -> None:
        """End a response that was started."""
        if self._chunked:
            self._connection.write(b"0\r\n\r\n")
        self.ended = True

    def _head(self, status: int, headers: Headers) -> None:
        self.started, self.status = True, status
        lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b"Unknown"))]
        lines += [name + b": " + value for name, value in headers]
        if not self._request.keep_alive:
            lines.append(b"connection: close")
        self._connection.write(b"\r\n".join(lines) + b"\r\n\r\n")


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._header_bytes = 0
        self._refusal: tuple[int, str] | None = None
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._idle: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    # -- asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports do not inherit from asyncio's: no isinstance here

        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: stop working for it."""
        self._server.connections.discard(self)
        self._waiting.clear()
        self._can_write.set()
        if self._idle:
            self._idle.cancel()
        if self._task:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came in."""
        if self._refusal:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            if not self._refusal:
                self._refuse(400, f"not a valid HTTP/1.1 request: {error}")
        self._next()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._can_write.set()

    # -- httptools
    def on_message_begin(self) -> None:
        """A new request starts."""
        self._request = Request()
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        self._request.target += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; several of one name are joined, as RFC 9110 has it."""
        name = name.lower()
        headers = self._request.headers
        headers[name] = headers[name] + b", " + value if name in headers else value
        self._count_header(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        """Check the announced length, and let a waiting client go on."""
        request = self._request
        request.method = self._parser.get_method().decode()
        request.keep_alive = self._parser.should_keep_alive()
        request.chunked_ok = self._parser.get_http_version() != "1.0"
        length = request.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._server.limits.body_bytes:
            self._too_large()
        elif request.headers.get(b"expect", b"").lower() == b"100-continue" and not self._task:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._request.body += body
        if len(self._request.body) > self._server.limits.body_bytes:
            self._too_large()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._refusal:
            return
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
        if not self._can_write.is_set():
            await self._can_write.wait()

    def close(self) -> None:
        """Close after what was written has gone out."""
        if self._transport:
            self._transport.close()

    def close_if_idle(self) -> None:
        """Close where no request is under way."""
        if self._task is None and not self._waiting:
            self.close()

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._task is not None or bool(self._waiting)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1, as RFC 9110 allows: Java's client offers h2c with its first request.

        The parser ends such a request before its body, so its head is parsed again without the
        offer, and the body with it.
        """
        if self._refusal or not self._waiting:
            return
        request = self._waiting.pop()
        if request.method == "CONNECT":
            self._refuse(400, "this is no forward proxy: CONNECT is not served")
            return
        lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.target)]
        kept = (item for item in request.headers.items() if item[0] not in _OFFER)
        lines += [name + b": " + value for name, value in kept]
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._server.limits.header_bytes and not self._refusal:
            self._refuse(431, "the request's headers are too large")

    def _too_large(self) -> None:
        if not self._refusal:
            limit = self._server.limits.body_bytes
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
        self.close()

    def _next(self) -> None:
        if self._task is not None or not self._waiting:
            return
        if self._idle:
            self._idle.cancel()
        request = self._waiting.popleft()
        self._task = asyncio.get_running_loop().create_task(self._answer(request))

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
        if self._transport is None or self._transport.is_closing():
            return
        if not answer.ended or not request.keep_alive or self._server.draining:
            self.close()  # an answer without its end must not look like one that has it
        elif self._refusal and not self._waiting:
            self._send_refusal()
        else:
            self._transport.resume_reading()
            self._await_request()
            self._next()

    def _await_request(self) -> None:
        loop = asyncio.get_running_loop()
        if self._idle:
            self._idle.cancel()
        self._idle = loop.call_later(self._server.limits.idle_s, self.close_if_idle)
