"""A request as every protocol at the door has it: what routing and metering need to know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

import msgspec

from overspill.wire.errors import BadRequest, Wire

if TYPE_CHECKING:
    from overspill.wire.document import Document

_HASHED_BYTES: Final = (4096, 1 << 18)
"""Of the first messages: mostly enough to tell conversations apart, and where a system prompt or an
instruction is longer, which many of them share, the second."""
_ROLE: Final = re.compile(rb'"role"\s*:\s*"(\w+)"')
_ITEM: Final = re.compile(
    rb'"(?:role"\s*:\s*"(\w+)|type"\s*:\s*"(?:reasoning|item_reference|\w+_call(?:_output)?))"'
)
"""The same of Responses, whose calls and results have no role."""
_CLOSING: Final = b" \t\r\n{}[],"


class Beginning(NamedTuple):
    """How a conversation begins, as the client tells it."""

    number: int
    """All turns of one conversation share it, and few others do."""
    goes_on: bool
    """Whether anything follows the first user message."""


class Ask(msgspec.Struct, kw_only=True):
    """A request, read as far as we need it. Token counts are estimates from its size."""

    document: Document
    model: str
    stream: bool = False
    wants_usage: bool = False
    """Whether the client asked to see the usage of a stream."""
    max_tokens: int | None = None
    input_tokens: int
    opening: str = "messages"
    """The field whose first items begin the conversation."""
    whole: Document | None = None
    """What the client sent, where turns of it were left out."""
    begun: Beginning | None = None
    """Known once somebody asked: of a long prompt it takes a look at much of it."""

    def conversation(self) -> int:
        """Return a number that all turns of one conversation share, and few others do.

        It is made of all up to the first user message: a system prompt alone is everybody's. Where
        keys stand in an unusual order, turns may differ, and only a cache hit is lost.
        """
        return self._beginning().number

    def goes_on(self) -> bool:
        """Whether anything follows the first user message: an answer, a tool's result."""
        return self._beginning().goes_on

    def turns_bytes(self) -> int:
        """Return the size of all turns as the client sent them: it grows with a conversation."""
        raw = (self.whole or self.document).fields.get(self.opening)
        return 0 if raw is None else len(memoryview(raw))

    def _beginning(self) -> Beginning:
        if self.begun is None:
            self.begun = _beginning_of(self.whole or self.document, self.opening)
        return self.begun


def _beginning_of(document: Document, opening: str) -> Beginning:
    """Look at as much of the turns as it takes to see the end of the first user's."""
    head, end = b"", None
    starts = _ITEM if opening == "input" else _ROLE
    for size in _HASHED_BYTES:
        head = document.head(opening, size)
        end = _end_of_first(head, starts)
        if end is not None or len(head) < size:
            break
    return Beginning(crc32(head[:end].rstrip(_CLOSING)), goes_on=end is not None)


def _end_of_first(head: bytes, starts: re.Pattern[bytes]) -> int | None:
    """Return where the message after the first user's begins; None where it is not in sight."""
    asked = False
    for role in starts.finditer(head):
        if asked:
            return role.start()
        asked = role[1] == b"user"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a request is worded for."""

    wire: Wire
    model: str
    max_output_tokens: int = 4096
    """Sent where the wire demands a limit and the client gave none."""
    open_model: bool = False
    """A server of open models, such as vLLM: it knows `top_k`."""
    older_limit: bool = False
    """It may know `max_tokens` only, as all but OpenAI's own hosts: see `openai.is_own`."""
    capped: bool = False
    """A budget is in force: `max_output_tokens` is sent wherever the client gave no limit."""

    @property
    def chat_limit(self) -> str:
        """What a chat completion calls its limit here."""
        return "max_tokens" if self.open_model or self.older_limit else "max_completion_tokens"


class Call(msgspec.Struct, frozen=True):
    """A request in an upstream's words."""

    endpoint: str
    """Path below the API's version, such as /chat/completions."""
    body: bytes
    lossy: tuple[str, ...] = ()
    """Fields that were left out: they only nudge, and the wire has no word for them."""


def token_limit(document: Document, *names: str, least: int = 1) -> int | None:
    """Return the first of these limits that is given. Raises: BadRequest."""
    for name in names:
        if name not in document.fields:
            continue
        value = document.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            kind = "a positive integer" if least else "an integer from 0 on"
            raise BadRequest(f"{name}: {kind} is required, not {value!r}", name)
        return value
    return None


def model_name(document: Document) -> str:
    """Return the model asked for. Raises: BadRequest."""
    model = document.text("model")
    if model is None:
        raise BadRequest("model: a string is required", "model")
    return model
