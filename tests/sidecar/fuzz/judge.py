"""What h11, a parser that shares no line with ours, makes of the same bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import h11

from tests.sidecar.faulty import Got


@dataclass(frozen=True, slots=True)
class Heard:
    """One request."""

    method: bytes
    target: bytes
    version: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass
class Hearing:
    """All requests of a connection, and why there are no more."""

    requests: list[Heard] = field(default_factory=list)
    objection: str = ""
    """Why h11 refused what follows; empty where it did not."""
    closed: bool = False
    """A request was the last one by its own wish."""


# -- requests
def hear(stream: bytes) -> Hearing:
    """Read a connection's bytes as a server."""
    found = Hearing()
    try:
        while (one := _one(tolerant(stream))) is not None:
            heard, last, stream = one
            found.requests.append(heard)
            if last:
                found.closed = True
                break
    except h11.RemoteProtocolError as error:
        found.objection = str(error)
    return found


def tolerant(stream: bytes) -> bytes:
    """Write the next request's head so that h11 takes what the sidecar may take.

    None of this moves the end of a request, so that all that follows is still compared.

    - RFC 9112, 2.2: empty lines before a request line are to be ignored.
    - RFC 9112, 3: a request line may be split at runs of spaces.
    - RFC 9110, 5.6.1.2: empty elements of a list are to be ignored, those of `transfer-encoding`
      too.
    - RFC 9112, 3.2 (`host` once) and 6.1 (unknown codings before `chunked`) ask for a refusal:
      test_requests.py asks for it, here only the framing counts.
    """
    head, blank, rest = stream.lstrip(b"\r\n").partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    start = re.sub(rb"(?<=[^ ]) +(?=[^ ])", b" ", start)
    hosts = [line for line in lines if _name(line) == b"host"]
    codings = [line for line in lines if _name(line) == b"transfer-encoding"]
    kept = [line for line in lines if line not in hosts + codings]
    if codings:
        listed = b",".join(line.partition(b":")[2] for line in codings).lower()
        codings = [b"transfer-encoding: " + _coding(listed)]
    host = hosts[:1] or [b"host: x"]
    return b"\r\n".join([start, *host, *codings, *kept]) + blank + rest


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def _coding(listed: bytes) -> bytes:
    """`chunked` where it is the last coding and stands once, else what it was."""
    names = [name.strip(b" \t") for name in listed.split(b",")]
    last, *others = [name for name in reversed(names) if name] or [b""]
    legal = b"chunked" not in others and not re.search(rb"[^\t -~\x80-\xff]", listed)
    return last if legal else listed


def _one(stream: bytes) -> tuple[Heard, bool, bytes] | None:
    """One request, whether it is the last, and the rest; None where more bytes are needed."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(stream)
    head: h11.Request | None = None
    body = b""
    while True:
        event = server.next_event()
        if event is h11.NEED_DATA:
            return None
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break
    assert head
    server.send(h11.Response(status_code=204, headers=[]))
    server.send(h11.EndOfMessage())
    last = h11.MUST_CLOSE in (server.our_state, server.their_state)
    headers = tuple(head.headers)
    heard = Heard(head.method, head.target, head.http_version, headers, body)
    return heard, last, server.trailing_data[0]


# -- answers
def answers(raw: bytes, methods: list[bytes]) -> list[Got]:
    """Read everything that came back on a connection, as a client.

    `methods` are those of the requests. A refusal may be of a request whose method was never read.
    """
    found: list[Got] = []
    while raw:
        method = methods[len(found)] if len(found) < len(methods) else b"POST"
        got, rest = _answer(raw, method)
        if refused(got):
            got, rest = _answer(raw, b"POST")
        found.append(got)
        if got.trouble:
            break
        raw = rest
    return found


def refused(got: Got) -> bool:
    """Whether this answer ends the connection because of what was sent on it.

    RFC 9112, 6.1 has 501 for a transfer coding that the server does not undo.
    """
    wrong = 400 <= got.status < 500 or got.status == 501
    return wrong and got.headers.get("connection") == "close"


def _answer(raw: bytes, method: bytes) -> tuple[Got, bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(raw)
    got = Got()
    try:
        while not got.complete:
            event = client.next_event()
            if event is h11.NEED_DATA:
                client.receive_data(b"")
            else:
                got.note(event)
    except h11.RemoteProtocolError as error:
        got.trouble = str(error)
    return got, client.trailing_data[0]
