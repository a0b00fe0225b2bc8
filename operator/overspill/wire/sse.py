"""Server-sent events: cut a byte stream into events, each exactly once, bytes untouched.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re

DONE = b"data: [DONE]\n\n"

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n|\n\r(?=[^\n])")
_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(rb"\r\n|\n|\r")
_LONGEST_END = 4
LONGEST_EVENT_BYTES = 16 * 2**20
"""Images come in events too, and none is as long as this."""


class EventFramer:
    """Cut a byte stream into server-sent events. Owns no socket.

    A chunk of the stream may end anywhere, inside a UTF-8 character or a line end too.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0

    @property
    def empty(self) -> bool:
        """Whether no part of an event is waiting for its rest."""
        return not self._buffer

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the events they complete, with their blank lines.

        Raises: ValueError for an event that is too long to be one.
        """
        buffer = self._buffer
        buffer += chunk
        events: list[bytes] = []
        start = 0
        look_from = max(0, self._scanned - _LONGEST_END + 1)
        if b"\r" in buffer:
            while found := _END.search(buffer, look_from):
                events.append(bytes(buffer[start : found.end()]))
                start = look_from = found.end()
        else:  # what servers of models send; a search for fixed bytes is ten times as fast
            while (at := buffer.find(b"\n\n", look_from)) >= 0:
                events.append(bytes(buffer[start : at + 2]))
                start = look_from = at + 2
        if start:
            del buffer[:start]
        if len(buffer) > LONGEST_EVENT_BYTES:
            raise ValueError(f"an event of more than {LONGEST_EVENT_BYTES} bytes")
        self._scanned = len(buffer)
        return events

    def rest(self) -> bytes:
        """Bytes after the last complete event: one more event where no blank line ended it."""
        left = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return left


def data_of(event: bytes) -> bytes:
    """Return the data of one event: its `data` lines, joined by newlines; empty for a comment."""
    if event.startswith(b"data: ") and event.endswith(b"\n\n") and event.count(b"\n") == 2:
        return event[6:-2]  # what nearly every event looks like
    lines = []
    for line in _LINE.split(event.removeprefix(_BOM)):  # a stream may begin with one
        field, colon, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" ") if colon else b"")
    return b"\n".join(lines)


def event(data: bytes, name: str = "") -> bytes:
    """Return the bytes of one event with one line of data."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"data: " + data + b"\n\n"
