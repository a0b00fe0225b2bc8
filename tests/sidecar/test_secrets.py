"""A provider's key is seen by that provider alone."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest

from overspill.routing.decide import Tier
from overspill.sidecar.runtime import Credential, Upstream
from overspill.sidecar.upstream import Origin
from overspill.wire.ask import Target
from overspill.wire.errors import Wire as Speaks
from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Asked, How, Script
from tests.sidecar.replies import EVENT_STREAM, Framing, Wire
from tests.sidecar.scene import ROADS, Road, scene
from tests.sidecar.stage import KEY

if TYPE_CHECKING:
    from pathlib import Path

_, OPENAI, ANTHROPIC, MESSAGES = ROADS
GOOD = replies.good_whole(Wire.OPENAI)
OTHER = replies.good_whole(Wire.OPENAI, "other")
ERROR = {
    "type": "error",
    "error": {"type": "authentication_error", "message": f"Incorrect API key provided: {KEY}."},
}
SAID = json.dumps(ERROR).encode()
EVENT = b"event: error\ndata: %b\n\n" % SAID


def test_no_key_is_written_anywhere_whatever_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    calls = 0

    def says(_: Asked) -> Script:
        nonlocal calls
        calls += 1
        kinds = [
            Script(says=(b"nonsense",), then=How.FIN),
            Script(says=(GOOD[:40],), then=How.RST),
            Script(says=(b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\n{}",)),
            Script(says=(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",)),
            Script(says=(b"HTTP/1.1 200 OK\r\nx\0: 1\r\n\r\n",)),
        ]
        return kinds[calls % len(kinds)]

    async def story() -> None:
        asyncio.get_running_loop().set_debug(True)
        lines: list[str] = []
        async with scene(tmp_path, OPENAI, Script(), other=OTHER) as made:
            made.first.script = says
            for _ in range(6):
                got = await made.ask(stream=False)
                assert KEY.encode() not in got.body
                assert KEY not in str(got.headers)
            proxy = made.stage.proxy
            assert proxy.runtime
            for held in (proxy.runtime, *proxy.runtime.providers, vars(proxy)):
                assert KEY not in repr(held)
            lines.append(proxy.metrics.render().decode())
        assert KEY not in "".join(lines)

    play(story())
    assert KEY not in caplog.text


@pytest.mark.parametrize("road", [OPENAI, ANTHROPIC, MESSAGES], ids=lambda road: road.name)
def test_a_key_that_a_provider_repeats_in_an_error_is_not_passed_on(
    tmp_path: Path, road: Road
) -> None:
    said = b"HTTP/1.1 401 No\r\ncontent-length: %d\r\n\r\n%b" % (len(SAID), SAID)

    async def story() -> None:
        async with scene(tmp_path, road, Script(says=(said,)), other=said) as made:
            got = await made.ask(stream=False)
            assert got.status == 401
            assert b"Incorrect API key provided: ***." in got.body
            assert KEY.encode() not in got.body

    play(story())


@pytest.mark.parametrize("road", [OPENAI, ANTHROPIC, MESSAGES], ids=lambda road: road.name)
@pytest.mark.parametrize("begun", [False, True], ids=["at once", "after some words"])
def test_a_key_that_a_provider_repeats_within_a_stream_is_not_passed_on(
    tmp_path: Path, road: Road, begun: bool
) -> None:
    before = replies.events(road.upstream)[: 5 if begun else 0]
    said = replies.framed(Framing.CHUNKED, [*before, EVENT], EVENT_STREAM)

    async def story() -> None:
        async with scene(tmp_path, road, Script(says=(said,)), other=said) as made:
            got = await made.ask(stream=True)
            assert (got.status == 200) is begun
            assert b"Incorrect API key provided: ***." in got.body
            assert KEY.encode() not in got.body

    play(story())


@pytest.mark.parametrize(
    ("keys", "words", "told"),
    [
        pytest.param(["sk-secret"], b"a sk-secret b sk-secret", b"a *** b ***", id="as it is"),
        pytest.param(["sk-old-key", "sk-new-key"], b"sk-old-key", b"***", id="the one before"),
        pytest.param(["sk-secret", "sk-secret-2"], b"sk-secret-2", b"***", id="one in another"),
        pytest.param(['q"u\\ote/d'], rb'{"a":"q\"u\\ote/d"}', b'{"a":"***"}', id="escaped"),
        pytest.param(["sk/secret"], rb'{"a":"sk\/secret"}', b'{"a":"***"}', id="a slash escaped"),
        pytest.param(["error"], b'{"error":1}', b'{"error":1}', id="a placeholder is a word"),
    ],
)
def test_every_key_that_was_sent_is_masked_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[str], words: bytes, told: bytes
) -> None:
    monkeypatch.setattr("overspill.sidecar.runtime.KEY_CHECK_S", 0.0)
    path = tmp_path / "key"
    upstream = Upstream(
        tier=Tier.FRONTIER,
        origin=Origin.of("https://x"),
        target=Target(wire=Speaks.OPENAI, model="m"),
        credential=Credential(path),
    )
    for number, key in enumerate(keys):
        (tmp_path / f"{number}").write_text(key)
        (tmp_path / f"{number}").rename(path)
        assert upstream.head("/chat/completions")
    assert upstream.masked(words) == told
