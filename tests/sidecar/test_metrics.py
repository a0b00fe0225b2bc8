"""What is counted: series that stay few, and counters that only go up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overspill.telemetry import names
from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import How, Script, client, post
from tests.sidecar.replies import EVENT_STREAM, Framing, Wire
from tests.sidecar.scene import ROADS, Road, asking, scene

if TYPE_CHECKING:
    from pathlib import Path

_, OPENAI, ANTHROPIC, MESSAGES = ROADS
GOOD = replies.good_whole(Wire.OPENAI)
OTHER = replies.good_whole(Wire.OPENAI, "other")
NEGATIVE = [
    (b'_tokens":3', b'_tokens":-30'),
    (b'_tokens":5', b'_tokens":-50'),
    (b'_tokens":1', b'_tokens":-10'),
]


def test_no_word_of_a_client_becomes_a_label_or_a_key_that_stays(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, OPENAI, Script(says=(GOOD,)), other=OTHER) as made:
            sizes = []
            for number in range(40):
                path = ["/v1/chat/completions", "/v1/embeddings", f"/v1/{number}"][number % 3]
                body = asking(stream=False, model=f"m-{number}", input="x", user=f"u-{number}")
                headers = [("x-priority", f"p-{number}"), (f"x-{number}", "y")]
                async with client(made.stage.port) as app:
                    await app.say(post(path, body, headers))
                    await app.answer()
                if number in (12, 39):
                    sizes.append(made.stage.proxy.metrics.render().count(b"\n"))
            assert sizes[0] == sizes[1]
            proxy = made.stage.proxy
            assert len(proxy.meters._upstreams) < 10
            assert len(proxy.pool._idle) <= 2 + 1
            assert not proxy.pool._busy

    play(story())


@pytest.mark.parametrize("road", [OPENAI, ANTHROPIC, MESSAGES], ids=lambda road: road.name)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_no_counter_goes_back_whatever_usage_an_upstream_tells(
    tmp_path: Path, road: Road, stream: bool
) -> None:
    wire = road.upstream
    pieces = replies.events(wire) if stream else [replies.whole(wire)]
    for good, bad in NEGATIVE:
        pieces = [piece.replace(good, bad) for piece in pieces]
    kind = EVENT_STREAM if stream else "application/json"
    said = replies.framed(Framing.CHUNKED, pieces, kind)

    async def story() -> None:
        async with scene(tmp_path, road, Script(says=(said,)), other=OTHER) as made:
            assert (await made.ask(stream=stream)).status == 200
            assert made.stage.metric(names.REQUESTS, provider="first") == 1
            for name in (names.INPUT_TOKENS, names.OUTPUT_TOKENS, names.SPEND_USD):
                assert made.stage.metric(name, provider="first") >= 0, name
            for name in (names.WORK_TOKENS, names.FRONTIER_EQUIVALENT_USD):
                assert made.stage.metric(name) >= 0, name

    play(story())


@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b""], ids=["whole", "cut"])
def test_a_stream_without_usage_counts_the_same_in_one_read_and_in_many(
    tmp_path: Path, end: bytes
) -> None:
    word = replies.openai_events(("word",))[1]
    pieces = [replies.chunked(piece) for piece in (*[word] * 50, end) if piece]
    pieces += [b"0\r\n\r\n"] if end else []
    head = replies.head(Framing.CHUNKED, kind=EVENT_STREAM)
    ways = {
        "one": (head + b"".join(pieces),),
        "many": (head, *(part for piece in pieces for part in (piece, 0.1))),
    }

    async def story(name: str) -> float:
        script = Script(says=ways[name], then=How.FIN)
        async with scene(tmp_path / name, OPENAI, script, other=OTHER) as made:
            assert (await made.ask(stream=True)).body.count(word) == 50
            return made.stage.metric(names.OUTPUT_TOKENS, provider="first")

    one, many = (play(story(name), patient=True) for name in ways)
    assert one == many > 40
