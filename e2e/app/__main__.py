"""`python -m e2e.app`: run schedules of model calls; tell what came of them.

POST /run    a JSON schedule (see asks.py); runs beside any that is already running
POST /crowd  {"clients": 25, "seconds": 60, "ask": {…}}: clients that ask again once answered
POST /stop   drop what has not been sent yet
GET  /stats  what was sent, answered (by the model that answered) and failed
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from typing import Any

import openai
from aiohttp import web

from e2e.app.asks import Ask, load

TIMEOUT_S = 120.0
REFUSED_PAUSE_S = 0.5


class Caller:
    """Sends each call at its time, whatever became of the earlier ones (an open loop)."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client
        self._schedules: set[asyncio.Task[None]] = set()
        self._calls: set[asyncio.Task[bool]] = set()
        self.sent = 0
        self.answered: Counter[str] = Counter()
        self.output_tokens: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def run(self, asks: list[Ask]) -> None:
        """Start a schedule."""
        task = asyncio.create_task(self._run(asks))
        self._schedules.add(task)
        task.add_done_callback(self._schedules.discard)

    def crowd(self, clients: int, seconds: float, ask: Ask) -> None:
        """Let so many clients ask the same for a while, each one call at a time."""
        until_s = time.monotonic() + seconds
        for _ in range(clients):
            task = asyncio.create_task(self._client_of_a_crowd(ask, until_s))
            self._schedules.add(task)
            task.add_done_callback(self._schedules.discard)

    async def _client_of_a_crowd(self, ask: Ask, until_s: float) -> None:
        while time.monotonic() < until_s:
            self.sent += 1
            if not await self._call(ask):
                await asyncio.sleep(REFUSED_PAUSE_S)

    def stop(self) -> None:
        """Drop all schedules; calls under way end by themselves."""
        for task in self._schedules:
            task.cancel()

    def stats(self) -> dict[str, Any]:
        """Everything counted so far."""
        return {
            "sent": self.sent,
            "answered": dict(self.answered),
            "output_tokens": dict(self.output_tokens),
            "failed": sum(self.failures.values()),
            "failures": dict(self.failures),
            "in_flight": len(self._calls),
            "scheduled": bool(self._schedules),
        }

    async def _run(self, asks: list[Ask]) -> None:
        start_s = time.monotonic()
        for ask in asks:
            await asyncio.sleep(max(0.0, start_s + ask.at_s - time.monotonic()))
            self.sent += 1
            task = asyncio.create_task(self._call(ask))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _call(self, ask: Ask) -> bool:
        """Make one call; say whether it was answered."""
        try:
            model, tokens = await (self._stream(ask) if ask.stream else self._whole(ask))
        except openai.OpenAIError as error:
            self.failures[f"{type(error).__name__}: {error}"[:200]] += 1
            return False
        self.answered[model] += 1
        self.output_tokens[model] += tokens
        return True

    def _request(self, ask: Ask) -> dict[str, Any]:
        return {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": ask.prompt()}],
            "max_tokens": ask.output_tokens + 1,
            "extra_headers": {"x-priority": "high"} if ask.high_priority else {},
        }

    async def _whole(self, ask: Ask) -> tuple[str, int]:
        answer = await self._client.chat.completions.create(**self._request(ask))
        if not answer.choices[0].message.content or answer.usage is None:
            raise openai.OpenAIError("the answer is empty")
        return answer.model, answer.usage.completion_tokens

    async def _stream(self, ask: Ask) -> tuple[str, int]:
        model, finished, tokens = "", False, 0
        async with await self._client.chat.completions.create(
            **self._request(ask), stream=True, stream_options={"include_usage": True}
        ) as stream:
            async for chunk in stream:
                model = chunk.model or model
                finished = finished or any(c.finish_reason for c in chunk.choices)
                tokens = chunk.usage.completion_tokens if chunk.usage else tokens
        if not finished:
            raise openai.OpenAIError("the stream ended without a finish reason")
        return model, tokens


def application(caller: Caller) -> web.Application:
    """The control server around one caller."""

    async def run(request: web.Request) -> web.Response:
        caller.run(load(await request.json()))
        return web.json_response(caller.stats())

    async def crowd(request: web.Request) -> web.Response:
        told = await request.json()
        caller.crowd(told["clients"], told["seconds"], *load([told["ask"]]))
        return web.json_response(caller.stats())

    async def stop(request: web.Request) -> web.Response:
        caller.stop()
        return web.json_response(caller.stats())

    async def stats(request: web.Request) -> web.Response:
        return web.json_response(caller.stats())

    app = web.Application(client_max_size=64 * 2**20)
    app.add_routes(
        [
            web.post("/run", run),
            web.post("/crowd", crowd),
            web.post("/stop", stop),
            web.get("/stats", stats),
        ]
    )
    return app


async def serve() -> web.Application:
    """Build the app inside the running loop, as the official client wants it."""
    client = openai.AsyncOpenAI(max_retries=0, timeout=TIMEOUT_S)
    return application(Caller(client))


if __name__ == "__main__":
    web.run_app(serve(), port=int(os.environ.get("PORT", "8080")), print=None)
