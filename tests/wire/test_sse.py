"""A byte stream is cut into events, each exactly once, however the network cut it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.wire.sse import DONE, EventFramer, data_of, event

CASES = [
    pytest.param(b"data: a\n\n", [b"data: a\n\n"], id="one event"),
    pytest.param(b"data: a\n\ndata: b\n\n", [b"data: a\n\n", b"data: b\n\n"], id="two events"),
    pytest.param(
        b"data: a\r\n\r\ndata: b\r\n\r\n", [b"data: a\r\n\r\n", b"data: b\r\n\r\n"], id="CRLF"
    ),
    pytest.param(b"data: a\r\rdata: b\r\r", [b"data: a\r\r", b"data: b\r\r"], id="CR"),
    pytest.param(b"data: a\r\n\n", [b"data: a\r\n\n"], id="mixed line ends"),
    pytest.param(
        b"data: a\n\rdata: b\r\n\rx",
        [b"data: a\n\r", b"data: b\r\n\r"],
        id="LF or CRLF, then CR",
    ),
    pytest.param(b": ping\n\n", [b": ping\n\n"], id="comment"),
    pytest.param(b"event: x\ndata: a\n\n", [b"event: x\ndata: a\n\n"], id="named"),
    pytest.param(b"data: a", [], id="not complete yet"),
    pytest.param(b"", [], id="nothing"),
]


@pytest.mark.parametrize(("stream", "events"), CASES)
def test_framer_emits_each_event_exactly_once(stream: bytes, events: list[bytes]) -> None:
    assert EventFramer().feed(stream) == events


@pytest.mark.parametrize(("stream", "events"), CASES)
def test_a_byte_at_a_time_makes_no_difference(stream: bytes, events: list[bytes]) -> None:
    framer = EventFramer()
    assert [e for n in range(len(stream)) for e in framer.feed(stream[n : n + 1])] == events


pieces = st.lists(
    st.sampled_from(
        [b"data: x\n\n", "data: \u20ac\r\n\r\n".encode(), b": c\n\n", b"data: [DONE]\n\n"]
    ),
    max_size=8,
)


@given(pieces, st.lists(st.integers(min_value=0, max_value=200), max_size=12))
def test_random_cuts_change_nothing(events: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(events)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    framer = EventFramer()
    seen = [
        found
        for start, end in itertools.pairwise(bounds)
        for found in framer.feed(stream[start:end])
    ]
    assert seen == events
    assert framer.rest() == b""


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=200))
def test_no_byte_is_lost_or_made_up(stream: bytes, cut: int) -> None:
    framer = EventFramer()
    seen = framer.feed(stream[:cut]) + framer.feed(stream[cut:])
    assert b"".join(seen) + framer.rest() == stream


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"event: x\r\ndata: a\r\n\r\n", b"a"),
        (b": comment\n\n", b""),
        (b"data\n\n", b""),
        (b"id: 1\nretry: 5\ndata: a\n\n", b"a"),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
        (DONE, b"[DONE]"),
    ],
)
def test_the_data_of_an_event(raw: bytes, data: bytes) -> None:
    assert data_of(raw) == data


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1))
def test_an_event_we_write_is_read_back(text: str) -> None:
    raw = event(text.encode(), "message")
    assert EventFramer().feed(raw) == [raw]
    assert data_of(raw) == text.encode()
