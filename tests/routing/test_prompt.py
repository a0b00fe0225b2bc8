"""What a request asks, as one text."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.routing.prompt import text_of

USER = {"role": "user", "content": "first"}
SAID = {"role": "assistant", "content": "well"}
LAST = {"role": "user", "content": [{"type": "text", "text": "last"}, {"type": "image"}]}
CASES = [
    pytest.param([USER], "first", id="one turn"),
    pytest.param([USER, SAID, LAST], "last\n\n[turn 1] first", id="the last turn stands first"),
    pytest.param([{"role": "system", "content": "be kind"}, USER], "first", id="no system prompt"),
    pytest.param([{"role": "user", "content": 5}], "", id="another shape is empty"),
    pytest.param([], "", id="nothing"),
]


@pytest.mark.parametrize(("messages", "expected"), CASES)
def test_the_users_turns_are_the_text(messages: list[dict[str, Any]], expected: str) -> None:
    assert text_of(messages) == expected


def test_tools_of_either_wire_read_alike() -> None:
    schema = {"type": "object", "properties": {}}
    openai = {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": schema},
    }
    anthropic = {"name": "f", "description": "d", "input_schema": schema}
    assert text_of([USER], [openai]) == text_of([USER], [anthropic])
    assert '[functions] [{"name": "f"' in text_of([USER], [openai])
