"""Nothing gets past the sidecar that h11 did not see, whatever the bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, note
from hypothesis import strategies as st

from tests.sidecar import replies
from tests.sidecar.faulty import Script
from tests.sidecar.fuzz.judge import Heard, Hearing, answers, hear, refused
from tests.sidecar.fuzz.profile import examples
from tests.sidecar.fuzz.requests import CHAT, TAIL, conversations, plain_requests, tag_of
from tests.sidecar.fuzz.theatre import Theatre, theatre
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sidecar.faulty import Got

AUTHORITY = re.compile(rb"https?://[^/]+(?=/)")
"""RFC 9112, 3.2.2: a server takes a whole URL as it takes its path."""
ANSWER = replies.good_whole(Wire.OPENAI)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """A sidecar with small limits: what claims to be longer is refused, not waited for."""
    folder = tmp_path_factory.mktemp("house") / "scene"
    with theatre(folder, ROADS[0], other=ANSWER) as opened:
        opened.scene.first.script = Script(says=(ANSWER,))
        yield opened


@examples(300)
@given(st.lists(plain_requests(), min_size=1, max_size=12))
def test_nothing_that_is_right_is_refused(house: Theatre, said: list[bytes]) -> None:
    heard = hear(b"".join(said) + TAIL)
    house.reset()
    raw = house.play(house.converse([*said, TAIL]))
    got = answers(raw, [request.method for request in heard.requests])
    judge(heard, got)
    assert [one.status for one in got] == [expected(request) for request in heard.requests]
    assert len(got) == len(said) + 1


@examples(600)
@given(conversations())
@example(b"")
def test_the_sidecar_sees_no_other_requests_than_h11_does(house: Theatre, said: bytes) -> None:
    heard = hear(said + TAIL)
    house.reset()
    raw = house.play(house.converse([said + TAIL]))
    note(f"h11: {heard}")
    note(f"back: {raw!r}")
    got = answers(raw, [request.method for request in heard.requests])
    judge(heard, got)
    served = heard.requests[: len(got) - refused(got[-1])]
    asked = [*house.scene.first.asked, *house.scene.other.asked]
    assert sorted(tag_of(one.body) for one in asked) == sorted(
        tag_of(request.body) for request in served if is_chat(request)
    )
    assert [one.illegal for one in (house.scene.first, house.scene.other)] == [[], []]
    assert house.complaints.said == []


def judge(heard: Hearing, got: list[Got]) -> None:
    """Every answer belongs to a request, in order; a refusal is the last."""
    assert got, "the connection was closed without a word"
    *served, last = got
    if not refused(last):
        served = got
        assert not heard.objection
        early = last.headers.get("connection") == "close"
        assert len(got) == len(heard.requests) or early
    assert len(served) <= len(heard.requests)
    for request, answer in zip(heard.requests, served, strict=False):
        assert answer.complete, answer.trouble
        assert answer.status == expected(request)


def is_chat(request: Heard) -> bool:
    """Whether it is for an upstream."""
    return (request.method, path_of(request)) == (b"POST", CHAT) and tag_of(request.body) != ""


def path_of(request: Heard) -> bytes:
    """What is asked for, without origin and query."""
    origin = AUTHORITY.match(request.target)
    return request.target[origin.end() if origin else 0 :].partition(b"?")[0]


def expected(request: Heard) -> int:
    """The status that this request deserves."""
    path = path_of(request)
    if (request.method, path) == (b"POST", CHAT):
        return 200 if tag_of(request.body) else 400
    known = request.method in (b"GET", b"HEAD") and path == b"/healthz"
    return 200 if known else 404
