"""The OpenAI wire: a small tier in vLLM's manner, or a frontier with keys and cached tokens."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from e2e.models import tokens, vllm_metrics
from e2e.models.answering import Wire, Worker
from e2e.models.double import Double
from e2e.models.ledger import Ledger, admin_routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a chat request asks for."""

    input_tokens: int
    output_tokens: int
    cut: bool
    stream: bool
    include_usage: bool
    tool: str | None
    schema: bool
    """Whether the answer must be JSON."""
    opening: str
    """Its first word."""


def read_call(body: dict[str, Any], model: str) -> Call:
    """Read a chat request to this model."""
    messages = body.get("messages") or [{"role": "user", "content": body.get("prompt", "")}]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    wanted, cut = tokens.output_tokens(messages, limit)
    choice = body.get("tool_choice")
    forced = choice["function"]["name"] if isinstance(choice, dict) else None
    return Call(
        input_tokens=tokens.input_tokens(messages),
        output_tokens=wanted,
        cut=cut,
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        tool=forced or (body["tools"][0]["function"]["name"] if choice == "required" else None),
        schema=(body.get("response_format") or {}).get("type") in ("json_schema", "json_object"),
        opening=tokens.opening(model, messages),
    )


def error(status: int, message: str, kind: str, code: str | None = None) -> web.Response:
    """An error as OpenAI words it."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    headers = {"retry-after": "1"} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers)


def _kind(request: web.Request, piece: str = "") -> str:
    older = request.path == "/v1/completions"
    return "text_completion" if older else f"chat.completion{piece}"


class OpenAIServer(Double):
    """Routes of one server."""

    def __init__(
        self, *, model: str, worker: Worker, ledger: Ledger, api_key: str = "", startup_s: float = 0
    ) -> None:
        super().__init__(model=model, worker=worker, ledger=ledger, api_key=api_key)
        self.metrics = vllm_metrics.Metrics(model)
        self._ready_at_s = time.monotonic() + startup_s
        self._ids = itertools.count(1)

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=64 * 2**20)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self.chat),
                web.post("/v1/completions", self.chat),
                web.post("/v1/embeddings", self.embeddings),
                web.get("/v1/models", self.models),
                web.get("/health", self.health),
                web.get("/metrics", self.show_metrics),
                *admin_routes(self.ledger),
            ]
        )
        return app

    @property
    def starting(self) -> bool:
        """Still loading weights."""
        return time.monotonic() < self._ready_at_s

    async def health(self, request: web.Request) -> web.Response:
        """503 until the weights are loaded."""
        return web.Response(status=503 if self.starting else 200)

    async def models(self, request: web.Request) -> web.Response:
        """One model."""
        card = {"id": self.model, "object": "model", "created": 0, "owned_by": "double"}
        return web.json_response({"object": "list", "data": [card]})

    async def show_metrics(self, request: web.Request) -> web.Response:
        """Metrics in vLLM's names."""
        body = self.metrics.render(self.worker.engine)
        return web.Response(body=body, headers={"content-type": "text/plain; version=0.0.4"})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions, and the older /v1/completions."""
        self.note(request)
        if refused := self._refuse(request):
            return refused
        refused, fault = await self.misbehave(request)
        if refused:
            return refused
        call = read_call(json.loads(await request.read()), self.model)
        self.metrics.started(call.input_tokens)
        answer = self._stream if call.stream else self._whole
        die = fault.die_after_bytes if fault else None
        response = await self.account(call, answer(request, call, die))
        self.metrics.finished(call.output_tokens, "length" if call.cut else "stop")
        return response

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/embeddings: vectors of the model that was asked for."""
        self.note(request)
        if refused := self._refuse(request):
            return refused
        refused, _ = await self.misbehave(request)
        if refused:
            return refused
        body = json.loads(await request.read())
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        counted = tokens.input_tokens([{"role": "user", "content": text} for text in texts])
        vectors = [
            {"object": "embedding", "index": index, "embedding": [0.5, -0.5]}
            for index in range(len(texts))
        ]
        self.ledger.answered += 1
        self.ledger.charge(counted, 0)
        usage = {"prompt_tokens": counted, "total_tokens": counted}
        return web.json_response(
            {"object": "list", "model": body["model"], "data": vectors, "usage": usage}
        )

    def error(self, status: int, message: str) -> web.Response:
        """An error as OpenAI words it."""
        return error(status, message, "server_error")

    def _refuse(self, request: web.Request) -> web.Response | None:
        if self._key and request.headers.get("authorization") != f"Bearer {self._key}":
            return error(
                401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"
            )
        if self.starting:
            return error(503, "the model is loading", "server_error")
        return None

    def _usage(self, call: Call) -> dict[str, Any]:
        return {
            "prompt_tokens": call.input_tokens,
            "completion_tokens": call.output_tokens,
            "total_tokens": call.input_tokens + call.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    def _head(self, kind: str) -> dict[str, Any]:
        number = f"chatcmpl-{next(self._ids):08d}"
        return {"id": number, "object": kind, "created": int(time.time()), "model": self.model}

    def _tool_call(self, name: str) -> dict[str, Any]:
        return {
            "id": f"call_{next(self._ids):08d}",
            "type": "function",
            "function": {"name": name, "arguments": '{"answer":42}'},
        }

    async def _whole(self, request: web.Request, call: Call, die: int | None) -> web.Response:
        async with self.worker.job(call.input_tokens, call.output_tokens) as job:
            await self.worker.finish(job)
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if call.tool:
            message["tool_calls"] = [self._tool_call(call.tool)]
        else:
            message["content"] = tokens.words(
                call.opening, 0, call.output_tokens, schema=call.schema
            )
        end = "tool_calls" if call.tool else ("length" if call.cut else "stop")
        choice: dict[str, Any] = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": end,
        }
        if request.path == "/v1/completions":
            choice["text"] = choice.pop("message")["content"]
        body = self._head(_kind(request)) | {"choices": [choice], "usage": self._usage(call)}
        return web.json_response(body)

    async def _stream(
        self, request: web.Request, call: Call, die: int | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-cache",
            }
        )
        head = self._head(_kind(request, ".chunk"))

        def text(span: tuple[int, int]) -> dict[str, str]:
            return {"content": tokens.words(call.opening, *span, schema=call.schema)}

        async with self.worker.job(call.input_tokens, call.output_tokens) as job:
            steps = self.worker.steps(job)
            first = await anext(steps)
            await response.prepare(request)
            wire = Wire(response, die)
            await wire.event(self._chunk(head, {"role": "assistant", "content": ""}))
            if call.tool:
                piece = {"index": 0, **self._tool_call(call.tool)}
                await wire.event(self._chunk(head, {"tool_calls": [piece]}))
            else:
                await wire.event(self._chunk(head, text(first)))
                async for span in steps:
                    await wire.event(self._chunk(head, text(span)))
        end = "tool_calls" if call.tool else ("length" if call.cut else "stop")
        await wire.event(self._chunk(head, {}, end))
        if call.include_usage:
            await wire.event(head | {"choices": [], "usage": self._usage(call)})
        await wire.event("[DONE]")
        await response.write_eof()
        return response

    def _chunk(
        self, head: dict[str, Any], delta: dict[str, Any], end: str | None = None
    ) -> dict[str, Any]:
        choice: dict[str, Any] = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": end,
        }
        if head["object"] == "text_completion":
            choice["text"] = choice.pop("delta").get("content", "")
        return head | {"choices": [choice]}
