"""SIGTERM to a real `overspill sidecar` under load: what is under way ends well, then it leaves."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from e2e.models.answering import Worker
from e2e.models.anthropic_server import AnthropicServer
from e2e.models.ledger import Ledger, Prices
from e2e.models.openai_server import OpenAIServer
from e2e.models.physics import Speed
from tests.clock import bounded, play, until
from tests.sidecar import replies
from tests.sidecar.faulty import Client, Faulty, Got, Script, client, faulty, post
from tests.sidecar.replies import Wire
from tests.sidecar.scene import asking, frontier
from tests.sidecar.stage import KEY, Double, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WIDE = Speed(
    slots=64, output_tokens_per_s=1e9, max_stream_tokens_per_s=100, prefill_tokens_per_s=1e9
)
HIGH = [("x-priority", "high")]
CHAT = "/v1/chat/completions"


@dataclass
class Clock:
    """The doubles' time: it moves a step whenever they look, and by itself not at all."""

    now_s: float = 0.0
    step_s: float = 0.0

    def __call__(self) -> float:
        """What it shows."""
        self.now_s += self.step_s
        return self.now_s


@dataclass
class Sidecar:
    """A running `overspill sidecar`."""

    process: asyncio.subprocess.Process
    port: int
    admin: int
    said: bytearray = field(default_factory=bytearray)

    async def scrape(self, path: str = "/metrics") -> Got:
        """Ask the admin listener."""
        async with client(self.admin) as scraper:
            await scraper.say(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            return await scraper.answer(b"GET")

    async def end(self) -> int:
        """Wait for its exit status."""
        async with bounded():
            return await self.process.wait()

    async def terminate(self) -> None:
        """Send SIGTERM; return once nobody can connect any more."""
        self.process.send_signal(signal.SIGTERM)
        async with bounded():
            while await _open(self.port):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0)


async def _open(port: int) -> bool:
    try:
        async with client(port):
            return True
    except ConnectionError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def configuration(small: list[str], frontiers: list[dict[str, Any]]) -> str:
    header = {"name": "x-priority", "value": "high"}
    return json.dumps(
        {
            "policy": "test/chat",
            "generation": 1,
            "mode": "Enforce",
            "small": {
                "model": "m",
                "contextWindow": 99999,
                "endpoints": small,
                "slotsPerEndpoint": 64,
                "inputTokenWeight": "0.1",
                "firstTokenDeadlineS": 600.0,
            },
            "frontier": frontiers,
            "rules": [{"name": "high", "when": {"header": header}, "tier": "Frontier"}],
        }
    )


@asynccontextmanager
async def sidecar(folder: Path, config: str, grace_s: float = 60.0) -> AsyncIterator[Sidecar]:
    """Start it and wait until it is ready."""
    (folder / "credentials").mkdir()
    (folder / "credentials" / "opus").write_text(KEY)
    (folder / "policy.json").write_text(config)
    port, admin = free_port(), free_port()
    words = ["--config", str(folder / "policy.json"), "--grace", str(grace_s)]
    words += ["--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin}"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "overspill", "sidecar", *words, stderr=asyncio.subprocess.PIPE
    )
    made = Sidecar(process, port, admin)
    listening = asyncio.create_task(_listen(process, made.said))
    try:
        async with bounded():
            while not await _open(admin) or (await made.scrape("/readyz")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0)
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


async def _listen(process: asyncio.subprocess.Process, into: bytearray) -> None:
    assert process.stderr
    while data := await process.stderr.read(65536):
        into += data


@asynccontextmanager
async def doubles(clock: Clock) -> AsyncIterator[tuple[Double, Double]]:
    """A small model and an Anthropic frontier, both on this clock."""
    async with AsyncExitStack() as stack:
        ledger = Ledger(Prices())
        worker = Worker(WIDE, 50.0, clock)
        small = OpenAIServer(model="m", worker=worker, ledger=ledger)
        first = await stack.enter_async_context(serving(small.application(), ledger))
        ledger = Ledger(Prices(input=5, output=25))
        worker = Worker(WIDE, 50.0, clock)
        opus = AnthropicServer(model="m", worker=worker, ledger=ledger, api_key=KEY)
        second = await stack.enter_async_context(serving(opus.application(), ledger))
        yield first, second


STREAMS, WHOLE = 6, 6
"""Requests of each kind at each tier."""


def test_everything_under_way_ends_well_and_nothing_new_begins(tmp_path: Path) -> None:
    async def story() -> None:
        clock = Clock()
        async with doubles(clock) as (small, opus), AsyncExitStack() as stack:
            providers = [frontier("opus", Wire.ANTHROPIC, opus.address)]
            config = configuration([small.address], providers)
            run = await stack.enter_async_context(sidecar(tmp_path, config))
            asked: list[tuple[Client, Got, bool]] = []
            for headers in ([], HIGH):
                for stream in [True] * STREAMS + [False] * WHOLE:
                    app = await stack.enter_async_context(client(run.port))
                    await app.say(post(CHAT, long(stream=stream), headers))
                    asked.append((app, Got(), stream))
            idle = await stack.enter_async_context(client(run.port))
            answers = [asyncio.create_task(app.answer(got=got)) for app, got, _ in asked]
            both = (small.ledger, opus.ledger)
            await until(lambda: sum(ledger.in_flight for ledger in both) == len(asked))
            clock.step_s = 1e-6  # thousands of looks until the last token
            await until(lambda: all(got.body for _, got, stream in asked if stream))
            clock.step_s = 0.0

            await run.terminate()
            assert await idle.hear() == b""
            assert not any(answer.done() for answer in answers)
            assert (await run.scrape("/readyz")).status == 503
            clock.step_s = 1.0
            await asyncio.gather(*answers)

            assert await run.end() == 0
            assert all((got.status, got.complete) == (200, True) for _, got, _ in asked)
            ends = [got.body.endswith(b"data: [DONE]\n\n") for _, got, _ in asked]
            assert ends == [stream for _, _, stream in asked]
            assert [ledger.requests for ledger in both] == [STREAMS + WHOLE] * 2
            assert [ledger.answered for ledger in both] == [STREAMS + WHOLE] * 2
            assert [ledger.cancelled for ledger in both] == [0, 0]
            assert b"Traceback" not in run.said

    play(story())


def long(*, stream: bool) -> bytes:
    """A request whose answer takes the doubles a while of their time."""
    return asking(
        stream=stream, max_tokens=900, messages=[{"role": "user", "content": "[[out=900]]"}]
    )


@asynccontextmanager
async def alone(
    folder: Path, says: bytes, grace_s: float = 60.0
) -> AsyncIterator[tuple[Sidecar, Faulty]]:
    """A sidecar with one scripted small endpoint."""
    async with faulty(Script(says=(says,))) as small:
        providers = [frontier("opus", Wire.OPENAI, "127.0.0.1:1")]
        config = configuration([small.address], providers)
        async with sidecar(folder, config, grace_s) as run:
            yield run, small


def test_a_request_that_is_half_sent_is_still_answered(tmp_path: Path) -> None:
    request = post(CHAT, asking(stream=False))

    async def story() -> None:
        async with (
            alone(tmp_path, replies.good_whole(Wire.OPENAI)) as (run, _),
            client(run.port) as app,
        ):
            await app.say(request[:-10])
            await run.scrape()  # it has had its turn
            await run.terminate()
            await app.say(request[-10:])
            got = await app.answer()
            assert (got.status, got.trouble) == (200, "")
            assert got.headers["connection"] == "close"
            assert await run.end() == 0

    play(story())


def test_an_answer_that_is_still_being_read_is_not_cut(tmp_path: Path) -> None:
    long_text = "x" * 2**24

    async def story() -> None:
        async with (
            alone(tmp_path, replies.good_whole(Wire.OPENAI, long_text)) as (run, small),
            client(run.port) as app,
        ):
            await app.say(post(CHAT, asking(stream=False)))
            await until(lambda: small.finished)
            while b'outcome="answered"} 1.0' not in (await run.scrape()).body:
                pass
            await run.terminate()
            got = await app.answer()
            assert got.complete, got.trouble
            assert got.body == replies.whole(Wire.OPENAI, long_text)
            assert await run.end() == 0

    play(story())


def test_a_client_is_told_that_its_connection_closes(tmp_path: Path) -> None:
    async def story() -> None:
        clock = Clock()
        async with doubles(clock) as (small, opus), AsyncExitStack() as stack:
            providers = [frontier("opus", Wire.ANTHROPIC, opus.address)]
            config = configuration([small.address], providers)
            run = await stack.enter_async_context(sidecar(tmp_path, config))
            app = await stack.enter_async_context(client(run.port))
            await app.say(post(CHAT, long(stream=False)))
            await until(lambda: small.ledger.in_flight)
            await run.terminate()
            clock.step_s = 1.0
            got = await app.answer()
            assert got.complete
            assert await app.hear() == b""
            assert got.headers.get("connection") == "close"

    play(story())


def test_an_answer_that_outlasts_the_grace_period_is_not_finished_falsely(tmp_path: Path) -> None:
    breaks = replies.stream_breaks(Wire.OPENAI)
    begun = next(at for at in breaks if at.place == "between events")

    async def story() -> None:
        async with (
            alone(tmp_path, begun.said, grace_s=0.0) as (run, _),
            client(run.port) as app,
        ):
            await app.say(post(CHAT, asking(stream=True)))
            got = Got()
            answer = asyncio.create_task(app.answer(got=got))
            await until(lambda: got.body)
            await run.terminate()
            assert await run.end() == 1
            await answer
            assert not got.complete
            assert b"[DONE]" not in got.body

    play(story())
