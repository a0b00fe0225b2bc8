"""An answer that arrives as server-sent events: metered, and translated where the wires differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from overspill.wire.document import read_json
from overspill.wire.sse import EventFramer, data_of
from overspill.wire.usage import is_whole

if TYPE_CHECKING:
    from overspill.wire.usage import Usage


class EventStream(ABC):
    """Takes the bytes of an upstream's stream, gives the bytes the client gets."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.events = 0
        """Events that have come in."""
        self.done = False
        """The stream's own end marker came. A stream that ends without it was cut."""
        self.failed: bytes | None = None
        """The upstream's own error, in the client's words: it is sent as the last event."""
        self._framer = EventFramer()

    @property
    def estimated(self) -> bool:
        """Whether the upstream has not told all that it used, or was cut before it could."""
        return not self.done or not is_whole(self.usage)

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes, cut anywhere; return what the client gets for them."""
        out = []
        for event in self._framer.feed(chunk):
            self.events += 1
            if not self.done and self.failed is None:
                out.append(self._pass_on(event, data_of(event)))
        return b"".join(out)

    def rest(self) -> bytes:
        """At the stream's end: take a last event that no blank line ended."""
        left = self._framer.rest()
        data = data_of(left)
        if not _is_whole(data) or self.done or self.failed is not None:
            return self._last()
        self.events += 1
        return self._pass_on(left + b"\n\n", data) + self._last()

    @abstractmethod
    def _pass_on(self, event: bytes, data: bytes) -> bytes:
        """Return the bytes for one event; empty for one that the client does not get."""

    def _last(self) -> bytes:
        """Return what is still owed once the upstream has ended."""
        return b""


def _is_whole(data: bytes) -> bool:
    """Whether data that no blank line ended is an event all the same, and not the half of one."""
    if data == b"[DONE]":
        return True
    try:
        return isinstance(read_json(data), dict)
    except ValueError:
        return False


class Passed(EventStream):
    """A stream in the client's own protocol: passed on byte for byte, and looked at on the way.

    Whole events without a mark go on as they came, however many a read brought: cutting and
    reading each would cost ten times what relaying it costs.
    """

    marks: ClassVar[tuple[bytes, ...]]
    """Bytes of which one stands in every event worth reading; in text, quotes are escaped."""

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes, cut anywhere; return what the client gets for them."""
        end = chunk.rfind(b"\n\n") + 2
        if end < 2 or not self._framer.empty or b"\r" in chunk or self._over:
            return super().feed(chunk)
        first = min(
            (at for mark in self.marks if (at := chunk.find(mark, 0, end)) >= 0), default=end
        )
        if first < end:  # from the event with the mark on, each is read
            before = chunk.rfind(b"\n\n", 0, first)
            end = before + 2 if before >= 0 else 0
        self.events += chunk.count(b"\n\n", 0, end)
        if end == len(chunk):
            return chunk
        return chunk[:end] + super().feed(chunk[end:])

    @property
    def _over(self) -> bool:
        return self.done or self.failed is not None


class Chained(EventStream):
    """Two translations, one after the other: what the first gives, the second takes."""

    def __init__(self, first: EventStream, second: EventStream) -> None:
        super().__init__()
        self._first, self._second = first, second

    @property
    def estimated(self) -> bool:
        """Whether the upstream has not told all that it used."""
        return self._first.estimated or not self.done

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes."""
        return self._seen(self._second.feed(self._first.feed(chunk)))

    def rest(self) -> bytes:
        """Take the stream's end."""
        out = self._second.feed(self._first.rest())
        return self._seen(out + self._second.rest())

    def _seen(self, out: bytes) -> bytes:
        first, second = self._first, self._second
        self.events, self.usage = first.events, first.usage
        self.done = second.done
        self.failed = second.failed if first.failed is None else first.failed
        return out

    def _pass_on(self, event: bytes, data: bytes) -> bytes:
        raise NotImplementedError
