"""What a request asks, as one text: the same form in live traffic and in files of examples.

The last user turn comes first, because of a long text the score reads only the beginning and the
end; then earlier user turns, each marked; then the tools as JSON. System prompts are left out: an
app sends the same one with each request.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from overspill.wire.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from overspill.wire.document import Document


LATER_TURN: Final = "\n\n[turn "
"""Stands in the text of what is not its conversation's first turn."""


def text_of(messages: Iterable[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the text of OpenAI or Anthropic messages and tools.

    What has another shape than either wire's counts as empty: judging a request is no reason to
    refuse it.
    """
    turns = [_words(one.get("content")) for one in messages if one.get("role") == "user"]
    turns = [turn for turn in turns if turn]
    parts = turns[-1:]
    parts += [f"[turn {place}] {turn}" for place, turn in enumerate(turns[:-1], start=1)]
    if tools:
        parts.append("[functions] " + json.dumps([_function(one) for one in tools]))
    return "\n\n".join(parts)


def prompt_of(document: Document, opening: str) -> str:
    """Return the text of a request of any wire; `opening` names the field of its messages.

    A request that cannot be read in this respect has none.
    """
    try:
        asked, tools = document.get(opening), document.get("tools")
    except BadRequest:
        return ""
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    return text_of(_objects(messages), _objects(tools))


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _words(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Put a tool of either wire into one shape: name, description, parameters."""
    inner = tool.get("function")
    said = inner if isinstance(inner, dict) else tool
    schema = said.get("parameters", said.get("input_schema"))
    return {
        "name": said.get("name"),
        "description": said.get("description"),
        "parameters": schema,
    }
