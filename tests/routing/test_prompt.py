"""What a request asks, as one text."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.routing.prompt import LATER_TURN, prompt_of, text_of
from overspill.wire.document import Document

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


@pytest.mark.parametrize(
    ("body", "opening", "expected"),
    [
        pytest.param(b'{"messages":[{"role":"user","content":"hi"}]}', "messages", "hi", id="chat"),
        pytest.param(b'{"input":"hi"}', "input", "hi", id="a text"),
        pytest.param(b'{"prompt":"hi"}', "prompt", "hi", id="a completion"),
        pytest.param(
            b'{"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]}',
            "input",
            "hi",
            id="Responses",
        ),
        pytest.param(b'{"prompt":["hi","ho"]}', "prompt", "", id="several prompts"),
        pytest.param(
            b'{"messages":[7,{"role":"user","content":"hi"}]}', "messages", "hi", id="odd"
        ),
        pytest.param(b'{"messages":5}', "messages", "", id="no messages"),
        pytest.param(b"{}", "messages", "", id="nothing"),
    ],
)
def test_every_wire_has_a_text(body: bytes, opening: str, expected: str) -> None:
    assert prompt_of(Document.read(body), opening) == expected


def test_later_turns_are_known_as_such() -> None:
    assert LATER_TURN in text_of([USER, SAID, LAST])
    assert LATER_TURN not in text_of([USER])


def test_tools_of_either_wire_read_alike() -> None:
    schema = {"type": "object", "properties": {}}
    openai = {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": schema},
    }
    anthropic = {"name": "f", "description": "d", "input_schema": schema}
    assert text_of([USER], [openai]) == text_of([USER], [anthropic])
    assert '[functions] [{"name": "f"' in text_of([USER], [openai])
