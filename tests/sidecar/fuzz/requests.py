"""A grammar of HTTP/1.1 requests as no decent client writes them.

A request is odd at one or two sites and right everywhere else, so that what follows an oddity is
reached.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.sidecar.replies import chunked
from tests.sidecar.scene import asking

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAT = b"/v1/chat/completions"
TAIL = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" * 60
"""Follows every stream: what a lying length swallows, and the end of the connection."""


def ask(tag: str) -> bytes:
    """A chat request's body that can be told from the others."""
    return asking(stream=False, messages=[{"role": "user", "content": tag}])


def tag_of(body: bytes) -> str:
    """The tag of a chat request's body; empty where it has none."""
    try:
        return str(json.loads(body)["messages"][0]["content"])
    except (ValueError, KeyError, TypeError, IndexError):
        return ""


# -- start lines
VERSIONS = (
    b" HTTP/1.0",
    b" HTTP/1.2",
    b" HTTP/2.0",
    b" HTTP/0.9",
    b" HTTP/01.1",
    b" HTTP/1.10",
    b" HTTP/1.",
    b" HTTP/1",
    b" http/1.1",
    b" HTTPS/1.1",
    b" HTTP/1.1 x",
    b" HTTP /1.1",
    b" ICE/1.0",
    b" ",
    b"  HTTP/1.1",
    b"\tHTTP/1.1",
    b"\rHTTP/1.1",
    b"\x00HTTP/1.1",
)
METHODS = (b"post", b"PO ST", b"POST\t", b"\x00POST", b"PRI", b"SOURCE", b"X", b"", b"PUT", b"HEAD")
TARGETS = (
    b"http://x/v1/chat/completions",
    b"http://evil:1/v1/chat/completions",
    b"https:///v1/chat/completions",
    b"x:80",
    b"*",
    b"",
    b"//v1/chat/completions",
    b"/v1/chat/completions?a=b#c",
    b"/v1/chat/completions#c",
    b"/v1/chat/completions\x00",
    b"/v1/chat\x7fcompletions",
    b"/v1/ch\xc3\xa4t",
    b"/v1/chat completions",
    b"/v1/../v1/chat/completions",
    b"/" + b"a" * 3000,
)
BETWEEN = (b"  ", b"\t", b"\x0b", b"", b"\r", b"\x00")

BEFORE = (b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\x00", b"\xef\xbb\xbf", b"GET /x\r\n")

# -- header lines that do not frame the body
HOSTS: tuple[tuple[bytes, ...], ...] = (
    (),
    (b"host: x", b"host: x"),
    (b"host: x", b"host: y"),
    (b"host:",),
    (b"host: x y",),
    (b"host: x, y",),
    (b"host: x/y@z",),
    (b"Host : x",),
    (b" host: x",),
    (b"host\x00: x",),
)
LINES = (
    b"x-a: b",
    b"x-a:b",
    b"x-a:",
    b"x-a: \t b \t",
    b"x-a: b\r\n c",
    b"x-a: b\r\n\tc: d",
    b"x-a : b",
    b"x-a\t: b",
    b"x-a\xa0: b",
    b": b",
    b"x-a",
    b"x a: b",
    b"x(a): b",
    b"x-a: \x00",
    b"x-a: b\x01c",
    b"x-a: b\x7fc",
    b"x-a: b\x0bc",
    b"x-a: \xff\xfe",
    b"x-a: b\rc",
    b"x-a: b\nx-b: c",
    b"x\x01a: b",
    b"x\xe4: b",
    b"x-a: " + b"b" * 3000,
    b"connection: close",
    b"connection: Close",
    b"connection: keep-alive",
    b"connection: keep-alive, close",
    b"connection: content-length",
    b"connection: upgrade\r\nupgrade: h2c",
    b"upgrade: h2c",
    b"expect: 100-continue",
    b"expect: 200-ok",
    b"te: trailers, chunked",
    b"trailer: content-length",
    b"proxy-connection: close",
    b"traceparent: 00-aa-bb-01",
    b"traceparent: \x80\xff",
    b"x-priority: high",
    b"x-priority: low",
)

# -- lengths
LENGTH_NAMES = (
    b"content-length",
    b"CONTENT-LENGTH",
    b"content-length ",
    b" content-length",
    b"content-length\t",
    b"content_length",
    b"content-length\x00",
    b"x-a: b\r\n content-length",
)


def _lengths(length: int) -> tuple[bytes, ...]:
    n, more, less = b"%d" % length, b"%d" % (length + 7), b"%d" % max(0, length - 7)
    return (
        more,
        less,
        b"0",
        b"+" + n,
        b"-" + n,
        b"-1",
        b"0" + n,
        b"0" * 10 + n,
        b"0x%x" % length,
        b"%x" % length,
        n + b", " + n,
        n + b"," + more,
        n + b",",
        b"," + n,
        n + b" " + n,
        n + b";",
        n + b".0",
        n + b"e0",
        n + b"\x0b",
        n + b"\x00",
        b'"' + n + b'"',
        b"1_0",
        "\u0663".encode(),
        b"",
        b"NaN",
        b"99999",
        b"%d" % (2**31),
        b"%d" % (2**63),
        b"%d" % (2**64 + length),
        b"9" * 500,
    )


# -- transfer encodings and chunks
ENCODINGS = (
    b"Chunked",
    b"CHUNKED",
    b"xchunked",
    b"chunkedx",
    b"chunked, identity",
    b"identity, chunked",
    b"identity",
    b"gzip, chunked",
    b"chunked, gzip",
    b"gzip",
    b"chunked, chunked",
    b"chunked;q=1",
    b'"chunked"',
    b"chunked,",
    b",chunked",
    b"chunked\x00",
    b"\x0bchunked",
    b"chunked\x0b",
    b"chun ked",
    b"chun\r\n ked",
    b"",
    b"\xffchunked",
)
ENCODING_NAMES = (
    b"Transfer-Encoding",
    b"transfer-encoding ",
    b"transfer-encoding\t",
    b" transfer-encoding",
    b"transfer_encoding",
    b"transfer-encoding\x00",
    b"x-a: b\r\n transfer-encoding",
    b"x-a: b\rtransfer-encoding",
)
TRAILERS = (
    b"x: y\r\n",
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"host: z\r\n",
    b"nonsense\r\n",
    b"x : y\r\n",
    b" x: y\r\n",
    b"x: y\r\n z\r\n",
    b"x\x00: y\r\n",
    b"x: y\n",
)


def _sizes(length: int) -> tuple[bytes, ...]:
    n = b"%x" % length
    return (
        b"%X" % length,
        b"0" + n,
        b"0" * 10 + n,
        b"0x" + n,
        b"+" + n,
        b"-" + n,
        b" " + n,
        n + b" ",
        n + b"\t",
        n + b" ;a",
        n + b";a",
        n + b";a=b",
        n + b';a="b;c"',
        n + b';a="\r\n"',
        n + b";a=\x00",
        n + b";" + b"a" * 300,
        n + b";",
        n + b",a",
        n + b"g",
        b"%x" % (length + 5),
        b"%x" % max(0, length - 5),
        b"1" + b"0" * (16 - len(n)) + n,
        b"f" * 16,
        b"f" * 40,
        b"g",
        b"",
    )


# -- requests
GAPS = (b"", b"\t", b"\r\n ", b"  \t", b"\x0b")
AFTER = (b" ", b"\t", b"\r", b"\x0b")
ENDS = (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\x00\r\n", b"")
SITES = (
    *("before", "method", "space", "target", "version", "start end"),
    *("host", "line", "line", "line end", "head end"),
    *("length name", "length", "length", "length", "second length"),
    *("coding name", "coding", "coding", "second coding", "gap", "after", "framing"),
    *("size", "size", "size end", "data end", "last size", "last end", "trailer", "trailers end"),
)
"""Where a request can be odd; what is worth more examples stands more than once."""


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0]


class Writer:
    """Writes one request that is odd at a few sites and right everywhere else."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._sites = draw(st.sets(st.sampled_from(SITES), min_size=1, max_size=2))

    def odd(self, site: str) -> bool:
        """Whether this one is odd here."""
        return site in self._sites

    def part(self, site: str, good: bytes, odd: Sequence[bytes]) -> bytes:
        """The good part, or an odd one."""
        return self._draw(st.sampled_from(odd)) if self.odd(site) else good

    def start(self) -> bytes:
        """The start line, without its end."""
        return b"".join(
            (
                self.part("before", b"", BEFORE),
                self.part("method", b"POST", METHODS),
                self.part("space", b" ", BETWEEN),
                self.part("target", CHAT, TARGETS),
                self.part("version", b" HTTP/1.1", VERSIONS),
            )
        )

    def lines(self) -> list[bytes]:
        """Header lines, without their ends."""
        hosts = self._draw(st.sampled_from(HOSTS)) if self.odd("host") else (b"host: x",)
        lines = [*hosts]
        if self.odd("line"):
            one = st.sampled_from(LINES)
            lines += self._draw(st.lists(one, min_size=1, max_size=2, unique_by=_name))
        return lines

    def framing(self) -> str:
        """How the body's length is told."""
        if self.odd("framing"):
            return self._draw(st.sampled_from(["both", "both", "none"]))
        chunked = any(self.odd(site) for site in SITES if site.partition(" ")[0] in _CHUNKED)
        return "chunked" if chunked else "length"

    def length_lines(self, length: int) -> list[bytes]:
        """`content-length`, once or twice."""
        lines = [self._line("length name", b"content-length", LENGTH_NAMES, "length", length)]
        if self.odd("second length"):
            value = self._draw(st.sampled_from([b"%d" % length, *_lengths(length)]))
            lines.append(b"content-length: " + value)
        return lines

    def _line(
        self, name_site: str, name: bytes, names: Sequence[bytes], site: str, length: int
    ) -> bytes:
        good: bytes = b"chunked"
        odd: Sequence[bytes] = ENCODINGS
        if site == "length":
            good, odd = b"%d" % length, _lengths(length)
        return b"".join(
            (
                self.part(name_site, name, names),
                b":",
                self.part("gap", b" ", GAPS),
                self.part(site, good, odd),
                self.part("after", b"", AFTER),
            )
        )

    def coding_lines(self) -> list[bytes]:
        """`transfer-encoding`, once or twice."""
        lines = [self._line("coding name", b"transfer-encoding", ENCODING_NAMES, "coding", 0)]
        if self.odd("second coding"):
            value = self._draw(st.sampled_from([b"chunked", *ENCODINGS]))
            lines.append(b"transfer-encoding: " + value)
        return lines

    def chunks(self, body: bytes) -> bytes:
        """The body in chunks, its end and its trailers."""
        cut = self._draw(st.integers(0, len(body)))
        out = b""
        for piece in filter(None, (body[:cut], body[cut:])):
            out += self.part("size", b"%x" % len(piece), _sizes(len(piece)))
            out += self.part("size end", b"\r\n", ENDS)
            out += piece
            out += self.part("data end", b"\r\n", (*ENDS, b"XX", b"\r\n\r\n"))
        out += self.part("last size", b"0", LAST_SIZES)
        out += self.part("last end", b"\r\n", ENDS)
        out += self.part("trailer", b"", TRAILERS)
        return out + self.part("trailers end", b"\r\n", ENDS)


LAST_SIZES = (b"00", b"0" * 10, b"0;a", b'0;a="b"', b"-0", b"0x0", b"", b" 0", b"0 ", b"0\t")
_CHUNKED = {"coding", "size", "data", "last", "trailer", "trailers", "second coding"}


@st.composite
def odd_request(draw: st.DrawFn, tag: str) -> bytes:
    """A chat request with something wrong in it, and maybe another one hidden in its body."""
    write = Writer(draw)
    body = own = ask(tag)
    if draw(st.booleans()):
        hidden = ask(f"smuggled in {tag}")
        body += b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (CHAT, len(hidden))
        body += hidden
    framing = write.framing()
    lines = write.lines()
    sent = body
    if framing in ("length", "both"):
        lines += write.length_lines(len(own if draw(st.booleans()) else body))
    if framing in ("chunked", "both"):
        lines += write.coding_lines()
        sent = write.chunks(own) + body[len(own) :]
    if draw(st.booleans()):
        lines.reverse()
    head = [write.start() + write.part("start end", b"\r\n", ENDS)]
    head += [line + write.part("line end", b"\r\n", ENDS) for line in lines]
    return b"".join(head) + write.part("head end", b"\r\n", ENDS) + sent


def plain_request(tag: str) -> st.SearchStrategy[bytes]:
    """A request with nothing wrong in it."""
    body = ask(tag)
    post = b"POST " + CHAT + b" HTTP/1.1\r\nhost: x\r\n"
    return st.sampled_from(
        [
            post + b"content-length: %d\r\n\r\n" % len(body) + body,
            post + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body) + b"0\r\n\r\n",
            post + b"content-length: 0\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
            b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nx-a: \xc3\xa4\r\n\r\n",
            b"\r\nGET /v1/nowhere?a=b HTTP/1.1\r\nHOST:x\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        ]
    )


def plain_requests() -> st.SearchStrategy[bytes]:
    """The same with any tag."""
    return st.integers(0, 9).flatmap(lambda number: plain_request(f"tag {number}"))


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Some requests on one connection, at least one of them odd, without the tail."""
    odd = draw(st.integers(0, 2))
    out = b""
    for number in range(draw(st.integers(odd + 1, odd + 2))):
        tag = f"tag {number}"
        out += draw(odd_request(tag) if number == odd else plain_request(tag))
    return out
