"""OpenAI's other model calls: passed on to providers of that wire, metered on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overspill.wire import openai
from overspill.wire.ask import Ask, Call, Target, model_name, token_limit
from overspill.wire.document import Document
from overspill.wire.errors import BadRequest, Untranslatable, Wire
from overspill.wire.ingress.base import Answered, Ingress, guessed, metered
from overspill.wire.ingress.chat import is_true, passed_on, wants_usage
from overspill.wire.usage import estimate_tokens, is_whole

if TYPE_CHECKING:
    from overspill.wire.stream import EventStream


class Completions(Ingress):
    """POST /v1/completions, the older way to ask: text in, text out."""

    operation = "text_completion"

    def read(self, raw: bytes | bytearray) -> Ask:
        """Read the fields we need."""
        document = Document.read(raw)
        if document.fields.get("prompt") is None:
            raise BadRequest("prompt: text or a list is required", "prompt")
        stream = is_true(document, "stream")
        return Ask(
            document=document,
            model=model_name(document),
            stream=stream,
            wants_usage=stream and wants_usage(document),
            max_tokens=token_limit(document, "max_tokens", least=0),  # 0 scores the prompt
            input_tokens=estimate_tokens(len(raw)),
            opening="prompt",
        )

    def call(self, ask: Ask, target: Target) -> Call:
        """Pass it on."""
        if target.wire is not Wire.OPENAI:
            raise Untranslatable("prompt: Anthropic's wire has no such call; use chat", "prompt")
        return Call("/completions", passed_on(ask, target, "max_tokens"))

    def stream(self, ask: Ask, target: Target, now_s: float) -> EventStream:
        """Pass events on."""
        return openai.PassedStream(wants_usage=ask.wants_usage)

    def answer(self, ask: Ask, target: Target, raw: bytes, now_s: float) -> Answered:
        """Pass the answer on."""
        return metered(raw, openai.usage_in(raw), guessed(ask, raw))


class Embeddings(Ingress):
    """POST /v1/embeddings.

    Vectors of two models cannot be compared, so that the model asked for decides who answers, and
    nothing spills: the small model where it is named, else a provider, under the name asked for.
    """

    operation = "embeddings"
    pinned = True
    generates = False

    def read(self, raw: bytes | bytearray) -> Ask:
        """Read the fields we need."""
        document = Document.read(raw)
        if document.fields.get("input") is None:
            raise BadRequest("input: text or a list is required", "input")
        return Ask(
            document=document,
            model=model_name(document),
            input_tokens=estimate_tokens(len(raw)),
            opening="input",
        )

    def call(self, ask: Ask, target: Target) -> Call:
        """Pass it on, under the model's own name."""
        if target.wire is not Wire.OPENAI:
            raise Untranslatable("input: Anthropic's wire has no embeddings", "input")
        model = target.model if target.open_model else ask.model
        return Call("/embeddings", ask.document.with_fields({"model": model}))

    def stream(self, ask: Ask, target: Target, now_s: float) -> EventStream:
        """Not reached: embeddings do not stream."""
        return openai.PassedStream(wants_usage=False)

    def answer(self, ask: Ask, target: Target, raw: bytes, now_s: float) -> Answered:
        """Pass the answer on."""
        usage = openai.usage_in(raw)
        return Answered(raw, usage, estimated=not is_whole(usage, generates=False))
