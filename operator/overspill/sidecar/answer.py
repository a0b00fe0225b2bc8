"""The response to one request, as HTTP/1.1."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from overspill.sidecar.http import Connection
    from overspill.sidecar.request import Request

JSON: Final = b"content-type: application/json\r\n"
"""Headers are passed on as their lines: most are the same for every answer."""

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}


class Answer:
    """The response to one request: whole, or started and then written piece by piece."""

    __slots__ = ("_chunked", "_connection", "_request", "ended", "started", "status")

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection, self._request = connection, request
        self._chunked = False
        self.started = False
        self.status = 0
        self.ended = False

    def send(self, status: int, body: bytes, headers: bytes = b"") -> None:
        """Send a whole response."""
        head = self._head(status, headers, b"content-length: %d\r\n\r\n" % len(body))
        self._connection.write(head if self._request.method == b"HEAD" else head + body)
        self.ended = True

    def start(self, status: int, headers: bytes, body: bytes = b"") -> None:
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
        return not connection.stalled

    def when_drained(self, call: Callable[[], None] | None) -> None:
        """Call this once the client has caught up; None forgets it."""
        self._connection.when_drained = call

    def end(self) -> None:
        """End a response that was started."""
        if self._chunked:
            self._connection.write(b"0\r\n\r\n")
        self.ended = True

    def _head(self, status: int, headers: bytes, last: bytes) -> bytes:
        self.started, self.status = True, status
        first = _STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status
        if self._request.keep_alive and not self._connection.closing:
            return first + headers + last
        return first + headers + b"connection: close\r\n" + last
