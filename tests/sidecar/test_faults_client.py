"""A client that leaves, stops reading or dawdles: nobody works for it any longer, nothing leaks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from overspill.sidecar.request import Limits
from overspill.telemetry import names
from tests.clock import play, until
from tests.sidecar import replies
from tests.sidecar.faulty import Got, How, Script, client, post
from tests.sidecar.replies import EVENT_STREAM, Framing, Wire
from tests.sidecar.scene import ROADS, Road, Scene, asking, scene

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ROADS[0]
LEAVING = [How.FIN, How.RST]
HOUR_S = 3600.0
IDLE_S = 75.0
"""The sidecar's default for a connection without a request."""


def outcomes(made: Scene) -> dict[str, int]:
    """Finished requests by outcome, as /metrics has them; zeros left out."""
    found: dict[str, int] = {}
    for line in made.stage.proxy.metrics.render().decode().splitlines():
        series, _, value = line.rpartition(" ")
        if series.startswith(names.REQUESTS + "{") and float(value):
            outcome = series.partition('outcome="')[2].partition('"')[0]
            found[outcome] = found.get(outcome, 0) + int(float(value))
    return found


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("sent", ["nothing", "half a head", "a head", "half a body"])
def test_a_client_that_leaves_before_it_asked_troubles_nobody(
    tmp_path: Path, sent: str, how: How
) -> None:
    request = post(SMALL.path, asking(stream=True))
    head = request.index(b"\r\n\r\n") + 4
    upto = {"nothing": 0, "half a head": head // 2, "a head": head, "half a body": head + 20}

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(), other=b"") as made:
            async with client(made.stage.port) as app:
                await app.say(request[: upto[sent]])
                await until(lambda: made.stage.proxy.connections)
                app.leave(how)
                await until(lambda: not made.stage.proxy.connections)
            assert (made.first.accepted, made.other.accepted) == (0, 0)
            assert await made.in_flight() == 0
            assert outcomes(made) == {}

    play(story())


LATER = {
    True: ["mid first event", "between events", "mid event", "mid end marker"],
    False: ["mid chunk size", "mid chunk data", "after the last chunk"],
}


def stages(*, stream: bool) -> list[str]:
    """Where an upstream falls silent with the client still there."""
    return ["after reading the request", "mid status line", "after headers", *LATER[stream]]


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.name)
@pytest.mark.parametrize(
    ("stream", "place"),
    [(stream, place) for stream in (True, False) for place in stages(stream=stream)],
)
def test_a_client_that_leaves_takes_its_upstream_along(
    tmp_path: Path, road: Road, stream: bool, place: str, how: How
) -> None:
    breaks = (
        replies.stream_breaks(road.upstream)
        if stream
        else replies.whole_breaks(road.upstream, Framing.CHUNKED)
    )
    said = next((at.said for at in breaks if at.place == place), b"")

    async def story() -> None:
        script = Script(says=(said,), then=How.STALL)
        async with scene(tmp_path, road, script, other=b"") as made:
            async with client(made.stage.port) as app:
                await app.say(post(road.path, asking(stream=stream), road.headers))
                await until(lambda: made.first.finished)
                app.leave(how)
                await until(lambda: not made.first.open)
            assert made.first.resets == 1  # a plain close would keep the port for a minute
            assert await made.in_flight() == 0
            assert (len(made.first.asked), len(made.other.asked)) == (1, 0)
            await until(lambda: outcomes(made))
            assert outcomes(made) == {"cancelled": 1}

    play(story())


def test_a_client_that_leaves_with_its_whole_answer_was_answered(tmp_path: Path) -> None:
    said = next(
        at.said for at in replies.stream_breaks(Wire.OPENAI) if at.place == "after the end marker"
    )

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=(said,), then=How.STALL), other=b"") as made:
            async with client(made.stage.port) as app:
                await app.say(post(SMALL.path, asking(stream=True)))
                got = await app.answer()
                assert got.complete
            await until(lambda: outcomes(made))
            assert outcomes(made) == {"answered": 1}

    play(story())


# -- clients that read slowly, or not at all
EVENT = b"data: " + b"x" * 4000 + b"\n\n"
FLOOD = (
    replies.head(Framing.CHUNKED, kind=EVENT_STREAM),
    *((replies.chunked(EVENT) * 16,) * 1000),
)


def test_a_client_that_stops_reading_stops_the_upstream_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=FLOOD), other=b"") as made:
            async with client(made.stage.port) as app:
                await app.say(post(SMALL.path, asking(stream=True)))
                await asyncio.sleep(10)  # nothing moves any more
                assert made.first.finished == 0
                assert await made.in_flight() == 1
                app.leave()
                await until(lambda: not made.first.open)
            assert await made.in_flight() == 0

    play(story(), patient=True)


def test_a_client_that_never_reads_on_is_let_go(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            scene(tmp_path, SMALL, Script(says=FLOOD), other=b"") as made,
            client(made.stage.port) as app,
        ):
            await app.say(post(SMALL.path, asking(stream=True)))
            await asyncio.sleep(HOUR_S)
            assert await made.in_flight() == 0
            assert made.first.open == 0

    play(story(), patient=True)


def test_a_slow_reader_gets_everything(tmp_path: Path) -> None:
    events = replies.openai_events()
    top, *body = FLOOD[:200]
    end = replies.chunked(events[-1]) + b"0\r\n\r\n"

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=(top, *body, end)), other=b"") as made:
            async with client(made.stage.port) as app:
                await app.say(post(SMALL.path, asking(stream=True)))
                await asyncio.sleep(10)  # both directions are full by now
                got = await app.answer()
            assert got.complete
            assert got.body == EVENT * 16 * len(body) + events[-1]

    play(story(), patient=True)


# -- clients that ask slowly
def test_a_request_that_never_ends_is_let_go(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            scene(tmp_path, SMALL, Script(), other=b"") as made,
            client(made.stage.port) as app,
        ):
            await app.say(post(SMALL.path, asking(stream=True))[:-5])
            got = await app.answer()
            assert (got.status, got.complete) == (408, True)
            assert await app.hear() == b""
            assert made.first.accepted == 0

    play(story(), patient=True)


def test_a_request_that_never_ends_is_refused_once_however_slowly_its_client_reads(
    tmp_path: Path,
) -> None:
    request = post(SMALL.path, asking(stream=False))
    long = replies.good_whole(Wire.OPENAI, "x" * 6_000_000)
    limits = Limits(body_stall_s=1.0, linger_s=30.0)
    faults: list[object] = []

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: faults.append(told))
        async with (
            scene(tmp_path, SMALL, Script(says=(long,)), other=b"", limits=limits) as made,
            client(made.stage.port) as app,
        ):
            await app.say(request + request[:-5])
            await asyncio.sleep(12)  # the refusal stands behind the answer by now
            assert (await app.answer()).status == 200
            assert (await app.answer()).status == 408
            assert await app.hear() == b""

    play(story(), patient=True)
    assert not faults


def test_a_request_that_begins_on_an_old_connection_is_answered(tmp_path: Path) -> None:
    request = post(SMALL.path, asking(stream=False))
    good = replies.good_whole(Wire.OPENAI)

    async def story() -> None:
        async with (
            scene(tmp_path, SMALL, Script(says=(good,)), other=b"") as made,
            client(made.stage.port) as app,
        ):
            await asyncio.sleep(IDLE_S - 2)
            await app.say(request[:-10])
            await asyncio.sleep(5)
            await app.say(request[-10:])
            got = await app.answer()
            assert (got.status, got.trouble) == (200, "")

    play(story(), patient=True)


def test_an_answer_that_takes_longer_than_an_idle_connection_lives_is_not_cut(
    tmp_path: Path,
) -> None:
    role, first, *rest = [replies.chunked(event) for event in replies.openai_events()]
    pauses = [piece for event in rest for piece in (2 * IDLE_S, event)]
    head = replies.head(Framing.CHUNKED, kind=EVENT_STREAM)
    says = (head, role, first, *pauses, b"0\r\n\r\n")

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=says), other=b"") as made:
            got: Got = await made.ask(stream=True)
            assert got.complete
            assert got.body.endswith(b"data: [DONE]\n\n")

    play(story(), patient=True)


def test_who_asks_whether_to_go_on_while_another_answer_is_under_way_is_told(
    tmp_path: Path,
) -> None:
    body = asking(stream=False)
    request = post(SMALL.path, body, [("expect", "100-continue")])

    async def story() -> None:
        script = Script(says=(5.0, replies.good_whole(Wire.OPENAI)))
        async with (
            scene(tmp_path, SMALL, script, other=b"") as made,
            client(made.stage.port) as app,
        ):
            await app.say(post(SMALL.path, body))
            await until(lambda: made.first.asked)
            await app.say(request.removesuffix(body))
            assert (await app.answer()).status == 200
            assert await app.hear() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await app.say(body)
            assert (await app.answer()).status == 200

    play(story(), patient=True)
