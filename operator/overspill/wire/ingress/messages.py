"""Anthropic's Messages: passed on to Anthropic, translated for everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from overspill.wire import anthropic, from_openai
from overspill.wire.ask import Ask, Call, Target, model_name, token_limit
from overspill.wire.document import Document, compact
from overspill.wire.errors import BadRequest, Untranslatable, Wire
from overspill.wire.ingress.base import Answered, Ingress, guessed, metered
from overspill.wire.ingress.chat import is_true, translated
from overspill.wire.to_openai import MODEL_BOUND, chat_body, wants_thinking
from overspill.wire.usage import Usage, estimate_tokens

if TYPE_CHECKING:
    from overspill.wire.stream import EventStream

CALL_AND_RESULT: Final = 2
"""Turns."""
_THINKING_BYTES: Final = 256


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
            return Call("/messages", *_native(ask, target.model))
        chat, lossy = chat_body(
            ask.document.values(), open_model=target.open_model, limit=target.chat_limit
        )
        return translated(chat, lossy, target)

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
        return Call("/messages/count_tokens", *_native(ask, target.model))

    def guess(self, ask: Ask) -> bytes:
        """Return an estimate from the request's size."""
        return compact({"input_tokens": ask.input_tokens})

    def answer(self, ask: Ask, target: Target, raw: bytes, now_s: float) -> Answered:
        """Pass the count on; counting is free."""
        return Answered(raw, Usage(), estimated=False)


def _native(ask: Ask, model: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the body for Anthropic itself, and the fields it left out.

    A thought without a signature came from a small model, and Anthropic would refuse it.
    """
    changes: dict[str, Any] = {"model": model}
    if b'"thinking"' in bytes(ask.document.fields["messages"]):
        turns = ask.document.get("messages")
        signed = [kept for turn in turns if (kept := _signed(turn)) is not None]
        if signed != turns:
            changes["messages"] = signed
    if _thinks(ask) and _calls_without_thought(changes.get("messages", ask.document)):
        changes["thinking"] = None
        return ask.document.with_fields(changes), ("thinking",)
    return ask.document.with_fields(changes), ()


def _thinks(ask: Ask) -> bool:
    """Whether thinking is on throughout; where it is adaptive, no turn has to begin with it."""
    return b'"enabled"' in ask.document.head("thinking", _THINKING_BYTES)


def _calls_without_thought(told: Document | list[Any]) -> bool:
    """Whether tools are being called by a model that showed no thought.

    With thinking on, Anthropic answers 400 to such a turn, and says to turn it off.
    """
    turns = told.get("messages") if isinstance(told, Document) else told
    if len(turns) < CALL_AND_RESULT or not any(map(_is_result, _blocks(turns[-1]))):
        return False
    said = _blocks(turns[-2])
    return bool(said) and not (isinstance(said[0], dict) and said[0].get("type") in MODEL_BOUND)


def _blocks(turn: object) -> list[Any]:
    content = turn.get("content") if isinstance(turn, dict) else None
    return content if isinstance(content, list) else []


def _is_result(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_result"


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
