"""A page of another site may send a little to 127.0.0.1 unasked: it must cost no key anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Script, client, post
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS, asking, scene

if TYPE_CHECKING:
    from pathlib import Path

_, OPENAI, _, _ = ROADS
GOOD = replies.good_whole(Wire.OPENAI)
ORIGIN = ("origin", "https://evil.example")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param([ORIGIN, ("content-type", "text/plain")], 403, id="a form's text"),
        pytest.param([ORIGIN], 403, id="bytes without a type"),
        pytest.param(
            [ORIGIN, ("content-type", "text/plain; a=application/json")], 403, id="in disguise"
        ),
        pytest.param(
            [ORIGIN, ("content-type", "Application/JSON; charset=utf-8")],
            200,
            id="JSON: the browser asks first, and is told no",
        ),
        pytest.param([("content-type", "text/plain")], 200, id="no browser"),
        pytest.param([], 200, id="no browser, no type"),
    ],
)
def test_a_page_that_need_not_ask_is_not_answered(
    tmp_path: Path, headers: list[tuple[str, str]], status: int
) -> None:
    async def story() -> None:
        async with (
            scene(tmp_path, OPENAI, Script(says=(GOOD,)), other=GOOD) as made,
            client(made.stage.port) as app,
        ):
            await app.say(post(OPENAI.path, asking(stream=False), headers))
            assert (await app.answer()).status == status

    play(story())


def test_a_browser_that_asks_whether_it_may_is_told_no(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            scene(tmp_path, OPENAI, Script(says=(GOOD,)), other=GOOD) as made,
            client(made.stage.port) as app,
        ):
            asks = f"OPTIONS {OPENAI.path} HTTP/1.1\r\nhost: x\r\norigin: {ORIGIN[1]}\r\n"
            await app.say(f"{asks}access-control-request-method: POST\r\n\r\n".encode())
            got = await app.answer(b"OPTIONS")
            assert got.status == 404
            assert "access-control-allow-origin" not in got.headers

    play(story())
