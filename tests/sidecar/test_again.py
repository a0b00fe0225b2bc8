"""The small model is asked twice: when that says anything, what is sent, and what it counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from overspill.sidecar.again import SHORT_CHARS, says_so_again
from overspill.telemetry import names
from overspill.wire.said import Said
from tests.sidecar import replies, unplugged
from tests.sidecar.replies import Wire
from tests.sidecar.test_held import begun
from tests.sidecar.unplugged import Says, Unplugged, ask, broken, refusal
from tests.virtual_time import play

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.sidecar.upstream import UpstreamError

UNTIL_S = 10.0
ROME = unplugged.whole("Rome")
CALL = (("f", "{}"),)


class Twice:
    """A small model that has said one thing, and says this when it is asked again."""

    def __init__(self, folder: Path, second: Says | UpstreamError, slots: int = 4) -> None:
        scripts = {"small-1": [unplugged.whole("Paris"), second], "gpt": []}
        self.sidecar: Unplugged = unplugged.unplugged(folder, scripts)
        small = self.sidecar.base["small"]
        self.sidecar.configure(small={**small, "slotsPerEndpoint": slots})

    async def alike(
        self,
        said: Said | None = None,
        headers: dict[bytes, bytes] | None = None,
        **more: Any,  # noqa: ANN401
    ) -> bool:
        asked, ladder = ask(**more), self.sidecar.ladder()
        ladder.request.headers = headers or {}
        first = await begun(self.sidecar, **{"streamed": False, **more})
        return await says_so_again(ladder, asked, first, said or Said(text="Paris"), UNTIL_S)

    @property
    def asked_again(self) -> bool:
        return len(self.sidecar.upstreams.sent) == 2

    def counted(self) -> tuple[float, float]:
        cell, labels = self.sidecar.proxy.metrics.cell, {"tier": "small", "provider": ""}
        tokens = (names.INPUT_TOKENS, names.OUTPUT_TOKENS)
        into, out = (cell(name, **labels).value for name in tokens)
        return into, out


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        pytest.param(Said(text="x" * SHORT_CHARS), True, id="short"),
        pytest.param(Said(text="x" * (SHORT_CHARS + 1)), False, id="long"),
        pytest.param(Said(text="x" * 999, calls=CALL), True, id="long, and calls a tool"),
    ],
)
def test_what_is_never_worded_alike_is_not_asked_again(
    tmp_path: Path, said: Said, asked: bool
) -> None:
    async def story() -> None:
        twice = Twice(tmp_path, ROME)
        assert await twice.alike(said) is not asked
        assert twice.asked_again is asked

    play(story())


@pytest.mark.parametrize(("slots", "asked"), [(1, False), (2, True)])
def test_nobody_is_kept_waiting_for_a_second_answer(
    tmp_path: Path, slots: int, asked: bool
) -> None:
    async def story() -> None:
        twice = Twice(tmp_path, ROME, slots)
        assert twice.sidecar.proxy.room.take((), None, 0)
        assert await twice.alike() is not asked
        assert twice.asked_again is asked

    play(story())


def test_it_is_asked_the_same_in_whole_and_by_chance(tmp_path: Path) -> None:
    async def story() -> None:
        twice = Twice(tmp_path, ROME)
        twice.sidecar.upstreams.scripts["small-1"][0] = unplugged.stream("Paris")
        trace = {b"traceparent": b"00-a-b-01", b"cookie": b"c"}
        assert not await twice.alike(headers=trace, streamed=True)
        first, second = twice.sidecar.upstreams.sent
        changed = {"stream", "stream_options"}
        same = {name: told for name, told in first.body.items() if name not in changed}
        assert second.body == {**same, "temperature": 0.7}
        assert b"traceparent: 00-a-b-01" in second.head
        assert b"cookie" not in second.head
        assert second.deadline_s == UNTIL_S

    play(story())


@pytest.mark.parametrize(
    ("second", "alike", "told"),
    [
        pytest.param(unplugged.whole("**Paris**"), True, True, id="the same"),
        pytest.param(ROME, False, True, id="another"),
        pytest.param(Says(pieces=(b"{}",)), True, False, id="nothing that can be compared"),
    ],
)
def test_a_second_answer_was_work_whatever_it_says(
    tmp_path: Path, second: Says, alike: bool, told: bool
) -> None:
    async def story() -> None:
        twice = Twice(tmp_path, second)
        assert await twice.alike() is alike
        into, out = twice.counted()
        assert (into, out) == (3, 5) if told else min(into, out) > 0
        assert twice.sidecar.upstreams.readings[1].ends == ["closed"]

    play(story())


@pytest.mark.parametrize(
    ("second", "worked", "took_s"),
    [
        pytest.param(refusal(503), False, 0.0, id="it has no room"),
        pytest.param(broken("connect"), False, 0.0, id="it is gone"),
        pytest.param(broken("reset"), True, 0.0, id="it breaks off"),
        pytest.param(Says(after_s=99.0), True, UNTIL_S, id="it is late"),
        pytest.param(Says(pieces=(replies.whole(Wire.OPENAI)[:40],)), True, 0.0, id="it is cut"),
    ],
)
def test_a_second_answer_that_does_not_come_holds_nothing_back_and_may_have_been_work(
    tmp_path: Path, second: Says | UpstreamError, worked: bool, took_s: float
) -> None:
    async def story() -> None:
        twice = Twice(tmp_path, second)
        assert await twice.alike()
        into, out = twice.counted()
        assert (into > 0, out) == (worked, 0)
        assert asyncio.get_running_loop().time() == took_s

    play(story())
