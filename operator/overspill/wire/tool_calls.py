"""Tool calls as chat completions tell them: whole, or piece by piece and several at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

LONGEST_ID: Final = 40
"""OpenAI's chat completions, and Azure's, have answered 400 to longer ids of calls ("string too
long"). Those of vLLM have 46 characters, and conversations move from one to the other."""
_GIVEN: Final = re.compile(rb'("(?:tool_call_)?id"\s*:\s*)"([^"\\]{%d,})"' % (LONGEST_ID + 1))
_NONE: Final = re.compile(
    rb',\s*"tool_calls"\s*:\s*\[\s*\]|"tool_calls"\s*:\s*\[\s*\]\s*,\s*'  # last, or first
)
_ANSWERED: Final = re.compile(rb'"tool_call_id"\s*:\s*"([^"\\]{%d,})"' % (LONGEST_ID + 1))


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a call is known by; `number` counts the calls of an answer from 0."""

    number: int
    call_id: str
    name: str


class ToolCalls:
    """Tells the calls of one answer apart.

    A piece belongs to the call with its index. Some servers leave the index out or number every
    call 0: there, another id with a name begins another call.
    """

    __slots__ = ("_answer", "_count", "_given", "_last", "_of")

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self._of: dict[int, ToolCall] = {}
        self._given: dict[int, str] = {}
        self._count = self._last = 0

    def take(self, piece: dict[str, Any]) -> tuple[ToolCall, str]:
        """Return the call that a piece belongs to, and the arguments that it adds.

        Raises: ValueError where a call begins without a name, or its arguments are not text.
        """
        index = piece.get("index")
        if not isinstance(index, int):
            index = self._last
        self._last = index
        given = piece.get("id") or ""
        function = piece.get("function") or {}
        name = function.get("name")
        if index not in self._of or (name and given and given != self._given[index]):
            self._begin(index, name, given)
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            raise ValueError("arguments are not text")
        return self._of[index], arguments

    def _begin(self, index: int, name: object, given: str) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError("a call names no function")
        number = self._count
        self._count += 1
        call_id = given or f"call_{self._answer}_{number}"  # ids may not repeat in a conversation
        self._of[index] = ToolCall(number, call_id, name)
        self._given[index] = given


def pieces_in(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pieces of calls in a message or a delta, the older `function_call` included."""
    pieces: list[dict[str, Any]] = list(said.get("tool_calls") or [])
    if said.get("function_call"):
        pieces.append({"function": said["function_call"]})
    return pieces


def calls_in(said: dict[str, Any], answer: str) -> list[tuple[ToolCall, str]]:
    """Return the calls of a whole message with their arguments. Raises: ValueError."""
    calls = ToolCalls(answer)
    return [calls.take({**piece, "index": index}) for index, piece in enumerate(pieces_in(said))]


def with_short_ids(body: bytes) -> bytes:
    """Return a chat completion request whose calls have ids that OpenAI takes.

    The same id becomes the same, in a call as in its result; every other byte stays.
    """
    long = set(_ANSWERED.findall(body)) if b'"tool_call_id"' in body else set[bytes]()
    if not long:
        return body
    return _GIVEN.sub(lambda found: _shortened(found) if found[2] in long else found[0], body)


def _shortened(found: re.Match[bytes]) -> bytes:
    return b'%b"call_%b"' % (found[1], sha256(found[2]).hexdigest()[:32].encode())


def without_empty_calls(messages: bytes) -> bytes:
    """Return the messages of a chat completion without `"tool_calls":[]`.

    vLLM says so of an answer that calls nothing, the official client sends it back, and OpenAI
    answers 400 to it ("empty array").
    """
    return _NONE.sub(b"", messages) if b'"tool_calls"' in messages else messages
