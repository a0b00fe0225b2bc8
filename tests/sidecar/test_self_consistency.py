"""With `SelfConsistency` the small model is asked twice, where there is room for it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from overspill.telemetry import names
from tests.clock import play, until
from tests.sidecar import replies
from tests.sidecar.faulty import Asked, Got, How, Script, client, post
from tests.sidecar.replies import Framing, Wire
from tests.sidecar.scene import ROADS, Road, Scene, asking, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SMALL = ROADS[0]
MESSAGES = Road("Messages", small=True, upstream=Wire.OPENAI, client=Wire.ANTHROPIC)
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
HOLD_S = 10.0
LATE_S = 20.0
LONG = "well " * 100
ERROR = b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}"


def says(text: str, *, stream: bool = False) -> Script:
    good = replies.good_stream(Wire.OPENAI, (text,)) if stream else whole(text)
    return Script(says=(good,))


def whole(text: str) -> bytes:
    return replies.good_whole(Wire.OPENAI, text)


def calls(arguments: str) -> Script:
    """The small model calls a tool."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "content": LONG, "tool_calls": [call]}
    told = json.loads(replies.whole(Wire.OPENAI))
    told["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    return Script(says=(replies.framed(Framing.LENGTH, [json.dumps(told).encode()]),))


@asynccontextmanager
async def twice(
    folder: Path, *scripts: Script, stream: bool = False, slots: int = 4, road: Road = SMALL
) -> AsyncIterator[Scene]:
    """A sidecar whose small model answers so, one script after the other."""
    good = replies.good_stream if stream else replies.good_whole
    async with scene(folder, road, scripts[0], other=good(Wire.OPENAI)) as made:
        left = iter(scripts)

        def next_script(_: Asked) -> Script:
            return next(left)

        made.first.script = next_script
        made.stage.configure(
            cascade={"verify": ["Refusal", "SelfConsistency"], "holdForS": HOLD_S},
            small={**made.stage.base["small"], "slotsPerEndpoint": slots},
        )
        yield made


async def ask(made: Scene, *, stream: bool = False, **more: Any) -> Got:  # noqa: ANN401
    async with client(made.stage.port) as app:
        await app.say(post(made.road.path, asking(stream=stream, **more)))
        return await app.answer()


def route(got: Got) -> tuple[str, str]:
    return got.headers["x-overspill-tier"], got.headers["x-overspill-reason"]


GOOD = ("small", "SmallFits")
DOUBTFUL = ("frontier", "NotVerified")


@BOTH
@pytest.mark.parametrize("road", [SMALL, MESSAGES], ids=lambda road: road.name)
@pytest.mark.parametrize(("second", "expected"), [("**Paris**", GOOD), ("Rome", DOUBTFUL)])
def test_what_is_said_twice_alike_goes_out(
    tmp_path: Path, road: Road, stream: bool, second: str, expected: tuple[str, str]
) -> None:
    async def story() -> None:
        scripts = says("Paris.", stream=stream), says(second)
        async with twice(tmp_path, *scripts, stream=stream, road=road) as made:
            got = await ask(made, stream=stream)
            assert route(got) == expected
            assert got.complete
            doubtful = expected is DOUBTFUL
            assert (b"Paris." in got.body) is not doubtful
            assert made.stage.metric(names.NOT_VERIFIED, check="SelfConsistency") == doubtful
            assert made.stage.metric(names.OUTPUT_TOKENS, tier="small") == 5 + 5
            assert await made.in_flight() == 0

    play(story())


def test_the_second_request_is_the_first_but_for_chance(tmp_path: Path) -> None:
    async def story() -> None:
        scripts = says("Paris", stream=True), says("Paris")
        async with twice(tmp_path, *scripts, stream=True) as made:
            await ask(made, stream=True, temperature=0, seed=4)
            first, second = (json.loads(one.body) for one in made.first.asked)
            assert (first.pop("stream"), first.pop("stream_options")) == (
                True,
                {"include_usage": True},
            )
            assert second == {**first, "temperature": 0.7, "seed": 5}

    play(story())


@pytest.mark.parametrize(("arguments", "expected"), [('{"a": 1.0}', GOOD), ('{"a": 2}', DOUBTFUL)])
def test_tools_are_to_be_called_twice_alike(
    tmp_path: Path, arguments: str, expected: tuple[str, str]
) -> None:
    async def story() -> None:
        async with twice(tmp_path, calls('{"a":1}'), calls(arguments)) as made:
            assert route(await ask(made)) == expected

    play(story())


@pytest.mark.parametrize(
    ("text", "slots", "expected"),
    [
        pytest.param(LONG, 4, GOOD, id="a long answer"),
        pytest.param("Paris", 1, GOOD, id="no slot is free"),
        pytest.param("I'm sorry, but I can't help.", 4, DOUBTFUL, id="another check has failed"),
    ],
)
def test_it_is_asked_only_once_where_that_would_be_of_no_use(
    tmp_path: Path, text: str, slots: int, expected: tuple[str, str]
) -> None:
    async def story() -> None:
        async with twice(tmp_path, says(text), slots=slots) as made:
            assert route(await ask(made)) == expected
            assert len(made.first.asked) == 1

    play(story())


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(Script(says=(ERROR,)), id="an error"),
        pytest.param(Script(says=(replies.framed(Framing.LENGTH, [b"{}"]),)), id="no answer"),
        pytest.param(Script(says=(whole("Rome")[:40],), then=How.RST), id="broken off"),
        pytest.param(Script(says=(LATE_S, whole("Rome"))), id="late"),
    ],
)
def test_a_second_answer_that_does_not_come_holds_nothing_back(
    tmp_path: Path, second: Script
) -> None:
    async def story() -> None:
        async with twice(tmp_path, says("Paris"), second, says(LONG)) as made:
            got = await ask(made)
            assert route(got) == GOOD
            assert got.body == replies.whole(Wire.OPENAI, "Paris")
            assert await made.in_flight() == 0
            assert route(await ask(made)) == GOOD  # and the endpoint is as good as before

    play(story(), patient=True)


def test_with_no_frontier_the_first_answer_is_better_than_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with twice(tmp_path, says("Paris"), says("Rome")) as made:
            made.other.script = Script(says=(ERROR,))
            got = await ask(made)
            assert (got.status, route(got)) == (200, ("small", "NotVerified"))
            assert b"Paris" in got.body
            assert made.stage.metric(names.OUTPUT_TOKENS, tier="small") == 5 + 5

    play(story())


def test_who_leaves_while_it_is_asked_again_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story() -> None:
        stalls = Script(says=(), then=How.STALL)
        async with twice(tmp_path, says("Paris"), stalls, says(LONG)) as made:
            async with client(made.stage.port) as app:
                await app.say(post(made.road.path, asking(stream=False)))
                await until(lambda: len(made.first.asked) == 2)
            await until(lambda: made.stage.proxy.capacity.in_flight == 0)
            await until(lambda: made.first.open == 0)
            assert made.stage.metric(names.REQUESTS, tier="small", outcome="cancelled") == 1

    play(story())
