"""Upstreams that say too much, too little, or something nobody asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Client, Got, How, Script, client, post
from tests.sidecar.replies import EVENT_STREAM, Framing, Outcome, Wire
from tests.sidecar.scene import ROADS, Road, Scene, asking, scene

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SMALL, OPENAI, ANTHROPIC, MESSAGES = ROADS
OTHER = ("from", " the ", "other")
JSON = replies.whole(Wire.OPENAI)
SSE = b"".join(replies.openai_events())
SECOND = b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"evil":true}'


def response(length: int | None, body: bytes, kind: str = "application/json") -> bytes:
    """A response that claims this length, or none."""
    claim = "" if length is None else f"content-length: {length}\r\n"
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{claim}\r\n".encode() + body


def stream(length: int | None, body: bytes) -> bytes:
    """The same for events."""
    return response(length, body, EVENT_STREAM)


@dataclass(frozen=True, slots=True)
class Row:
    """What the first upstream says, how it ends, and what must come of it."""

    said: bytes
    then: How | None
    outcome: Outcome
    stream: bool = False


def rows(
    name: str,
    said: bytes,
    outcome: Outcome,
    *,
    stream: bool = False,
    ways: Iterable[How] = How,
    marks: Iterable[pytest.MarkDecorator] = (),
) -> list[Any]:
    """The same with every ending."""
    return [
        pytest.param(Row(said, how, outcome, stream), id=f"{name}, {how}", marks=tuple(marks))
        for how in ways
    ]


LENGTHS = [
    *rows("JSON shorter than its length", response(len(JSON) + 1, JSON), Outcome.FAILOVER),
    *rows("JSON longer than its length", response(len(JSON) - 1, JSON), Outcome.FAILOVER),
    *rows("JSON of length 0", response(0, JSON), Outcome.FAILOVER),
    *rows(
        "stream shorter than its length", stream(len(SSE) + 9, SSE), Outcome.COMPLETE, stream=True
    ),
    *rows(
        "stream that is cut by its length",
        stream(len(SSE) - 9, SSE),
        Outcome.BROKEN,
        stream=True,
    ),
    *rows("stream of length 0", stream(0, SSE), Outcome.FAILOVER, stream=True),
    *rows("whole JSON until close", response(None, JSON)[:-1], Outcome.FAILOVER),
    pytest.param(Row(response(None, JSON), How.FIN, Outcome.COMPLETE), id="JSON until close, FIN"),
    pytest.param(
        Row(response(None, JSON), How.STALL, Outcome.FAILOVER), id="JSON until close, stall"
    ),
    *rows("stream until close", stream(None, SSE), Outcome.COMPLETE, stream=True),
    *rows(
        "stream until close, without its end",
        stream(None, SSE.removesuffix(replies.openai_events()[-1])),
        Outcome.BROKEN,
        stream=True,
    ),
    *rows(
        "stream until close, cut mid event",
        stream(None, SSE[:400]),
        Outcome.BROKEN,
        stream=True,
        ways=[How.FIN, How.RST],
    ),
    *rows(
        "stream until close, mute mid event",
        stream(None, SSE[:400]),
        Outcome.BROKEN,
        stream=True,
        ways=[How.STALL],
    ),
]


@pytest.mark.parametrize("row", LENGTHS)
def test_a_length_that_lies_never_makes_an_answer(tmp_path: Path, row: Row) -> None:
    async def story() -> None:
        async with scene(tmp_path, SMALL, script(row), other=duty(row)) as made:
            got = await made.ask(stream=row.stream)
            judge(row, made, got)
            assert await made.in_flight() == 0

    play(story(), patient=row.then is How.STALL)


def script(row: Row) -> Script:
    return Script(says=(row.said,), then=row.then)


def duty(row: Row) -> bytes:
    if row.stream:
        return replies.good_stream(Wire.OPENAI, OTHER)
    return replies.good_whole(Wire.OPENAI, "".join(OTHER))


def judge(row: Row, made: Scene, got: Got) -> None:
    """The answer, and who was asked for it."""
    complete = row.outcome is not Outcome.BROKEN
    assert (got.status, got.complete) == (200, complete)
    assert len(made.first.asked) == 1
    assert len(made.other.asked) == int(row.outcome is Outcome.FAILOVER)
    if row.outcome is Outcome.FAILOVER:
        assert b"other" in got.body
    elif row.outcome is Outcome.BROKEN:
        assert b"[DONE]" not in got.body
        *relayed, error, rest = got.body.split(b"\n\n")
        assert (rest, b"broke off" in error) == (b"", True)
        assert SSE.startswith(b"\n\n".join(relayed) + b"\n\n")
    elif row.stream:
        assert got.body == without_usage(SSE)
    else:
        assert got.body == JSON


def without_usage(events: bytes) -> bytes:
    """What a client gets that did not ask for usage."""
    kept = [event for event in events.split(b"\n\n") if b'"usage"' not in event]
    return b"\n\n".join(kept)


GOOD_JSON = replies.good_whole(Wire.OPENAI)
GOOD_STREAM = replies.good_stream(Wire.OPENAI)
CHUNKED_JSON = replies.framed(Framing.CHUNKED, [JSON[:50], JSON[50:]])


def followed(name: str, said: bytes, *marks: pytest.MarkDecorator, stream: bool = False) -> Any:  # noqa: ANN401 - a ParameterSet
    """An answer and what follows it, in one piece; the connection stays open."""
    return pytest.param(Row(said, None, Outcome.COMPLETE, stream), id=name, marks=marks)


MORE = [
    followed("JSON, then garbage", GOOD_JSON + b"garbage"),
    followed("JSON, then an answer", GOOD_JSON + SECOND),
    followed("JSON, then half an answer", GOOD_JSON + SECOND[:40]),
    followed("JSON, then an error", GOOD_JSON + SECOND.replace(b"200", b"400")),
    followed("JSON in chunks, then an answer", CHUNKED_JSON + SECOND),
    followed("stream, then an answer", GOOD_STREAM + SECOND, stream=True),
    followed("stream twice", GOOD_STREAM + GOOD_STREAM, stream=True),
]


@pytest.mark.parametrize("row", MORE)
def test_what_follows_an_answer_belongs_to_nobody(tmp_path: Path, row: Row) -> None:
    async def story() -> None:
        async with scene(tmp_path, SMALL, script(row), other=duty(row)) as made:
            for number in (1, 2):
                got = await made.ask(stream=row.stream)
                assert (got.status, got.complete) == (200, True)
                assert got.body == (without_usage(SSE) if row.stream else JSON)
                assert made.other.asked == []
                assert len(made.first.asked) == made.first.accepted == number

    play(story())


def test_an_answer_nobody_asked_for_is_not_the_next_ones(tmp_path: Path) -> None:
    async def story() -> None:
        said = (GOOD_JSON, SECOND)  # the second one comes when the connection is idle
        script = Script(says=said)
        async with scene(tmp_path, SMALL, script, other=b"") as made:
            for number in (1, 2):
                got = await made.ask(stream=False)
                assert (got.status, got.body) == (200, JSON)
                assert len(made.first.asked) == number

    play(story())


def test_what_follows_the_end_marker_is_not_passed_on(tmp_path: Path) -> None:
    async def story() -> None:
        row = Row(stream(None, SSE + SSE), How.FIN, Outcome.COMPLETE, stream=True)
        async with scene(tmp_path, SMALL, script(row), other=b"") as made:
            got = await made.ask(stream=True)
            assert got.complete
            assert got.body == without_usage(SSE)

    play(story())


STATUSES = [201, 202, 204, 205, 206, 300, 301, 304, 307, 600, 999]


@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.name)
@pytest.mark.parametrize("status", STATUSES)
def test_a_status_that_is_no_answer_is_an_error_the_client_can_read(
    tmp_path: Path, road: Road, status: int
) -> None:
    async def story() -> None:
        length = "" if status in (204, 304) else "content-length: 2\r\n"
        body = b"" if status in (204, 304) else b"{}"
        said = f"HTTP/1.1 {status} Odd\r\n{length}\r\n".encode() + body
        async with (
            scene(tmp_path, road, Script(says=(said,)), other=said) as made,
            client(made.stage.port) as app,
        ):
            got = await ask_on(app, made, stream=False)
            assert got.complete, got.trouble
            assert 400 <= got.status <= 599
            again = await ask_on(app, made, stream=False)  # nothing of the first is left over
            assert (again.complete, again.status) == (True, got.status)

    play(story())


async def ask_on(app: Client, made: Scene, *, stream: bool) -> Got:
    """One request on a connection that is kept."""
    await app.say(post(made.road.path, asking(stream=stream), made.road.headers))
    return await app.answer()
