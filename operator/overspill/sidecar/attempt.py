"""One try at one upstream, until its first byte for the client is there, or it has failed."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from overspill.sidecar.upstream import FOREVER, HEADER_BYTES, UpstreamError
from overspill.wire.errors import UNREADABLE, Wire, speaks, status_in
from overspill.wire.preamble import begun

if TYPE_CHECKING:
    from collections.abc import Callable

    from overspill.sidecar.runtime import Upstream
    from overspill.sidecar.upstream import Pool, Response
    from overspill.wire.ask import Ask, Call
    from overspill.wire.ingress import Ingress
    from overspill.wire.stream import EventStream
    from overspill.wire.usage import Usage

CLIENT_FAULTS: Final = frozenset({400, 413, 422})
"""The request itself is wrong: another upstream would say the same."""
NOT_ASKED: Final = frozenset({"connect", "tls", "credential", "cooling"})
"""Failures before anything was sent."""
OVERLOAD: Final = frozenset({429, 503, 529})
"""The upstream has no room now; its `Retry-After` says until when."""
KEPT_BYTES: Final = 2**20
"""Of an answer that is to be looked at once the client has it."""
ERROR_BODY_S: Final = 1.0
"""For the words of a refusal in all: the next upstream waits for them."""
ERROR_BODY_BYTES: Final = 64 * 2**10
ID_HEADERS: Final = (b"request-id", b"x-request-id")
"""What a provider's support asks for."""


class AttemptFailed(Exception):
    """The upstream gave no usable answer; nothing has reached the client."""

    def __init__(
        self,
        kind: str,
        status: int,
        body: bytes = b"",
        *,
        wire: Wire = Wire.OPENAI,
        retry_after_s: float | None = None,
        kept: bytes = b"",
    ) -> None:
        self.kind, self.status, self.body, self.wire = kind, status, body, wire
        self.retry_after_s, self.kept = retry_after_s, kept
        super().__init__(f"{kind} ({status})")

    @property
    def free(self) -> bool:
        """Whether the upstream can have charged nothing: it refused, or was never asked."""
        return self.kind in NOT_ASKED or self.kind.startswith("http_")

    @property
    def final(self) -> bool:
        """Whether no other upstream need be asked."""
        return self.status in CLIENT_FAULTS

    @property
    def overload(self) -> bool:
        """Whether the upstream had no room."""
        return self.status in OVERLOAD


class Opened:
    """An upstream that has begun to answer."""

    __slots__ = ("_closed", "call", "first", "guessed", "raw", "release", "response", "stream",
                 "upstream", "usage")  # fmt: skip

    def __init__(
        self, upstream: Upstream, response: Response, call: Call, stream: EventStream | None
    ) -> None:
        self.upstream, self.response, self.call, self.stream = upstream, response, call, stream
        self.first = b""
        """A stream's first bytes for the client, or a whole answer."""
        self.usage: Usage | None = None
        self.guessed = True
        """A whole answer did not tell all that it used."""
        self.release: Callable[[], None] | None = None
        self._closed = False
        self.raw: bytearray | None = None
        """What the upstream sent, where somebody wants to look at it."""

    @property
    def estimated(self) -> bool:
        """Whether the upstream has not told, or not yet, all that it used."""
        return self.guessed if self.stream is None else self.stream.estimated

    def keep(self, raw: bytes) -> None:
        """Keep what the upstream sent, unless that becomes too much."""
        if self.raw is not None:
            self.raw += raw
            if len(self.raw) > KEPT_BYTES:
                self.raw = None

    def close(self) -> None:
        """Let go of the upstream: its connection is kept only if it was read to the end."""
        if self._closed:
            return
        self._closed = True
        if self.stream is not None and self.stream.done:
            self.response.finish()
        else:
            self.response.close()
        if self.release:
            self.release()

    def ids(self) -> bytes:
        """The header lines by which the provider knows this answer."""
        return _kept(self.response)


async def open_upstream(
    pool: Pool,
    upstream: Upstream,
    ingress: Ingress,
    ask: Ask,
    own_headers: bytes,
    *,
    call: Call,
    now_s: float,
    deadline_s: float,
    keep_raw: bool,
    first_byte_s: float = FOREVER,
) -> Opened:
    """Ask one upstream. Raises: AttemptFailed.

    `now_s` is Unix time; the limits are in the loop's.
    """
    head = upstream.head(call.endpoint)
    if head is None:
        raise AttemptFailed("credential", 502)
    try:
        response = await pool.post(
            upstream.origin,
            head + own_headers,
            call.body,
            deadline_s=deadline_s,
            first_byte_s=first_byte_s,
        )
    except UpstreamError as error:
        raise _failed(error) from None
    stream, raw = None, b""
    try:
        if response.status != 200:
            raise await _refused(response, upstream.target.wire)
        if ask.stream:
            stream = ingress.stream(ask, upstream.target, now_s)
            opened = Opened(upstream, response, call, stream)
            opened.raw = bytearray() if keep_raw else None
            await _first_bytes(opened, stream, ingress.wire)
            response.first_byte_s = FOREVER
            return opened
        opened = Opened(upstream, response, call, None)
        raw = await response.read_all()
        opened.raw = bytearray(raw) if keep_raw else None
        opened.first, opened.usage, opened.guessed = ingress.answer(
            ask, upstream.target, raw, now_s
        )
    except UpstreamError as error:
        response.close()
        raise _failed(error) from None
    except UNREADABLE:
        response.close()
        raise _garbled(raw, upstream.target.wire) from None
    except BaseException:
        response.close()
        raise
    return opened


def _failed(error: UpstreamError) -> AttemptFailed:
    late = error.kind in ("timeout", "deadline", "first_token")
    return AttemptFailed(error.kind, 504 if late else 502)


def _garbled(raw: bytes, wire: Wire) -> AttemptFailed:
    """An answer that is none; where it is an error in spite of its status, in its words."""
    if speaks(wire, raw):
        return AttemptFailed("garbled", status_in(raw), raw, wire=wire)
    return AttemptFailed("garbled", 502)


def _kept(response: Response) -> bytes:
    headers = response.headers
    return b"".join(b"%b: %b\r\n" % (id_, headers[id_]) for id_ in ID_HEADERS if id_ in headers)


async def _refused(response: Response, wire: Wire) -> AttemptFailed:
    status = response.status
    response.first_byte_s = FOREVER
    body = await response.read_some(ERROR_BODY_BYTES, ERROR_BODY_S)
    return AttemptFailed(
        f"http_{status}",
        status if 400 <= status <= 599 else 502,
        body,
        wire=wire,
        retry_after_s=_retry_after_s(response.headers),
        kept=_kept(response),
    )


def _retry_after_s(headers: dict[bytes, bytes]) -> float | None:
    """Read `Retry-After`: seconds, or a date beside the provider's own `Date`."""
    text = headers.get(b"retry-after", b"").decode("latin-1").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            then = parsedate_to_datetime(text)
            seconds = (
                then - parsedate_to_datetime(headers.get(b"date", b"").decode("latin-1"))
            ).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds < FOREVER else None


async def _first_bytes(opened: Opened, stream: EventStream, wire: Wire) -> None:
    """Read on until there is some of the answer for the client, whose wire this is.

    What only announces an answer waits for it: until then another upstream may give one.
    """
    response = opened.response
    while True:
        chunk = await response.read()
        opened.first += stream.feed(chunk) if chunk else stream.rest()
        if opened.raw is not None:
            opened.raw += chunk
        if begun(opened.first):
            return
        if stream.failed is not None:
            raise AttemptFailed("stream", status_in(stream.failed), stream.failed, wire=wire)
        if not chunk or len(opened.first) > HEADER_BYTES:
            raise AttemptFailed("stream", 502)
