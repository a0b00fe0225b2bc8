"""A frontier that speaks the Anthropic Messages wire."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from e2e.models import tokens
from e2e.models.answering import Wire
from e2e.models.double import Double
from e2e.models.ledger import admin_routes

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a Messages request asks for."""

    model: str
    input_tokens: int
    output_tokens: int
    cut: bool
    stream: bool
    tool: str | None
    schema: bool
    """Whether the answer must be JSON."""
    opening: str
    """Its first word."""

    @property
    def stop_reason(self) -> str:
        """Why the answer ends."""
        if self.tool:
            return "tool_use"
        return "max_tokens" if self.cut else "end_turn"


def read_call(body: dict[str, Any], model: str) -> Call:
    """Read a Messages request to this model."""
    wanted, cut = tokens.output_tokens(body["messages"], body.get("max_tokens"))
    choice = body.get("tool_choice") or {}
    forced = choice.get("name")
    if choice.get("type") == "any":
        forced = body["tools"][0]["name"]
    return Call(
        model=body["model"],
        input_tokens=tokens.input_tokens(body["messages"], body.get("system", "")),
        output_tokens=wanted,
        cut=cut,
        stream=bool(body.get("stream")),
        tool=forced,
        schema=bool((body.get("output_config") or {}).get("format")),
        opening=tokens.opening(model, body["messages"]),
    )


class AnthropicServer(Double):
    """Routes of one server."""

    _ids = itertools.count(1)

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=64 * 2**20)
        app.add_routes(
            [
                web.post("/v1/messages", self.messages),
                web.post("/v1/messages/count_tokens", self.count),
                web.get("/health", self.health),
                *admin_routes(self.ledger),
            ]
        )
        return app

    async def health(self, request: web.Request) -> web.Response:
        """Always well."""
        return web.Response()

    def error(self, status: int, message: str) -> web.Response:
        """An error as Anthropic words it."""
        number = f"req_{next(self._ids):08d}"
        body = {
            "type": "error",
            "error": {"type": KINDS.get(status, "api_error"), "message": message},
            "request_id": number,
        }
        headers = {"request-id": number} | ({"retry-after": "1"} if status == 429 else {})
        return web.json_response(body, status=status, headers=headers)

    def _refuse(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        # The documented header, and the one that the official client sends as of 2.12.
        given = (request.headers.get("x-api-key"), request.headers.get("authorization"))
        if self._key and self._key != given[0] and f"Bearer {self._key}" != given[1]:
            return self.error(401, "invalid x-api-key")
        if "anthropic-version" not in request.headers:
            return self.error(400, "anthropic-version: header is required")
        counting = request.path.endswith("count_tokens")
        if not counting and not isinstance(body.get("max_tokens"), int):
            return self.error(400, "max_tokens: Field required")
        if not body.get("messages"):
            return self.error(400, "messages: at least one message is required")
        return None

    async def count(self, request: web.Request) -> web.Response:
        """POST /v1/messages/count_tokens."""
        body = json.loads(await request.read())
        if refused := self._refuse(request, body):
            return refused
        return web.json_response({"input_tokens": read_call(body, self.model).input_tokens})

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/messages."""
        self.note(request)
        body = json.loads(await request.read())
        if refused := self._refuse(request, body):
            return refused
        refused, fault = await self.misbehave(request)
        if refused:
            return refused
        call = read_call(body, self.model)
        answer = self._stream if call.stream else self._whole
        die = fault.die_after_bytes if fault else None
        return await self.account(call, answer(request, call, die))

    def _message(self, call: Call) -> dict[str, Any]:
        return {
            "id": f"msg_{next(self._ids):08d}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": call.input_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 1,
            },
        }

    def _tool_use(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        number = f"toolu_{next(self._ids):08d}"
        return {"type": "tool_use", "id": number, "name": name, "input": value}

    async def _whole(self, request: web.Request, call: Call, die: int | None) -> web.Response:
        async with self.worker.job(call.input_tokens, call.output_tokens) as job:
            await self.worker.finish(job)
        message = self._message(call)
        if call.tool:
            message["content"] = [self._tool_use(call.tool, {"answer": 42})]
        else:
            text = tokens.words(call.opening, 0, call.output_tokens, schema=call.schema)
            message["content"] = [{"type": "text", "text": text}]
        message["stop_reason"] = call.stop_reason
        message["usage"]["output_tokens"] = call.output_tokens
        return web.json_response(message)

    async def _stream(
        self, request: web.Request, call: Call, die: int | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-cache",
            }
        )
        async with self.worker.job(call.input_tokens, call.output_tokens) as job:
            steps = self.worker.steps(job)
            first = await anext(steps)
            await response.prepare(request)
            wire = Wire(response, die)

            async def send(kind: str, **data: object) -> None:
                await wire.event({"type": kind, **data}, kind)

            await send("message_start", message=self._message(call))
            block = self._tool_use(call.tool, {}) if call.tool else {"type": "text", "text": ""}
            await send("content_block_start", index=0, content_block=block)
            await send("ping")
            if call.tool:
                for part in ('{"answer"', ":42}"):
                    delta = {"type": "input_json_delta", "partial_json": part}
                    await send("content_block_delta", index=0, delta=delta)
            else:
                text = partial(tokens.words, call.opening, schema=call.schema)
                delta = {"type": "text_delta", "text": text(*first)}
                await send("content_block_delta", index=0, delta=delta)
                async for span in steps:
                    delta = {"type": "text_delta", "text": text(*span)}
                    await send("content_block_delta", index=0, delta=delta)
        await send("content_block_stop", index=0)
        stop = {"stop_reason": call.stop_reason, "stop_sequence": None}
        await send("message_delta", delta=stop, usage={"output_tokens": call.output_tokens})
        await send("message_stop")
        await response.write_eof()
        return response
