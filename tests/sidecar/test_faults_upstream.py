"""An upstream dies at every place, in every way, on every wire: what the client gets, counted.

Nothing is lost (every request gets an answer or an honest error), nothing is doubled (no second
attempt once a byte has reached the client), nothing is falsely finished.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Got, How, Script, When
from tests.sidecar.replies import Break, Framing, Outcome, Wire
from tests.sidecar.scene import ROADS, Road, Scene, scene

if TYPE_CHECKING:
    from pathlib import Path

OTHER = ("from", " the ", "other")


def duty(road: Road, *, stream: bool) -> bytes:
    """What the other upstream says."""
    wire = Wire.OPENAI if road.small else road.upstream
    if stream:
        return replies.good_stream(wire, OTHER)
    return replies.good_whole(wire, "".join(OTHER))


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a place, a way to die there, and what must come of it."""

    road: Road
    at: Break
    how: How
    stream: bool
    when: When = When.AFTER_REQUEST

    @property
    def script(self) -> Script:
        """For the upstream under test."""
        said = (self.at.said,) if self.at.said else ()
        return Script(says=said, then=self.how, when=self.when)


UNHEARD = [
    (When.BEFORE_ACCEPT, Break(When.BEFORE_ACCEPT, b"", Outcome.FAILOVER)),
    (When.AFTER_ACCEPT, Break(When.AFTER_ACCEPT, b"", Outcome.FAILOVER)),
    (When.AFTER_REQUEST, Break(When.AFTER_REQUEST, b"", Outcome.FAILOVER)),
]


def cases() -> list[Any]:
    """Every road × every place × every way."""
    found = []
    for road in ROADS:
        kinds = [
            ("stream", True, replies.stream_breaks(road.upstream)),
            ("chunked", False, replies.whole_breaks(road.upstream, Framing.CHUNKED)),
            ("length", False, replies.whole_breaks(road.upstream, Framing.LENGTH)),
        ]
        rows = [(kind, stream, When.AFTER_REQUEST, at) for kind, stream, ats in kinds for at in ats]
        rows += [("stream", True, when, at) for when, at in UNHEARD]
        rows += [("whole", False, when, at) for when, at in UNHEARD]
        found += [
            pytest.param(
                Case(road, at, how, stream, when), id=f"{road.name}, {kind}, {at.place}, {how}"
            )
            for kind, stream, when, at in rows
            for how in How
        ]
    return found


@pytest.mark.parametrize("case", cases())
def test_an_upstream_that_dies_leaves_nothing_lost_doubled_or_falsely_finished(
    tmp_path: Path, case: Case
) -> None:
    async def story() -> None:
        good = await undisturbed(tmp_path / "undisturbed", case)
        other = duty(case.road, stream=case.stream)
        async with scene(tmp_path / "faulty", case.road, case.script, other=other) as made:
            got = await made.ask(stream=case.stream)
            judge(case, made, got, good)
            assert await made.in_flight() == 0
            assert made.counted() == 1

    play(story(), patient=case.how is How.STALL)


async def undisturbed(folder: Path, case: Case) -> Got:
    """What the client gets from the same upstream when it does not die."""
    wire = case.road.upstream
    said = replies.good_stream(wire) if case.stream else replies.good_whole(wire)
    async with scene(folder, case.road, Script(says=(said,)), other=b"") as made:
        got = await made.ask(stream=case.stream)
        assert (got.status, got.complete, made.other.asked) == (200, True, [])
    return got


def judge(case: Case, made: Scene, got: Got, good: Got) -> None:
    """Compare what was got and what the doubles counted with what must be."""
    attempts = (len(made.first.asked), len(made.other.asked))
    heard = case.when is When.AFTER_REQUEST
    assert not made.first.illegal
    if case.at.outcome is Outcome.FAILOVER:
        assert attempts == (int(heard), 1)
        assert (got.status, got.complete) == (200, True)
        assert said_in(got) == "".join(OTHER)
        assert finished(case, got)
    elif case.at.outcome is Outcome.COMPLETE:
        assert attempts == (1, 0)
        assert (got.status, got.complete) == (200, True)
        assert settled(got.body) == settled(good.body)
    else:
        assert attempts == (1, 0)
        assert (got.status, got.complete) == (200, False)
        assert_broken_off(case.road.client, got, good)


def settled(body: bytes) -> bytes:
    """The body without the moment it was made."""
    return re.sub(rb'"created": ?\d+', b'"created":0', body)


def said_in(got: Got) -> str:
    """All the text of an answer."""
    return "".join(re.findall(r'"(?:content|text)": ?"(.*?)"', got.body.decode()))


def finished(case: Case, got: Got) -> bool:
    """Whether it ends as its protocol wants it."""
    if not case.stream:
        return isinstance(json.loads(got.body), dict)
    if case.road.client is Wire.OPENAI:
        return got.body.endswith(b"data: [DONE]\n\n")
    return b"event: message_stop\n" in got.body


def assert_broken_off(wire: Wire, got: Got, good: Got) -> None:
    """Whole events of the answer, then one error, and no end of any kind."""
    *relayed, error, rest = re.split(rb"(?<=\n\n)", got.body)
    assert rest == b""
    assert b"[DONE]" not in got.body
    assert b"message_stop" not in got.body
    assert settled(good.body).startswith(settled(b"".join(relayed)))
    if wire is Wire.ANTHROPIC:
        assert error.startswith(b"event: error\n")
    _, _, data = error.partition(b"data: ")
    told = json.loads(data)["error"]
    assert "broke off" in told["message"]
