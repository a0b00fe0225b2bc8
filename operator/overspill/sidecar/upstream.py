"""HTTP/1.1 towards upstreams: pooled connections, every wait bounded.

A connection is used again only after a response that was read to its end.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast
from urllib.parse import urlsplit

import httptools

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

CONNECT_S: Final = 5.0
SILENCE_S: Final = 300.0
IDLE_S: Final = 4.0
"""Shorter than the keep-alive of common servers (uvicorn: 5 s), so that they rarely close first."""
HIGH_WATER: Final = 256 * 2**10


class UpstreamError(Exception):
    """The upstream did not answer as it should. `kind` is a metric label."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
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

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.idle_since_s = 0.0
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.chunks: deque[bytes] = deque()
        self._buffered = 0
        self.head_complete = self.complete = self.reusable = False
        self.failure: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's: no isinstance here

        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.complete:  # bytes nobody asked for: what they belong to is unknown
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail("protocol", f"not a valid HTTP response: {error}")
            self.close()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if not self.complete:
            if self.head_complete and self._ends_with_connection():
                self.complete = True
            else:
                self._fail("reset", "the upstream closed the connection early")
        self._wake()

    def _ends_with_connection(self) -> bool:
        framed = b"content-length" in self.headers or b"transfer-encoding" in self.headers
        return not framed

    # -- httptools
    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self.head_complete = True
        else:
            self.headers.clear()

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)
        self._buffered += len(body)
        if self._buffered > HIGH_WATER and self.transport:
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.head_complete:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()

    # -- use
    def send(self, data: bytes) -> None:
        self._reset()
        assert self.transport
        self.transport.write(data)

    def take(self) -> bytes:
        """Everything that has arrived of the body."""
        data = self.chunks.popleft() if len(self.chunks) == 1 else b"".join(self.chunks)
        self.chunks.clear()
        if self._buffered > HIGH_WATER and self.transport:
            self.transport.resume_reading()
        self._buffered = 0
        return data

    async def changed(self, timeout_s: float) -> None:
        """Wait until something arrives. Raises: UpstreamError on failure or silence."""
        if self.failure:
            raise self.failure
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._waiter
        except TimeoutError:
            raise UpstreamError("timeout", f"no answer within {timeout_s:g} s") from None
        finally:
            self._waiter = None

    def _fail(self, kind: str, message: str) -> None:
        self.failure = self.failure or UpstreamError(kind, message)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        if self.transport:
            self.transport.abort()


class Response:
    """A response being read. Leaving the context early closes the upstream at once."""

    def __init__(self, pool: Pool, origin: Origin, connection: _Connection) -> None:
        self._pool, self._origin, self._connection = pool, origin, connection

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

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._connection.status

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Headers, names in lower case."""
        return self._connection.headers

    async def read(self, timeout_s: float = SILENCE_S) -> bytes:
        """Return what has arrived next; empty at the end. Raises: UpstreamError."""
        connection = self._connection
        while not connection.chunks:
            if connection.complete:
                return b""
            await connection.changed(timeout_s)
        return connection.take()

    async def read_all(self, timeout_s: float = SILENCE_S) -> bytes:
        """Return the whole body. Raises: UpstreamError."""
        parts = []
        while part := await self.read(timeout_s):
            parts.append(part)
        return b"".join(parts)


class Pool:
    """Connections to all upstreams of a sidecar."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    async def post(
        self,
        origin: Origin,
        path: str,
        headers: dict[str, str],
        body: bytes,
        timeout_s: float = SILENCE_S,
    ) -> Response:
        """Send a request and wait for the response's head. Raises: UpstreamError."""
        connection = self._take_idle(origin) or await self._connect(origin)
        lines = [f"POST {path} HTTP/1.1", f"host: {origin.authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}", "", ""]
        connection.send("\r\n".join(lines).encode("latin-1") + body)
        response = Response(self, origin, connection)
        try:
            while not connection.head_complete:
                await connection.changed(timeout_s)
        except BaseException:
            connection.close()
            raise
        return response

    def _take_idle(self, origin: Origin) -> _Connection | None:
        now_s = asyncio.get_running_loop().time()
        idle = self._idle.get(origin, [])
        while idle:
            connection = idle.pop()
            assert connection.transport
            if not connection.transport.is_closing() and now_s - connection.idle_since_s < IDLE_S:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: Origin) -> _Connection:
        context = self._context() if origin.tls else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, connection = await loop.create_connection(
                    _Connection, origin.host, origin.port, ssl=context
                )
        except TimeoutError:
            raise UpstreamError("connect", f"no connection within {CONNECT_S:g} s") from None
        except ssl.SSLError as error:
            raise UpstreamError("tls", f"TLS failed: {error}") from None
        except OSError as error:
            raise UpstreamError("connect", f"cannot connect: {error}") from None
        return connection

    def _context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context()
        return self._tls

    def give_back(self, origin: Origin, connection: _Connection) -> None:
        """Take back a connection whose response is done with."""
        transport = connection.transport
        if connection.complete and connection.reusable and transport and not transport.is_closing():
            connection.idle_since_s = asyncio.get_running_loop().time()
            self._idle.setdefault(origin, []).append(connection)
        else:
            connection.close()

    def keep_only(self, origins: Collection[Origin]) -> None:
        """Close idle connections to everybody else."""
        for origin in [known for known in self._idle if known not in origins]:
            for connection in self._idle.pop(origin):
                connection.close()

    def close(self) -> None:
        """Close all idle connections."""
        self.keep_only(())
