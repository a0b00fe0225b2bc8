"""Which conversation a request belongs to, and whether it is its first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from overspill.wire.ingress import INGRESSES

if TYPE_CHECKING:
    from overspill.wire.ask import Ask

USER = {"role": "user", "content": "What is on my calendar?"}
OPENAI: list[dict[str, Any]] = [
    USER,
    {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {}}]},
    {"role": "tool", "tool_call_id": "1", "content": "nothing"},
]
ANTHROPIC: list[dict[str, Any]] = [
    USER,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "no"}]},
]
RESPONSES: list[dict[str, Any]] = [
    USER,
    {"type": "reasoning", "summary": []},
    {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "1", "output": "nothing"},
    {"role": "assistant", "content": "It is empty."},
]
WIRES = [
    pytest.param("/v1/chat/completions", "messages", OPENAI, id="chat"),
    pytest.param("/v1/messages", "messages", ANTHROPIC, id="Messages"),
    pytest.param("/v1/responses", "input", RESPONSES, id="Responses"),
]


def ask(path: str, field: str, turns: list[dict[str, Any]]) -> Ask:
    body = {"model": "m", "max_tokens": 9, field: turns}
    return INGRESSES[path].read(json.dumps(body).encode())


@pytest.mark.parametrize(("path", "field", "turns"), WIRES)
def test_calls_of_tools_and_their_results_are_of_one_conversation(
    path: str, field: str, turns: list[dict[str, Any]]
) -> None:
    steps = [ask(path, field, turns[:many]) for many in range(1, len(turns) + 1)]
    assert len({step.conversation() for step in steps}) == 1
    assert [step.goes_on() for step in steps] == [False] + [True] * (len(turns) - 1)
    sizes = [step.turns_bytes() for step in steps]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(("path", "field", "turns"), WIRES)
def test_another_question_is_another_conversation(
    path: str, field: str, turns: list[dict[str, Any]]
) -> None:
    other = [{"role": "user", "content": "What is in my mail?"}, *turns[1:]]
    assert ask(path, field, turns).conversation() != ask(path, field, other).conversation()


def test_what_is_one_text_is_no_conversation_that_goes_on() -> None:
    found = INGRESSES["/v1/responses"].read(b'{"model": "m", "input": "hi"}')
    assert (found.goes_on(), found.turns_bytes()) == (False, 4)
