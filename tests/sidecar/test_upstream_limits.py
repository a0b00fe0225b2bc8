"""Upstreams that trickle, flood, lie or die late: what reaches whom, and how often it was asked."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from overspill.sidecar.upstream import Origin
from tests.clock import play, until
from tests.sidecar import replies
from tests.sidecar.faulty import Asked, How, Script, client, faulty, post
from tests.sidecar.replies import EVENT_STREAM, Framing, Wire
from tests.sidecar.scene import ROADS, asking, frontier, scene
from tests.sidecar.stage import staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overspill.sidecar.proxy import Proxy

SMALL, OPENAI, ANTHROPIC, MESSAGES = ROADS
GOOD = replies.good_whole(Wire.OPENAI)
OTHER = replies.good_whole(Wire.OPENAI, "other")
OTHER_STREAM = replies.good_stream(Wire.OPENAI, ("other",))


def now_s() -> float:
    return asyncio.get_running_loop().time()


def refusal(status: int, body: bytes, more: str = "") -> bytes:
    length = f"content-length: {len(body)}\r\n"
    return f"HTTP/1.1 {status} No\r\n{more}{length}\r\n".encode() + body


# -- connections that are kept
def test_a_connection_whose_stream_ended_while_its_client_stalled_serves_the_next(
    tmp_path: Path,
) -> None:
    """A stream's last bytes come, all at once, when its client has stopped reading."""
    events = replies.openai_events()
    top = replies.head(Framing.CHUNKED, kind=EVENT_STREAM) + replies.chunked(events[0])
    rest = replies.chunked(filler(60_000)) + replies.chunked(events[-1]) + b"0\r\n\r\n"

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=(GOOD,)), other=OTHER) as made:

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(top)
                while unread(made.stage.proxy) < 16_000:
                    writer.write(replies.chunked(filler(8_000)))
                    await asyncio.sleep(0.05)
                writer.write(rest)
                with suppress(asyncio.IncompleteReadError, ConnectionError):
                    await reader.readuntil(b"POST ")
                    writer.write(GOOD)
                    await reader.read()
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            address = "{}:{}".format(*server.sockets[0].getsockname())
            small = {**made.stage.base["small"], "endpoints": [address]}
            made.stage.configure(small=small)
            async with client(made.stage.port) as app:
                await app.say(post(SMALL.path, asking(stream=True)))
                await until(made.counted)
                began_s = now_s()
                again = await made.ask(stream=False)
                assert (again.status, again.headers["x-overspill-tier"]) == (200, "small")
                assert now_s() - began_s < 1
            server.close()

    play(story(), patient=True)


def filler(size: int) -> bytes:
    return b'data: {"choices":[{"delta":{"content":"' + b"x" * size + b'"}}]}\n\n'


def unread(proxy: Proxy) -> int:
    """Bytes that wait for the client, beyond what its socket holds."""
    transports = [one._transport for one in proxy.connections]
    return sum(one.get_write_buffer_size() for one in transports if one)


def test_an_upstream_that_dies_long_after_it_read_a_request_is_not_asked_again(
    tmp_path: Path,
) -> None:
    """A minute's work on a kept connection is no sign that the request never arrived."""
    calls = 0

    def says(_: Asked) -> Script:
        nonlocal calls
        calls += 1
        return Script(says=(GOOD,)) if calls == 1 else Script(says=(60.0,), then=How.RST)

    async def story() -> None:
        async with scene(tmp_path, OPENAI, Script(), other=OTHER) as made:
            made.first.script = says
            assert (await made.ask(stream=False)).status == 200
            got = await made.ask(stream=False)
            assert b"other" in got.body
            assert len(made.first.asked) == 1 + 1

    play(story(), patient=True)


# -- slow and endless refusals
TRICKLE = tuple(piece for _ in range(60) for piece in (9.0, b" "))


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_that_trickles_does_not_hold_the_request(tmp_path: Path, stream: bool) -> None:
    async def story() -> None:
        head = b"HTTP/1.1 503 No\r\ncontent-length: 9999\r\n\r\n"
        script = Script(says=(head, *TRICKLE))
        other = OTHER_STREAM if stream else OTHER
        async with scene(tmp_path, SMALL, script, other=other) as made:
            began_s = now_s()
            got = await made.ask(stream=stream)
            assert (got.status, b"other" in got.body) == (200, True)
            assert now_s() - began_s < 30

    play(story(), patient=True)


def test_a_refusal_is_not_read_past_what_is_told_of_it(tmp_path: Path) -> None:
    async def story() -> None:
        body = b"x" * 2**16
        endless = b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n"
        script = Script(says=(endless, *(replies.chunked(body),) * 2000), then=How.STALL)
        async with scene(tmp_path, SMALL, script, other=OTHER) as made:
            assert b"other" in (await made.ask(stream=False)).body
            assert made.first.said_bytes < 32 * 2**20  # what sockets hold, and not all of it

    play(story())


def test_a_header_without_an_end_is_not_read_for_ever(tmp_path: Path) -> None:
    async def story() -> None:
        script = Script(says=(b"HTTP/1.1 200 OK\r\nx: ", *(b"a" * 2**16,) * 400), then=How.STALL)
        async with scene(tmp_path, SMALL, script, other=OTHER) as made:
            async with asyncio.timeout(5):
                assert b"other" in (await made.ask(stream=False)).body

    play(story())


# -- what is no token
@pytest.mark.parametrize("then", [How.STALL, How.RST])
def test_a_comment_is_no_first_token(tmp_path: Path, then: How) -> None:
    """Servers say `: keep-alive` or the like while a request waits; the model has said nothing."""

    async def story() -> None:
        top = replies.head(Framing.CHUNKED, kind=EVENT_STREAM)
        script = Script(says=(top + replies.chunked(b": waiting\n\n"),), then=then)
        async with scene(tmp_path, SMALL, script, other=OTHER_STREAM) as made:
            got = await made.ask(stream=True)
            assert (got.status, got.complete) == (200, True)
            assert got.body.endswith(b"data: [DONE]\n\n")

    play(story(), patient=True)


# -- whose fault it was
@asynccontextmanager
async def mute_tls(path: Path) -> AsyncIterator[str]:
    """A port behind which nobody shakes hands."""
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def test_a_clients_own_short_limit_does_not_eject_a_provider(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage, mute_tls(tmp_path) as address:
            slow = frontier("slow", Wire.OPENAI, address)
            stage.configure(frontier=[{**slow, "baseURL": f"https://{address}"}])
            headers = [("x-priority", "high"), ("x-overspill-timeout", "0.5")]
            async with client(stage.port) as app:
                await app.say(post("/v1/chat/completions", asking(stream=False), headers))
                assert (await app.answer()).status == 504
            assert stage.proxy.runtime
            (provider,) = stage.proxy.runtime.frontier
            assert provider.health.failures == 0

    play(story(), patient=True)


# -- what the client is told
def test_a_host_that_cannot_be_looked_up_leaves_it_to_the_next_provider(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage, faulty(Script(says=(OTHER,))) as other:
            stage.configure(
                frontier=[
                    frontier("wrong", Wire.OPENAI, "x:1"),
                    frontier("other", Wire.OPENAI, other.address),
                ]
            )
            assert stage.proxy.runtime
            wrong = stage.proxy.runtime.frontier[0]  # a configuration would refuse such a host
            wrong.origin = Origin("api..example", 443, tls=True)
            async with client(stage.port) as app:
                headers = [("x-priority", "high")]
                await app.say(post("/v1/chat/completions", asking(stream=False), headers))
                got = await app.answer()
            assert (got.status, b"other" in got.body) == (200, True)

    play(story())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_without_an_end_is_not_kept_in_memory_for_ever(
    tmp_path: Path, stream: bool
) -> None:
    """A request may have 32 MiB; an answer, or one event, is not read to four times that."""

    async def story() -> None:
        kind = EVENT_STREAM if stream else "application/json"
        top = replies.head(Framing.CHUNKED, kind=kind) + replies.chunked(b'data: {"a":"')
        script = Script(says=(top, *(replies.chunked(b"x" * 2**16),) * 2048), then=How.FIN)
        other = OTHER_STREAM if stream else OTHER
        async with scene(tmp_path, OPENAI, script, other=other) as made:
            assert b"other" in (await made.ask(stream=stream)).body
            assert made.first.said_bytes < 96 * 2**20

    play(story())
