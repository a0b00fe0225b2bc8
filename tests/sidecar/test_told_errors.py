"""What the client is told where nobody answered: an upstream's own words before ours."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from overspill.wire.errors import openai_error
from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Got, Script, client, faulty, post
from tests.sidecar.replies import Framing, Wire
from tests.sidecar.scene import ROADS, Road, asking, frontier, scene
from tests.sidecar.stage import staged

if TYPE_CHECKING:
    from pathlib import Path

_, OPENAI, _, _ = ROADS


def refusal(status: int, body: bytes, more: str = "") -> Script:
    """A provider that answers everything with this error."""
    head = f"HTTP/1.1 {status} No\r\n{more}content-length: {len(body)}\r\n\r\n"
    return Script(says=(head.encode() + body,))


BUSY = refusal(429, openai_error(429, "slow down"), "retry-after: 7\r\n")
BROKEN = refusal(500, openai_error(500, "out of memory"))
MUTE = refusal(503, b"")
HASTY = refusal(429, b"", "retry-after: 9\r\n")
OTHER = Script(says=(replies.good_whole(Wire.OPENAI, "other"),))
NO_KEY, REFUSES = "no key", "refuses"


@pytest.mark.parametrize(
    ("providers", "status", "retry_after", "words"),
    [
        pytest.param([BUSY, NO_KEY], 429, "7", b"slow down", id="a key that is not there"),
        pytest.param([BUSY, REFUSES], 429, "7", b"slow down", id="a refused connection"),
        pytest.param([BUSY, MUTE], 429, "7", b"slow down", id="an error without a word"),
        pytest.param([REFUSES, BUSY], 429, "7", b"slow down", id="a refused connection before"),
        pytest.param([BUSY, BROKEN], 500, None, b"out of memory", id="of two the last"),
        pytest.param([HASTY, REFUSES], 429, "9", b"no upstream answered", id="only when"),
        pytest.param([MUTE, REFUSES], 502, None, b"failed: connect", id="nothing: the last"),
    ],
)
def test_a_providers_own_error_is_told_rather_than_one_of_our_making(
    tmp_path: Path,
    providers: list[Script | str],
    status: int,
    retry_after: str | None,
    words: bytes,
) -> None:
    got = asked_in_turn(tmp_path, providers)[0]
    assert (got.status, got.headers.get("retry-after")) == (status, retry_after)
    assert words in got.body


@pytest.mark.parametrize("providers", [[BUSY, REFUSES], [REFUSES, BUSY]], ids=["first", "last"])
def test_when_to_come_back_is_told_while_a_provider_is_left_alone(
    tmp_path: Path, providers: list[Script | str]
) -> None:
    got = asked_in_turn(tmp_path, providers, times=2)[1]
    assert got.status == 429
    assert 1 <= int(got.headers["retry-after"]) <= 7
    assert b"left alone" in got.body


DEEP = b"[" * 50_000


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("body", [DEEP, b'{"error":' + DEEP], ids=["all of it", "its error"])
def test_an_error_that_is_nested_deeply_is_told_all_the_same(
    tmp_path: Path, status: int, body: bytes
) -> None:
    got = asked_in_turn(tmp_path, [refusal(status, body)])[0]
    assert got.status == status
    assert b"[[[[" in got.body
    assert b"internal error of the sidecar" not in got.body


@pytest.mark.parametrize("value", [DEEP, DEEP + b"]" * len(DEEP)], ids=["cut", "whole"])
def test_an_answer_that_is_nested_deeply_leaves_it_to_the_next_provider(
    tmp_path: Path, value: bytes
) -> None:
    got = asked_in_turn(tmp_path, [refusal(200, b'{"choices":' + value + b"}"), OTHER])[0]
    assert (got.status, b"other" in got.body) == (200, True)


@pytest.mark.parametrize("road", ROADS[1:], ids=lambda road: road.name)
def test_an_error_is_no_answer_though_its_status_says_so(tmp_path: Path, road: Road) -> None:
    told: dict[str, Any] = {"error": {"code": 503, "message": "no host is free"}}
    if road.upstream is Wire.ANTHROPIC:
        told = {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "no host is free"},
        }
    error = replies.framed(Framing.LENGTH, [json.dumps(told).encode()])

    async def story() -> list[Got]:
        gots = []
        for name, other in ("good", replies.good_whole(road.upstream, "other")), ("bad", error):
            async with scene(tmp_path / name, road, Script(says=(error,)), other=other) as made:
                gots.append(await made.ask(stream=False))
        return gots

    spilled, told_ = play(story())
    assert (spilled.status, b"other" in spilled.body) == (200, True)
    assert told_.status in (503, 529)
    assert b"no host is free" in told_.body


@pytest.mark.parametrize(
    "date",
    ["Mon, 01 Jan 2024 00:00:00 +99999999999999999999", "Mon, 01 Jan 99999999 00:00:00", "soon"],
)
def test_a_date_that_is_none_does_not_keep_the_next_provider_from_answering(
    tmp_path: Path, date: str
) -> None:
    more = f"retry-after: {date}\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    got = asked_in_turn(tmp_path, [refusal(429, b"{}", more), OTHER])[0]
    assert (got.status, b"other" in got.body) == (200, True)


def asked_in_turn(folder: Path, providers: list[Script | str], times: int = 1) -> list[Got]:
    """What a client gets from a frontier of these providers, so many times in a row."""

    async def story() -> list[Got]:
        async with AsyncExitStack() as stack:
            stage = await stack.enter_async_context(staged(folder))
            found: list[dict[str, Any]] = []
            for number, script in enumerate(providers):
                address = "127.0.0.1:1"
                if isinstance(script, Script):
                    address = (await stack.enter_async_context(faulty(script))).address
                provider = frontier(f"p{number}", Wire.OPENAI, address)
                key = "nobody" if script == NO_KEY else "opus"
                found.append({**provider, "credentialFile": f"credentials/{key}"})
            small = {**stage.base["small"], "endpoints": []}
            stage.configure(frontier=found, small=small)
            gots = []
            for _ in range(times):
                async with client(stage.port) as app:
                    await app.say(post(OPENAI.path, asking(stream=False), OPENAI.headers))
                    gots.append(await app.answer())
            return gots

    return play(story())
