"""What of a stream only announces an answer."""

from __future__ import annotations

import json

import pytest

from overspill.wire.preamble import begun
from tests.wire.streams import STREAMS


def chunk(delta: object, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def event(kind: str, **more: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


ROLE = {"role": "assistant", "content": ""}
CASES = [
    pytest.param(b"", False, id="nothing"),
    pytest.param(b": waiting\n\n", False, id="a comment"),
    pytest.param(chunk(ROLE), False, id="a role"),
    pytest.param(chunk({"role": "assistant"}), False, id="a role alone"),
    pytest.param(
        chunk({**ROLE, "refusal": None, "tool_calls": []}), False, id="a role and empty fields"
    ),
    pytest.param(chunk({**ROLE, "content": "Hi"}), True, id="a role with text"),
    pytest.param(chunk({"role": "assistant", "audio": {"id": "a"}}), True, id="a role with more"),
    pytest.param(chunk(ROLE, "stop"), True, id="an empty answer's end"),
    pytest.param(chunk({"content": ""}), True, id="an empty delta, from whoever sends such"),
    pytest.param(chunk(ROLE) + chunk({"content": "Hi"}), True, id="a role, then text"),
    pytest.param(b": waiting\n\n" + chunk(ROLE), False, id="a comment, then a role"),
    pytest.param(b"data: [DONE]\n\n", True, id="the end"),
    pytest.param(b'data: {"error":{"message":"no"}}\n\n', True, id="an error"),
    pytest.param(b'data:{"choices":[]}\r\n\r\n', True, id="usage alone, and other line ends"),
    pytest.param(
        event("message_start", message={"content": []}) + event("ping"), False, id="a message"
    ),
    pytest.param(event("ping") + event("content_block_start", index=0), True, id="a block"),
    pytest.param(event("response.created") + event("response.in_progress"), False, id="a response"),
    pytest.param(
        event("response.created") + event("response.output_item.added"), True, id="an item"
    ),
]


@pytest.mark.parametrize(("stream", "expected"), CASES)
def test_an_answer_begins_with_the_first_event_that_does_more_than_announce_it(
    stream: bytes, expected: bool
) -> None:
    assert begun(stream) is expected


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_every_recorded_stream_begins_before_its_end(name: str) -> None:
    assert begun(STREAMS[name])
