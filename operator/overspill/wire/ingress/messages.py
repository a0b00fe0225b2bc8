"""Anthropic's Messages: passed on to Anthropic, translated for everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overspill.wire import anthropic, from_openai
from overspill.wire.ask import Ask, Call, Target, model_name, token_limit
from overspill.wire.document import Document, compact
from overspill.wire.errors import BadRequest, Untranslatable, Wire
from overspill.wire.ingress.base import Answered, Ingress, guessed, metered
from overspill.wire.ingress.chat import is_true
from overspill.wire.to_openai import MODEL_BOUND, chat_body, wants_thinking
from overspill.wire.tool_calls import with_short_ids
from overspill.wire.usage import Usage, estimate_tokens

if TYPE_CHECKING:
    from overspill.wire.stream import EventStream


class Messages(Ingress):
    """POST /v1/messages."""

    operation = "chat"
    tried = True
    wire = Wire.ANTHROPIC

    def read(self, raw: bytes | bytearray) -> Ask:
        """Read the fields we need."""
        document = Document.read(raw)
        if not document.lists("messages"):
            raise BadRequest("messages: a list with at least one message is required", "messages")
        limit = token_limit(document, "max_tokens")
        if limit is None and self.metered:
            raise BadRequest("max_tokens: a positive integer is required", "max_tokens")
        return Ask(
            document=document,
            model=model_name(document),
            stream=is_true(document, "stream"),
            max_tokens=limit,
            input_tokens=estimate_tokens(len(raw)),
        )

    def call(self, ask: Ask, target: Target) -> Call:
        """Pass it on, or translate it."""
        if target.wire is Wire.ANTHROPIC:
            return Call("/messages", _native(ask, target.model))
        chat, lossy = chat_body(ask.document.values(), open_model=target.open_model)
        body = compact({"model": target.model, **chat})
        body = body if target.open_model else with_short_ids(body)
        return Call("/chat/completions", body, tuple(lossy))

    def stream(self, ask: Ask, target: Target, now_s: float) -> EventStream:
        """Pass events on, or translate them."""
        if target.wire is Wire.ANTHROPIC:
            return anthropic.PassedStream()
        return from_openai.MessageStream(
            model=target.model,
            estimate=Usage(input_tokens=ask.input_tokens),
            thinking=wants_thinking({"thinking": ask.document.get("thinking")}),
        )

    def answer(self, ask: Ask, target: Target, raw: bytes, now_s: float) -> Answered:
        """Pass the answer on, or translate it."""
        guess = guessed(ask, raw)
        if target.wire is Wire.ANTHROPIC:
            return metered(raw, anthropic.usage_in(raw), guess)
        body, usage = from_openai.message(
            raw,
            target.model,
            guess,
            thinking=wants_thinking({"thinking": ask.document.get("thinking")}),
        )
        return metered(compact(body), usage, guess)


class CountTokens(Messages):
    """POST /v1/messages/count_tokens: asked of Anthropic, which alone knows; else estimated."""

    operation = "count_tokens"
    pinned = True
    metered = False

    def call(self, ask: Ask, target: Target) -> Call:
        """Pass it on."""
        if target.wire is not Wire.ANTHROPIC:
            raise Untranslatable("count_tokens: only Anthropic's wire counts", None)
        return Call("/messages/count_tokens", _native(ask, target.model))

    def guess(self, ask: Ask) -> bytes:
        """Return an estimate from the request's size."""
        return compact({"input_tokens": ask.input_tokens})

    def answer(self, ask: Ask, target: Target, raw: bytes, now_s: float) -> Answered:
        """Pass the count on; counting is free."""
        return Answered(raw, Usage(), estimated=False)


def _native(ask: Ask, model: str) -> bytes:
    """Return the body for Anthropic itself.

    A thought without a signature came from a small model, and Anthropic would refuse it.
    """
    changes: dict[str, Any] = {"model": model}
    if b'"thinking"' in bytes(ask.document.fields["messages"]):
        turns = ask.document.get("messages")
        signed = [kept for turn in turns if (kept := _signed(turn)) is not None]
        if signed != turns:
            changes["messages"] = signed
    return ask.document.with_fields(changes)


def _signed(turn: object) -> object:
    """Return a turn without unsigned thoughts; None where it had nothing else."""
    content = turn.get("content") if isinstance(turn, dict) else None
    if not isinstance(turn, dict) or not isinstance(content, list):
        return turn
    kept = [block for block in content if not _unsigned(block)]
    if content and not kept:
        return None
    return {**turn, "content": kept}


def _unsigned(block: object) -> bool:
    if not isinstance(block, dict) or block.get("type") not in MODEL_BOUND:
        return False
    return not block.get("signature") and not block.get("data")
