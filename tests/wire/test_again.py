"""A request that is sent a second time is the same but for chance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from overspill.wire.again import asked_again

TURNS = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, {"temperature": 0.7}, id="no temperature"),
        pytest.param({"temperature": None}, {"temperature": 0.7}, id="null"),
        pytest.param({"temperature": 0}, {"temperature": 0.7}, id="none of it"),
        pytest.param({"temperature": 0.0}, {"temperature": 0.7}, id="none, as a fraction"),
        pytest.param({"temperature": 0.2}, {"temperature": 0.2}, id="the client's own"),
        pytest.param({"seed": 4}, {"temperature": 0.7, "seed": 5}, id="a seed"),
        pytest.param({"seed": None}, {"temperature": 0.7, "seed": None}, id="no seed"),
        pytest.param(
            {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": 9},
            {"temperature": 0.7, "max_tokens": 9},
            id="not streamed",
        ),
    ],
)
def test_it_is_asked_whole_and_with_chance(given: dict[str, Any], expected: dict[str, Any]) -> None:
    told = json.loads(asked_again(json.dumps({"messages": TURNS, **given}).encode()))
    assert told == {"messages": TURNS, **expected}
