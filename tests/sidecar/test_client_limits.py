"""Clients that flood, trickle or read slowly: what they may cost, and who is cut off wrongly."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from overspill.sidecar.answer import JSON, Answer
from overspill.sidecar.http import Connection, Connections, Server
from overspill.sidecar.proxy import ADMIN_CONNECTIONS, Admin, Proxy
from overspill.sidecar.request import Limits, Request, RequestReader
from tests.clock import play, until
from tests.sidecar import replies
from tests.sidecar.faulty import How, Script, client, post
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS, asking, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SMALL = ROADS[0]
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
MIB = 2**20


class Big:
    """A server with large answers, which counts them."""

    def __init__(self, size: int) -> None:
        self.limits = Limits()
        self.draining = False
        self.connections = Connections()
        self.size = size
        self.answered = 0
        self.bodies = 0

    async def handle(self, request: Request, answer: Answer) -> None:
        """Answer at once."""
        self.answered += 1
        self.bodies += len(request.body)
        answer.send(200, b"x" * self.size, JSON)


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[int]:
    """Serve it on loopback; its port."""
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for connection in list(server.connections):
            if connection._transport:
                connection._transport.abort()
        await asyncio.sleep(0)


def buffered(server: Big) -> int:
    transports = [one._transport for one in server.connections]
    return sum(one.get_write_buffer_size() for one in transports if one)


def test_who_pipelines_and_never_reads_is_not_answered_on_and_on() -> None:
    async def story() -> None:
        server = Big(MIB)
        async with serving(server) as port, client(port) as app:
            await app.say(GET * 400)
            await asyncio.sleep(2)
            assert buffered(server) < 16 * MIB

    play(story(), patient=True)


def test_a_header_without_an_end_is_refused_at_the_limit() -> None:
    async def story() -> None:
        async with serving(Big(1)) as port, client(port) as app:
            await app.say(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ", *(b"a" * 2**16,) * 64)
            async with asyncio.timeout(1):
                assert (await app.answer()).status == 431

    play(story())


def test_a_body_that_trickles_for_ever_is_let_go() -> None:
    async def story() -> None:
        async with serving(Big(1)) as port, client(port) as app:
            await app.say(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
            began_s = asyncio.get_running_loop().time()
            for _ in range(1000):  # seven hours
                await app.say(b"x")
                await asyncio.sleep(25)
                if app_closed(app):
                    break
            assert asyncio.get_running_loop().time() - began_s < 2 * 3600

    play(story(), patient=True)


def app_closed(app: object) -> bool:
    peer: socket.socket = app._peer  # type: ignore[attr-defined]
    try:
        return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) is not None
    except BlockingIOError:
        return False


def test_a_slow_reader_that_never_stops_reading_gets_all_of_a_large_answer() -> None:
    async def story() -> None:
        size = 24 * MIB  # embeddings of a large batch
        async with serving(Big(size)) as port:
            loop, got = asyncio.get_running_loop(), 0
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
            peer.setblocking(False)
            try:
                await loop.sock_connect(peer, ("127.0.0.1", port))
                await loop.sock_sendall(peer, GET)
                while got < size:
                    data = await loop.sock_recv(peer, 2**17)
                    assert data, f"cut off after {got} of {size} bytes"
                    got += len(data)
                    await asyncio.sleep(0.5)
            finally:
                peer.close()

    play(story(), patient=True)


def test_a_client_that_pipelined_much_and_leaves_takes_its_upstream_along(tmp_path: Path) -> None:
    async def story() -> None:
        script = Script(then=How.STALL)
        async with scene(tmp_path, SMALL, script, other=b"") as made:
            async with client(made.stage.port) as app:
                await app.say(post(SMALL.path, asking(stream=False)) * 12)
                await until(lambda: made.first.asked)
                app.leave()
            left_s = asyncio.get_running_loop().time()
            await until(lambda: not made.first.open)
            assert asyncio.get_running_loop().time() - left_s < 10

    play(story(), patient=True)


def test_a_client_that_leaves_a_small_rest_unread_is_let_go_too() -> None:
    async def story() -> None:
        server = Big(20_000)
        async with serving(server) as port, client(port) as app:
            while not buffered(server):
                await app.say(GET)
                await asyncio.sleep(0.05)
            assert buffered(server) < 64_000
            await asyncio.sleep(3600)
            assert not server.connections

    play(story(), patient=True)


def test_what_stands_behind_a_body_is_no_header(tmp_path: Path) -> None:
    """RFC 9110, 6.5.1: a trailer is not merged into the header section."""
    body = asking(stream=False)
    head = f"POST {SMALL.path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    end = b"0\r\nx-priority: high\r\nx-overspill-timeout: soon\r\n\r\n"

    async def story() -> None:
        good = replies.good_whole(Wire.OPENAI)
        async with (
            scene(tmp_path, SMALL, Script(says=(good,)), other=good) as made,
            client(made.stage.port) as app,
        ):
            await app.say(head + replies.chunked(body) + end)
            got = await app.answer()
            assert (got.status, got.headers["x-overspill-tier"]) == (200, "small")

    play(story())


class Slow(Big):
    """The same, each answer after a while."""

    async def handle(self, request: Request, answer: Answer) -> None:
        """Answer later."""
        await asyncio.sleep(40)
        await super().handle(request, answer)


def test_a_request_that_we_stopped_reading_is_not_called_late() -> None:
    async def story() -> None:
        async with serving(Slow(1)) as port, client(port) as app:
            await app.say(GET * 9 + GET[:20])
            await asyncio.sleep(1)
            await app.say(GET[20:])
            statuses = [(await app.answer(b"GET")).status for _ in range(10)]
            assert statuses == [200] * 10

    play(story(), patient=True)


def test_connections_leave_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    """It looks rarely, so that what only it could free would be kept for long."""
    whole = replies.good_whole(Wire.OPENAI)
    begun = next(
        at.said for at in replies.stream_breaks(Wire.OPENAI) if at.place == "between events"
    )

    async def story() -> set[str]:
        async with scene(tmp_path, SMALL, Script(says=(begun,), then=How.STALL), other=b"") as made:

            async def leave() -> None:
                async with client(made.stage.port) as app:
                    await app.say(post(SMALL.path, asking(stream=True)))
                    await until(lambda: made.first.open and made.first.finished)
                    app.leave()
                    await until(lambda: not made.first.open)
                made.first.finished = 0

            async def be_answered() -> None:
                made.first.script = Script(says=(whole,))
                async with client(made.stage.port) as app:
                    await app.say(post(SMALL.path, asking(stream=False)))
                    await app.answer()

            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            await leave()
            await be_answered()
            await until(lambda: not made.stage.proxy.connections)
            gc.collect()
            return {type(one).__module__ for one in gc.garbage}

    try:
        left = play(story())
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert not [module for module in left if module.startswith(("overspill", "httptools"))]


def test_a_body_in_tiny_chunks_takes_no_more_room_than_it_has_bytes() -> None:
    reader = RequestReader(Limits())
    reader.feed(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    chunks = replies.chunked(b"xy") * 4096
    tracemalloc.start()
    try:
        for _ in range(64):
            reader.feed(chunks)
        reader.feed(b"0\r\n\r\n")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reader.ready[0].body == b"xy" * 4096 * 64
    assert peak < 4 * 2 * 4096 * 64


def test_whoever_holds_connections_keeps_no_probe_from_its_answer() -> None:
    """Any pod of the cluster reaches this port."""

    async def story() -> None:
        admin = Admin(Proxy())
        async with AsyncExitStack() as held, serving(admin) as port:
            for _ in range(2 * ADMIN_CONNECTIONS):
                app = await held.enter_async_context(client(port))
                await app.say(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx")
            assert len(admin.connections) <= ADMIN_CONNECTIONS
            async with client(port) as kubelet:
                await kubelet.say(GET.replace(b" / ", b" /healthz "))
                assert (await kubelet.answer(b"GET")).status == 200

    play(story())


def test_who_sends_more_requests_than_may_wait_is_answered_some_and_refused() -> None:
    async def story() -> None:
        async with serving(Admin(Proxy())) as port, client(port) as app:
            await app.say(GET.replace(b" / ", b" /healthz ") * 400)
            found = [(await app.answer(b"GET")).status for _ in range(6)]
            assert found == [200] * 5 + [400]

    play(story())
