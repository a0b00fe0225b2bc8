"""OpenAI Responses, the part that keeps no state: asked of every tier as a chat completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from overspill.wire import sse
from overspill.wire.ask import Ask, Call, Target, model_name, token_limit
from overspill.wire.document import Document, compact, read_json
from overspill.wire.errors import BadRequest, Wire
from overspill.wire.from_anthropic import ChatStream, completion
from overspill.wire.ingress.base import Answered, Ingress, guessed, metered
from overspill.wire.ingress.chat import is_true, translated
from overspill.wire.reading import field_of
from overspill.wire.responses_answer import ResponseStream, response
from overspill.wire.responses_request import chat_body, refuse_results_in_parts
from overspill.wire.stream import Chained
from overspill.wire.to_anthropic import messages_body
from overspill.wire.usage import estimate_tokens

if TYPE_CHECKING:
    from overspill.wire.stream import EventStream


OWN_NAMES: Final = {
    "messages": "input",
    "response_format": "text",
    "reasoning_effort": "reasoning",
}
"""What this protocol calls the fields of a chat completion."""


class Responses(Ingress):
    """POST /v1/responses."""

    operation = "chat"
    tried = True

    def read(self, raw: bytes | bytearray) -> Ask:
        """Read the fields we need, and refuse at once what needs a memory."""
        document = Document.read(raw)
        ask = Ask(
            document=document,
            model=model_name(document),
            stream=is_true(document, "stream"),
            max_tokens=token_limit(document, "max_output_tokens"),
            input_tokens=estimate_tokens(len(raw)),
            opening="input",
        )
        if document.fields.get("input") is None:
            raise BadRequest("input: text or a list of items is required", "input")
        return ask

    def call(self, ask: Ask, target: Target) -> Call:
        """Translate it."""
        chat, lossy = chat_body(ask.document.values(), limit=target.chat_limit)
        if target.wire is Wire.OPENAI:
            refuse_results_in_parts(chat)
            if target.capped and ask.max_tokens is None:
                chat[target.chat_limit] = target.max_output_tokens
            return translated(chat, lossy, target)
        limit = ask.max_tokens or target.max_output_tokens
        try:
            message, more = messages_body(chat, target.model, limit)
        except BadRequest as error:
            raise _in_own_words(error) from None
        return Call("/messages", compact(message), (*lossy, *map(_own_name, more)))

    def stream(self, ask: Ask, target: Target, now_s: float) -> EventStream:
        """Translate events."""
        last = ResponseStream(ask.document.values())
        if target.wire is Wire.OPENAI:
            return last
        return Chained(ChatStream(wants_usage=True, created_s=int(now_s)), last)

    def answer(self, ask: Ask, target: Target, raw: bytes, now_s: float) -> Answered:
        """Translate the answer."""
        guess, told = guessed(ask, raw), None
        if target.wire is Wire.ANTHROPIC:
            chat, told = completion(raw, int(now_s), guess)
            raw = compact(chat)
        body, usage = response(raw, ask.document.values())
        return metered(compact(body), told or usage, guess)

    def error_event(self, body: bytes) -> bytes:
        """Return the error event of this protocol."""
        error: dict[str, Any] = read_json(body).get("error") or {}
        told = {
            "type": "error",
            "code": error.get("code"),
            "message": error.get("message"),
            "param": error.get("param"),
        }
        return sse.event(compact(told), "error")


def _own_name(field: str) -> str:
    top = field_of(field)
    return OWN_NAMES.get(top, top) + field.removeprefix(top)


def _in_own_words(error: BadRequest) -> BadRequest:
    """Name the field that the client sent, not what it was on the way."""
    if error.param not in OWN_NAMES:
        return error
    name = OWN_NAMES[error.param]
    return type(error)(f"{name}: {error.message.partition(': ')[2]}", name)
