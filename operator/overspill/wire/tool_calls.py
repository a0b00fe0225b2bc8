"""Tool calls as chat completions tell them: whole, or piece by piece and several at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
