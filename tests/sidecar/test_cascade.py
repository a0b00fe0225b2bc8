"""With `routing.cascade` the small model's answer is looked at before the client gets any of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from overspill.api.policy import Verifier
from overspill.telemetry import names
from tests.clock import play, until
from tests.sidecar import replies
from tests.sidecar.faulty import Got, How, Script, client, post
from tests.sidecar.replies import Framing, Wire
from tests.sidecar.scene import ROADS, Road, Scene, asking, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SMALL = ROADS[0]
MESSAGES = Road("Messages", small=True, upstream=Wire.OPENAI, client=Wire.ANTHROPIC)
REFUSES = "I'm sorry, but I can't help with that."
ANSWERS = "".join(replies.TEXTS)
BROKEN = b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}"
HOLD_S = 10.0
FROM_ONE_ANSWER = [one for one in Verifier if one is not Verifier.SELF_CONSISTENCY]
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def says(text: str, *, stream: bool) -> Script:
    """The small model says this and ends well."""
    good = (
        replies.good_stream(Wire.OPENAI, (text,))
        if stream
        else replies.good_whole(Wire.OPENAI, text)
    )
    return Script(says=(good,))


@asynccontextmanager
async def verified(
    folder: Path, script: Script, *, road: Road = SMALL, other: bytes = b"", stream: bool = False
) -> AsyncIterator[Scene]:
    """A sidecar that checks all that one answer tells; the frontier does well unless told."""
    good = replies.good_stream if stream else replies.good_whole
    async with scene(folder, road, script, other=other or good(Wire.OPENAI)) as made:
        made.stage.configure(cascade={"verify": FROM_ONE_ANSWER, "holdForS": HOLD_S})
        yield made


async def ask(made: Scene, *, stream: bool, **more: Any) -> Got:  # noqa: ANN401
    async with client(made.stage.port) as app:
        await app.say(post(made.road.path, asking(stream=stream, **more)))
        return await app.answer()


def route(got: Got) -> tuple[str, str]:
    return got.headers["x-overspill-tier"], got.headers["x-overspill-reason"]


@BOTH
def test_a_good_answer_goes_out(tmp_path: Path, stream: bool) -> None:
    async def story() -> None:
        script = says("Hello there.", stream=stream)
        async with verified(tmp_path, script, stream=stream) as made:
            got = await ask(made, stream=stream)
            assert route(got) == ("small", "SmallFits")
            assert got.complete
            assert b"Hello there." in got.body
            await until(lambda: made.stage.metric(names.REQUESTS, tier="small", outcome="answered"))

    play(story())


@BOTH
@pytest.mark.parametrize("road", [SMALL, MESSAGES], ids=lambda road: road.name)
def test_what_a_small_model_refuses_the_frontier_answers(
    tmp_path: Path, road: Road, stream: bool
) -> None:
    async def story() -> None:
        script = says(REFUSES, stream=stream)
        async with verified(tmp_path, script, road=road, stream=stream) as made:
            got = await ask(made, stream=stream)
            assert route(got) == ("frontier", "NotVerified")
            assert got.complete
            assert b"sorry" not in got.body
            assert made.stage.metric(names.NOT_VERIFIED, check="Refusal") == 1
            small = made.stage.metric(names.OUTPUT_TOKENS, tier="small")
            assert small == 5  # it did the work all the same
            assert await made.in_flight() == 0

    play(story())


@pytest.mark.parametrize(
    ("text", "more", "check"),
    [
        pytest.param("well", {"response_format": {"type": "json_object"}}, "JSONSchema", id="JSON"),
        pytest.param("  ", {}, "Truncation", id="empty"),
        pytest.param(
            "well",
            {
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
                "tool_choice": "required",
            },
            "ToolCalls",
            id="no call",
        ),
    ],
)
@BOTH
def test_what_is_not_as_asked_for_the_frontier_answers(
    tmp_path: Path, text: str, more: dict[str, Any], check: str, stream: bool
) -> None:
    async def story() -> None:
        async with verified(tmp_path, says(text, stream=stream), stream=stream) as made:
            assert route(await ask(made, stream=stream, **more)) == ("frontier", "NotVerified")
            assert made.stage.metric(names.NOT_VERIFIED, check=check) == 1

    play(story())


@BOTH
def test_with_no_frontier_a_doubtful_answer_is_better_than_none(
    tmp_path: Path, stream: bool
) -> None:
    async def story() -> None:
        script = says(REFUSES, stream=stream)
        async with verified(tmp_path, script, other=BROKEN, stream=stream) as made:
            for _ in range(2):  # and its connection serves the next one alone
                got = await ask(made, stream=stream)
                assert (got.status, route(got)) == (200, ("small", "NotVerified"))
                assert got.complete
                assert REFUSES.encode() in got.body
            assert made.stage.metric(names.OUTPUT_TOKENS, tier="small") == 10

    play(story())


def test_a_host_with_the_same_class_of_model_is_not_asked(tmp_path: Path) -> None:
    async def story() -> None:
        async with verified(tmp_path, says(REFUSES, stream=False)) as made:
            (frontier,) = made.stage.base["frontier"]
            host = {**frontier, "name": "host"}
            made.stage.configure(hosted=[host])
            assert route(await ask(made, stream=False)) == ("frontier", "NotVerified")

    play(story())


def test_what_may_not_overflow_is_not_held(tmp_path: Path) -> None:
    async def story() -> None:
        async with verified(tmp_path, says(REFUSES, stream=True), stream=True) as made:
            deny = {"name": "own", "when": {"model": "m"}, "tier": "Small", "overflow": "Deny"}
            made.stage.configure(rules=[deny])
            got = await ask(made, stream=True)
            assert route(got) == ("small", "RuleMatched; rule=own")
            assert b"sorry" in got.body

    play(story())


def test_a_stream_that_breaks_while_it_is_held_is_answered_by_the_frontier(tmp_path: Path) -> None:
    async def story() -> None:
        for one in replies.stream_breaks(Wire.OPENAI):
            script = Script(says=(one.said,), then=How.RST)
            folder = tmp_path / one.place.replace(" ", "-")
            async with verified(folder, script, stream=True) as made:
                got = await ask(made, stream=True)
                whole = one.outcome is replies.Outcome.COMPLETE
                assert route(got)[0] == ("small" if whole else "frontier"), one.place
                assert got.complete
                assert await made.in_flight() == 0

    play(story())


@pytest.mark.parametrize(
    ("pause_s", "tier"),
    [
        pytest.param(HOLD_S / 2, "frontier", id="in time"),
        pytest.param(HOLD_S * 2, "small", id="late"),
    ],
)
def test_a_stream_is_held_for_so_long_at_most(tmp_path: Path, pause_s: float, tier: str) -> None:
    events = replies.events(Wire.OPENAI, (REFUSES,))
    top = replies.head(Framing.CHUNKED, kind=replies.EVENT_STREAM)
    first, rest = (b"".join(map(replies.chunked, part)) for part in (events[:2], events[2:]))
    script = Script(says=(top + first, pause_s, rest + b"0\r\n\r\n"))

    async def story() -> None:
        async with verified(tmp_path, script, stream=True) as made:
            got = await ask(made, stream=True)
            assert route(got)[0] == tier
            assert got.complete
            assert (REFUSES.encode() in got.body) is (tier == "small")

    play(story(), patient=True)


def test_embeddings_and_plain_completions_are_not_looked_at(tmp_path: Path) -> None:
    answer = b'{"object":"list","data":[],"usage":{"prompt_tokens":1,"total_tokens":1}}'
    script = Script(says=(replies.framed(Framing.LENGTH, [answer]),))

    async def story() -> None:
        async with verified(tmp_path, script) as made:
            async with client(made.stage.port) as app:
                model = made.stage.base["small"]["model"]
                body = f'{{"model":"{model}","input":"hi"}}'.encode()
                await app.say(post("/v1/embeddings", body))
                got = await app.answer()
            assert (got.status, route(got)[0]) == (200, "small")

    play(story())
