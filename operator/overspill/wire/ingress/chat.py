"""OpenAI chat completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from overspill.wire import openai
from overspill.wire.ask import Ask, Call, Target, model_name, token_limit
from overspill.wire.document import Document, compact
from overspill.wire.errors import BadRequest, Wire
from overspill.wire.from_anthropic import ChatStream, completion
from overspill.wire.ingress.base import Answered, Ingress, guessed, metered
from overspill.wire.to_anthropic import messages_body
from overspill.wire.tool_calls import with_short_ids, without_empty_calls
from overspill.wire.usage import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.wire.stream import EventStream

BOOLEANS: Final = {b"true": True, b"false": False, b"null": False}
NUDGES: Final = ("top_k", "min_p", "repetition_penalty")
"""How servers of open models may be told to draw words; OpenAI answers 400 to unknown fields."""
LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})
"""Names of the most output tokens. Hosts know the older, OpenAI's models the newer, few both."""
INCLUDE_USAGE: Final = msgspec.Raw(b'{"include_usage":true}')


def passed_on(ask: Ask, target: Target, limit: str) -> bytes:
    """Return the body as the client wrote it, for the target, with usage always asked for.

    `limit` is what this call names its most output tokens.
    """
    changes: dict[str, Any] = {"model": target.model}
    if target.capped and ask.max_tokens is None:
        changes[limit] = target.max_output_tokens
    if ask.stream:
        options = ask.document.get("stream_options")
        changes["stream_options"] = (
            {**options, "include_usage": True} if isinstance(options, dict) else INCLUDE_USAGE
        )
    return ask.document.with_fields(changes)


def is_true(document: Document, name: str) -> bool:
    """Whether a field is `true`.

    Raises: BadRequest where it is neither true nor false: servers read 1 in one way or the other.
    """
    raw = document.fields.get(name)
    if raw is None:
        return False
    said = BOOLEANS.get(bytes(raw))
    if said is None:
        raise BadRequest(f"{name}: true or false is required", name)
    return said


def wants_usage(document: Document) -> bool:
    """Whether the client asked for the usage chunk of a stream."""
    options = document.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _as_hosts_take(ask: Ask, limit: str) -> tuple[Ask, tuple[str, ...]]:
    """Return a request without what servers of open models say or take and others refuse.

    `limit` is what the host calls the most output tokens. Beside it, the fields that were lost.
    """
    given = bytes(ask.document.fields["messages"])
    taken = without_empty_calls(with_short_ids(given))
    if taken == given and ask.document.fields.keys().isdisjoint({*LIMITS, *NUDGES} - {limit}):
        return ask, ()
    fields = {**ask.document.fields, "messages": msgspec.Raw(taken)}
    for name in LIMITS:
        fields.pop(name, None)
    if ask.max_tokens is not None:
        fields[limit] = msgspec.Raw(b"%d" % ask.max_tokens)
    nudges = {name: fields.pop(name) for name in NUDGES if name in fields}
    lost = tuple(name for name, value in nudges.items() if bytes(value) != b"null")
    return msgspec.structs.replace(ask, document=Document(fields)), lost


def translated(chat: dict[str, Any], lossy: Sequence[str], target: Target) -> Call:
    """Return the call for a request that was put in the words of a chat completion."""
    body = compact({"model": target.model, **chat})
    return Call(
        "/chat/completions", body if target.open_model else with_short_ids(body), tuple(lossy)
    )


class ChatCompletions(Ingress):
    """POST /v1/chat/completions."""

    operation = "chat"
    tried = True

    def read(self, raw: bytes | bytearray) -> Ask:
        """Read the fields we need; the rest passes through untouched."""
        document = Document.read(raw)
        if not document.lists("messages"):
            raise BadRequest("messages: a list with at least one message is required", "messages")
        stream = is_true(document, "stream")
        return Ask(
            document=document,
            model=model_name(document),
            stream=stream,
            wants_usage=stream and wants_usage(document),
            max_tokens=token_limit(document, "max_completion_tokens", "max_tokens"),
            input_tokens=estimate_tokens(len(raw)),
        )

    def call(self, ask: Ask, target: Target) -> Call:
        """Pass it on, or translate it."""
        if target.wire is Wire.OPENAI:
            limit = target.chat_limit
            told, lost = (ask, ()) if target.open_model else _as_hosts_take(ask, limit)
            return Call("/chat/completions", passed_on(told, target, limit), lost)
        most = ask.max_tokens or target.max_output_tokens
        message, lossy = messages_body(ask.document.values(), target.model, most)
        return Call("/messages", compact(message), tuple(lossy))

    def stream(self, ask: Ask, target: Target, now_s: float) -> EventStream:
        """Pass events on, or translate them."""
        if target.wire is Wire.OPENAI:
            return openai.PassedStream(wants_usage=ask.wants_usage)
        return ChatStream(wants_usage=ask.wants_usage, created_s=int(now_s))

    def answer(self, ask: Ask, target: Target, raw: bytes, now_s: float) -> Answered:
        """Pass the answer on, or translate it."""
        guess = guessed(ask, raw)
        if target.wire is Wire.OPENAI:
            return metered(raw, openai.usage_in(raw), guess)
        body, usage = completion(raw, int(now_s), guess)
        return metered(compact(body), usage, guess)
