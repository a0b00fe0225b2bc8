"""With `routing.context` long conversations lose their oldest turns before anybody is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from overspill.telemetry import names
from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Script, client, post
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS, Road, Scene, scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sidecar.faulty import Got

SMALL, OPENAI, ANTHROPIC, MESSAGES = ROADS
TURN = [{"role": "user", "content": "word " * 300}, {"role": "assistant", "content": "well"}]
LONG = [*TURN, *TURN, *TURN, {"role": "user", "content": "and now?"}]


async def ask(made: Scene, messages: list[dict[str, str]]) -> Got:
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode()
    async with client(made.stage.port) as app:
        await app.say(post(made.road.path, body, made.road.headers))
        return await app.answer()


@pytest.mark.parametrize("road", [SMALL, OPENAI, ANTHROPIC, MESSAGES], ids=lambda road: road.name)
def test_what_is_too_long_is_told_of_and_what_it_saved_is_counted(
    tmp_path: Path, road: Road
) -> None:
    good = replies.good_whole(road.upstream)

    async def story() -> None:
        async with scene(tmp_path, road, Script(says=(good,)), other=good) as made:
            made.stage.configure(maxInputTokens=500)
            got = await ask(made, LONG)
            assert got.status == 200
            assert got.headers["x-overspill-trimmed"].startswith("turns=2, tokens=7")
            sent = json.loads(made.first.asked[0].body)["messages"]
            assert [item["role"] for item in sent] == ["user", "assistant", "user"]
            tokens = made.stage.metric(names.TRIMMED_TOKENS)
            saved = made.stage.metric(names.TRIMMED_USD)
            assert tokens > 700
            assert saved == pytest.approx(0 if road.small else tokens * 5e-6)

    play(story())


def test_what_is_short_enough_goes_as_it_came(tmp_path: Path) -> None:
    good = replies.good_whole(Wire.OPENAI)

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=(good,)), other=good) as made:
            made.stage.configure(maxInputTokens=5_000)
            got = await ask(made, LONG)
            assert "x-overspill-trimmed" not in got.headers
            assert json.loads(made.first.asked[0].body)["messages"] == LONG

    play(story())


def test_what_fits_the_small_model_once_trimmed_is_answered_by_it(tmp_path: Path) -> None:
    good = replies.good_whole(Wire.OPENAI)

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=(good,)), other=good) as made:
            small = {**made.stage.base["small"], "contextWindow": 600}
            made.stage.configure(small=small)
            assert (await ask(made, LONG)).headers["x-overspill-reason"] == "ContextTooLong"
            made.stage.configure(maxInputTokens=500)
            assert (await ask(made, LONG)).headers["x-overspill-reason"] == "SmallFits"

    play(story())
