"""However the network cuts a stream, and however its server writes it, the client gets the same."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.wire import sse
from tests.wire.streams import PAIRS, ROADS, STREAMS, Road, run

EVERY = [pytest.param(name, road, id=f"{name} {road.path} {road.usage}") for name, road in PAIRS]


@pytest.mark.parametrize(("name", "road"), EVERY)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_pieces_of_one_size_make_the_same_stream(name: str, road: Road, size: int) -> None:
    raw = STREAMS[name]
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert run(road.open(name), pieces) == run(road.open(name), [raw])


@st.composite
def cuts(draw: st.DrawFn) -> tuple[str, Road, list[bytes]]:
    """A stream, cut anywhere, and most often about the end of an event."""
    name, road = draw(st.sampled_from(PAIRS))
    raw = STREAMS[name]
    ends = [at for at in range(1, len(raw)) if raw[at - 1] in b"\r\n"]
    near = st.builds(lambda at, by: at + by, st.sampled_from(ends), st.integers(-3, 3))
    places = draw(st.lists(st.one_of(near, st.integers(0, len(raw))), max_size=12))
    bounds = sorted({0, len(raw), *(at for at in places if 0 < at < len(raw))})
    return name, road, [raw[start:end] for start, end in itertools.pairwise(bounds)]


@settings(max_examples=600, deadline=None, derandomize=True)
@given(cuts())
def test_random_pieces_make_the_same_stream(cut: tuple[str, Road, list[bytes]]) -> None:
    name, road, pieces = cut
    assert run(road.open(name), pieces) == run(road.open(name), [STREAMS[name]])


BOM = "\ufeff".encode()
SAME_AS = {
    "openai_usage": ["crlf", "cr", "no_space", "comments", "comments_attached", "no_last_blank",
                     "one_newline_last", "blank_lines", "pretty", "escaped", "bom", "after_done"],
    "anthropic_plain": ["crlf", "no_space", "no_last_blank", "comments", "pings", "data_only",
                        "bom"],
}  # fmt: skip
VARIANTS = [
    pytest.param(f"{same.partition('_')[0]}_{name}", same, road, id=f"{same} {name} {road.path}")
    for same, variants in SAME_AS.items()
    for name in variants
    for road in ROADS
]


@pytest.mark.parametrize(("name", "same", "road"), VARIANTS)
def test_how_a_server_writes_events_makes_no_difference(name: str, same: str, road: Road) -> None:
    made = run(road.open(name), [STREAMS[name]])
    plain = run(road.open(same), [STREAMS[same]])
    assert said(made.out) == said(plain.out)
    assert (made.usage, made.done, made.failed) == (plain.usage, plain.done, plain.failed)


def said(out: bytes) -> list[Any]:
    """The data of all events, parsed; without pings and nulls, which say nothing."""
    framer = sse.EventFramer()
    events = [*framer.feed(out.removeprefix(BOM)), framer.rest()]
    found = [data for event in events if (data := sse.data_of(event))]
    parsed = [{} if data == b"[DONE]" else json.loads(data) for data in found]
    return [_told(one) for one in parsed if one.get("type") != "ping"]


def _told(chunk: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chunk.items() if value is not None}


ENDED = [name for name in STREAMS if name.rpartition("_")[2] not in ("error", "cut")]


@pytest.mark.parametrize(("name", "road"), EVERY)
def test_only_a_stream_with_its_end_is_done(name: str, road: Road) -> None:
    made = run(road.open(name), [STREAMS[name]])
    assert made.done == (name in ENDED)
    assert (made.failed is not None) == name.endswith("error")
    ends = (b"data: [DONE]", b"data:[DONE]", b'"message_stop"', b'"response.completed"')
    assert any(end in made.out for end in ends) == made.done
