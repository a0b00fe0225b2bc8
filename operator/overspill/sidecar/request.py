"""Requests as clients send them: bytes in, requests out. Owns no socket.

httptools cuts HTTP/1.1; what its parser takes and a server must not is refused here.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

import httptools

VERSIONS: Final = ("1.1", "1.0")
_HEADER_OVERHEAD: Final = 4
_HEADERS_TOO_LARGE: Final = "the request's headers are too large"
_HOST: Final = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::\d*)?")
_ORIGIN: Final = re.compile(rb"https?://[^/?#]+", re.IGNORECASE)
_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may send, and how long it may take."""

    body_bytes: int = 32 * 2**20
    header_bytes: int = 64 * 2**10
    pipelined: int = 2**14
    """Whole requests that may wait behind the one that is answered."""
    idle_s: float = 75.0
    """An open connection without a request is closed after this."""
    header_s: float = 30.0
    """From the first byte of a request to the end of its head."""
    body_stall_s: float = 30.0
    """The longest pause within a body."""
    request_s: float = 600.0
    """From the first byte of a request to its last."""
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
        """The target without origin and query."""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.keep_alive = keep_alive
        self.chunked_ok = True

    def header(self, name: str) -> str | None:
        """Value of a header."""
        value = self.headers.get(name.lower().encode("latin-1", "replace"))
        return None if value is None else value.decode("latin-1")


class Refusal(NamedTuple):
    """Why nothing more is read of a client."""

    status: int
    message: str


class _Refused(Exception):
    """Stops the parser; the refusal says why."""


class RequestReader:
    """Cuts what a client sends into requests."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._header_bytes = 0
        self._unfinished_bytes = 0
        self._body = bytearray()
        """What came of a body after its first part. Kept one by one, small parts take 20 times
        their size."""
        self._body_bytes = 0
        self._progress = False
        self.ready: deque[Request] = deque()
        """Whole requests that nobody has taken yet."""
        self.refusal: Refusal | None = None
        """It ends what can be read: requests that came before it are still to be answered."""
        self.reading = False
        """A request has begun and is not whole."""
        self.head_done = False
        """Of the request being read, the head is whole."""
        self.waits = False
        """The client sends a body once it is told to go on: `expect: 100-continue`."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes, cut anywhere."""
        while data and self.refusal is None:
            try:
                self._progress = False
                self._parser.feed_data(data)
                if self.reading:
                    self._bound(len(data))
                return
            except httptools.HttpParserUpgrade as offer:
                data = self._without_offer() + data[offer.args[0] :]
            except httptools.HttpParserError as error:
                if self.refusal is None:
                    self.refusal = Refusal(400, f"not a valid HTTP/1.1 request: {error}")

    def close(self) -> None:
        """Nothing more will come: let go of the parser, whose callbacks hold us.

        Such a cycle for each connection would be left to the garbage collector.
        """
        self.ready.clear()
        del self._parser

    # -- httptools
    def on_message_begin(self) -> None:
        """A new request starts."""
        self._request = Request()
        self._header_bytes = self._unfinished_bytes = self._body_bytes = 0
        self._progress = True
        self.reading, self.head_done, self.waits = True, False, False

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        self._request.target += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; several of one name are joined, as RFC 9110 has it."""
        self._header_bytes += len(name) + len(value) + _HEADER_OVERHEAD
        if self._header_bytes > self._limits.header_bytes:
            self._count_header(0)
        if self.head_done:  # a trailer: RFC 9110, 6.5.1 keeps it apart from the headers
            return
        name = name.lower()
        headers = self._request.headers
        if name not in headers:
            headers[name] = value
        elif name == b"host":
            self._refuse(400, "host: given twice")
        else:
            headers[name] += b", " + value

    def on_headers_complete(self) -> None:
        """Check what the parser does not, and whether the client waits to be told to go on."""
        request, parser = self._request, self._parser
        headers = request.headers
        request.method = parser.get_method()
        request.path = _path(request.target)
        request.chunked_ok = self._check_version() == VERSIONS[0]
        # RFC 9112, C.2.2: HTTP/1.0 would have to be told that its connection stays
        request.keep_alive = request.chunked_ok and parser.should_keep_alive()
        self.head_done = self._progress = True
        self._check_host(headers.get(b"host"))
        if request.method == b"CONNECT":
            self._refuse(400, "this is no forward proxy: CONNECT is not served")
        if b"transfer-encoding" in headers:
            codings = [one for one in _tokens(headers[b"transfer-encoding"]) if one]
            if codings != [b"chunked"]:
                self._refuse(501, "transfer-encoding: only `chunked` is understood")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._limits.body_bytes:
            self._too_large()
        if b"expect" in headers and request.chunked_ok:
            self.waits = headers[b"expect"].lower() == b"100-continue"

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self.waits, self._progress = False, True
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._too_large()
        request = self._request
        if not request.body:  # nearly every body comes in one part, and is not copied
            request.body = body
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.reading = self.waits = False
        if self._body:
            self._request.body += self._body
            self._body = bytearray()
        self.ready.append(self._request)
        if len(self.ready) > self._limits.pipelined:
            self._refuse(400, "too many requests at once: wait for their answers")

    @property
    def ready_bytes(self) -> int:
        """Size of the bodies that nobody has taken yet."""
        return sum(len(request.body) for request in self.ready)

    # -- refusing
    def _bound(self, size: int) -> None:
        """Refuse a header, trailer or chunk size without an end: the parser tells of whole ones."""
        self._unfinished_bytes = 0 if self._progress else self._unfinished_bytes + size
        if self._unfinished_bytes > self._limits.header_bytes:
            self.refusal = Refusal(431, _HEADERS_TOO_LARGE)

    def _check_version(self) -> str:
        version: str = self._parser.get_http_version()
        if version not in VERSIONS:
            self._refuse(400, f"HTTP/{version} is not served; HTTP/1.1 is")
        return version

    def _check_host(self, host: bytes | None) -> None:
        """RFC 9112, 3.2: exactly one valid `host`, but for HTTP/1.0."""
        if host is None:
            if self._request.chunked_ok:
                self._refuse(400, "host: missing")
        elif not _HOST.fullmatch(host):
            self._refuse(400, "host: not a name or address with a port")

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._limits.header_bytes:
            self._refuse(431, _HEADERS_TOO_LARGE)

    def _too_large(self) -> NoReturn:
        self._refuse(413, f"the request's body is larger than {self._limits.body_bytes} bytes")

    def _refuse(self, status: int, message: str) -> NoReturn:
        self.refusal = Refusal(status, message)
        raise _Refused

    # -- upgrades
    def _without_offer(self) -> bytes:
        """Write the last head again without its offer to upgrade, and parse it anew.

        RFC 9110, 7.8 lets a server ignore the offer (Java's client makes one, for h2c, with its
        first request). The parser ends such a request before its body.
        """
        request = self.ready.pop()
        version = self._parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (request.method, request.target, version)]
        for name, value in request.headers.items():
            if name == b"connection":
                kept = [one for one in _tokens(value) if one and one not in _OFFER]
                lines.append(b"connection: " + b", ".join(kept))
            elif name not in _OFFER:
                lines.append(name + b": " + value)
        self._parser = httptools.HttpRequestParser(self)
        return b"\r\n".join(lines) + b"\r\n\r\n"


def _path(target: bytes) -> bytes:
    """Return the path; RFC 9112, 3.2.2 has servers take a whole URL too."""
    if not target.startswith(b"/"):
        target = _ORIGIN.sub(b"", target, count=1)
    return target.partition(b"?")[0]


def _tokens(value: bytes) -> list[bytes]:
    """The elements of a list, in lower case."""
    return [one.strip(b" \t").lower() for one in value.split(b",")]
