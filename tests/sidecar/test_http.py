"""HTTP/1.1 as clients may speak it: byte by byte, judged by h11."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import h11
import pytest
import pytest_asyncio

from overspill.sidecar.answer import JSON, Answer
from overspill.sidecar.http import Connection, Connections
from overspill.sidecar.request import Limits, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio


class Echo:
    """A server that answers with what it was sent."""

    def __init__(self) -> None:
        self.limits = Limits(body_bytes=1000, header_bytes=2000, idle_s=60.0)
        self.draining = False
        self.connections = Connections()
        self.port = 0

    async def handle(self, request: Request, answer: Answer) -> None:
        """Echo, whole or in pieces."""
        if request.path == b"/stream":
            answer.start(200, JSON)
            for byte in bytes(request.body):
                answer.push(bytes([byte]))
            answer.end()
        elif request.path == b"/broken":
            answer.start(200, JSON)
            answer.push(b"half")
        else:
            seen = {"path": request.path.decode(), "body": request.body.decode()}
            answer.send(200, json.dumps(seen).encode(), JSON)


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[Echo]:
    """The echo server on loopback."""
    made = Echo()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(made), "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    for connection in list(made.connections):
        connection.close()
    await asyncio.sleep(0)


async def exchange(echo: Echo, *parts: bytes, until_close: bool = False) -> bytes:
    """Send the parts one after another; return everything that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0)
    if not until_close:
        writer.write_eof()
    async with asyncio.timeout(10):
        data = await reader.read()
    writer.close()
    return data


def answers(raw: bytes, methods: list[bytes]) -> list[tuple[int, bytes]]:
    """Let h11 read the responses to requests of these methods."""
    found = []
    for method in methods:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(raw)
        status, body = 0, b""
        while True:
            event = client.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            elif event is h11.NEED_DATA:
                client.receive_data(b"")
        found.append((status, body))
        raw = client.trailing_data[0]
    assert raw == b""
    return found


GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
CLOSE = b"GET /z HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def post(body: bytes, path: bytes = b"/p") -> bytes:
    return b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (path, len(body), body)


async def test_pipelined_requests_are_answered_in_order(echo: Echo) -> None:
    sent = GET + post(b"one") + post(b"two", b"/stream") + CLOSE
    raw = await exchange(echo, sent, until_close=True)
    seen = answers(raw, [b"GET", b"POST", b"POST", b"GET"])
    assert [status for status, _ in seen] == [200] * 4
    assert [json.loads(seen[n][1])["path"] for n in (0, 1, 3)] == ["/a", "/p", "/z"]
    assert seen[2][1] == b"two"


async def test_many_pipelined_requests_are_all_answered(echo: Echo) -> None:
    raw = await exchange(echo, GET * 30 + CLOSE, until_close=True)
    assert len(answers(raw, [b"GET"] * 31)) == 31


async def test_a_request_may_come_a_byte_at_a_time(echo: Echo) -> None:
    sent = post(b"slow") + CLOSE
    raw = await exchange(echo, *(sent[n : n + 1] for n in range(len(sent))), until_close=True)
    assert json.loads(answers(raw, [b"POST", b"GET"])[0][1])["body"] == "slow"


async def test_a_chunked_body_is_put_together(echo: Echo) -> None:
    sent = (
        b"POST /p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n"
    )
    raw = await exchange(echo, sent, until_close=True)
    assert json.loads(answers(raw, [b"POST"])[0][1])["body"] == "abcde"


async def test_a_client_that_waits_for_100_is_told_to_go_on(echo: Echo) -> None:
    head = b"POST /p HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    async with asyncio.timeout(10):
        writer.write(head + b"connection: close\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_a_client_that_sends_its_body_at_once_is_not_told_to_go_on(echo: Echo) -> None:
    said = post(b"ok").replace(b"host", b"connection: close\r\nexpect: 100-continue\r\nhost")
    assert (await exchange(echo, said, until_close=True)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_http_1_0_gets_no_chunks_and_a_closed_connection(echo: Echo) -> None:
    sent = b"POST /stream HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc"
    raw = await exchange(echo, sent, until_close=True)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert body == b"abc"
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head


async def test_http_1_0_is_never_kept_open(echo: Echo) -> None:
    sent = b"GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
    head, _, _ = (await exchange(echo, sent, until_close=True)).partition(b"\r\n\r\n")
    assert b"connection: close" in head


async def test_head_has_a_length_and_no_body(echo: Echo) -> None:
    raw = await exchange(
        echo, b"HEAD /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", until_close=True
    )
    assert raw.endswith(b"\r\n\r\n")
    assert b"content-length: 0" not in raw


async def test_an_answer_that_was_not_ended_does_not_look_ended(echo: Echo) -> None:
    raw = await exchange(echo, post(b"", b"/broken"), until_close=True)
    assert raw.endswith(b"4\r\nhalf\r\n")
    with pytest.raises(h11.RemoteProtocolError):
        answers(raw, [b"POST"])


REFUSED = [
    pytest.param(post(b"x" * 1001), 413, id="announced body too large"),
    pytest.param(
        b"POST /p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001,
        413,
        id="chunked body too large",
    ),
    pytest.param(
        b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"a" * 2000 + b"\r\n\r\n", 431, id="headers"
    ),
    pytest.param(b"nonsense\r\n\r\n", 400, id="not HTTP"),
    pytest.param(b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n", 400, id="CONNECT"),
    pytest.param(
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n"
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        id="both lengths: request smuggling",
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        400,
        id="two lengths",
    ),
]


@pytest.mark.parametrize(("sent", "status"), REFUSED)
async def test_what_cannot_be_read_is_refused_and_the_connection_closed(
    echo: Echo, sent: bytes, status: int
) -> None:
    raw = await exchange(echo, sent, until_close=True)
    ((seen, body),) = answers(raw, [b"POST"])
    assert seen == status
    assert json.loads(body)["error"]["message"]


async def test_what_came_before_a_bad_request_is_still_answered(echo: Echo) -> None:
    raw = await exchange(echo, GET + b"nonsense\r\n\r\n", until_close=True)
    assert [status for status, _ in answers(raw, [b"GET", b"GET"])] == [200, 400]


@pytest.mark.parametrize("body", [b"", b"abc"])
async def test_an_offer_to_upgrade_is_ignored_and_nothing_after_it_is_lost(
    echo: Echo, body: bytes
) -> None:
    offer = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
    sent = b"POST /p HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n%b" % (
        offer,
        len(body),
        body,
    )
    raw = await exchange(echo, sent + GET + CLOSE, until_close=True)
    seen = answers(raw, [b"POST", b"GET", b"GET"])
    assert [status for status, _ in seen] == [200, 200, 200]
    assert json.loads(seen[0][1])["body"] == body.decode()
