"""A sidecar between an upstream under test and one that does its duty."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overspill.telemetry import names
from tests.sidecar.faulty import Faulty, Got, Script, client, faulty, post
from tests.sidecar.replies import Wire
from tests.sidecar.stage import PRICE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overspill.sidecar.request import Limits


@dataclass(frozen=True, slots=True)
class Road:
    """Which upstream a request meets first, and in whose words the client speaks."""

    name: str
    small: bool
    upstream: Wire
    client: Wire = Wire.OPENAI

    @property
    def path(self) -> str:
        """What the client posts to."""
        return "/v1/chat/completions" if self.client is Wire.OPENAI else "/v1/messages"

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What sends it to the tier."""
        return [] if self.small else [("x-priority", "high")]


ROADS = [
    Road("small", small=True, upstream=Wire.OPENAI),
    Road("frontier OpenAI", small=False, upstream=Wire.OPENAI),
    Road("frontier Anthropic", small=False, upstream=Wire.ANTHROPIC),
    Road("Messages", small=False, upstream=Wire.ANTHROPIC, client=Wire.ANTHROPIC),
]


@dataclass
class Scene:
    """A sidecar between the upstream under test and one that does its duty."""

    road: Road
    stage: Stage
    first: Faulty
    other: Faulty

    async def ask(self, *, stream: bool) -> Got:
        """One request on a connection of its own."""
        async with client(self.stage.port) as app:
            await app.say(post(self.road.path, asking(stream=stream), self.road.headers))
            return await app.answer()

    async def in_flight(self) -> int:
        """What /metrics says of the small tier."""
        async with client(self.stage.port) as scraper:
            await scraper.say(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
            text = (await scraper.answer(b"GET")).body.decode()
        (found,) = re.findall(rf"^{names.IN_FLIGHT}{{.*}} ([0-9.]+)$", text, re.MULTILINE)
        return int(float(found))

    def counted(self) -> int:
        """Requests that /metrics calls finished, one way or another."""
        lines = self.stage.proxy.metrics.render().decode().splitlines()
        found = [line for line in lines if line.startswith(names.REQUESTS + "{")]
        return int(sum(float(line.rpartition(" ")[2]) for line in found))


def asking(*, stream: bool, **more: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """A request that both wires understand."""
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    return json.dumps({**body, "stream": stream, **more}).encode()


def frontier(name: str, wire: Wire, address: str) -> dict[str, Any]:
    """A provider at this address."""
    return {
        "name": name,
        "api": wire.value,
        "baseURL": f"http://{address}",
        "model": "m",
        "credentialFile": "credentials/opus",
        "price": PRICE,
        "maxOutputTokens": 99,
    }


@asynccontextmanager
async def scene(
    folder: Path, road: Road, script: Script, *, other: bytes, limits: Limits | None = None
) -> AsyncIterator[Scene]:
    """Set it up: `other` is what the second upstream answers with."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything runs
    async with (
        staged(folder, limits=limits) as stage,
        faulty(script) as first,
        faulty(Script(says=(other,))) as second,
    ):
        second_wire = Wire.OPENAI if road.small else road.upstream
        providers = [frontier("second", second_wire, second.address)]
        if not road.small:
            providers.insert(0, frontier("first", road.upstream, first.address))
        endpoints = [first.address] if road.small else []
        stage.configure(small={**stage.base["small"], "endpoints": endpoints}, frontier=providers)
        yield Scene(road, stage, first, second)
