"""Bytes mean the same however the network cuts them, on the way in and on the way back."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tests.sidecar import replies
from tests.sidecar.faulty import Got, How, Script, client, post
from tests.sidecar.fuzz.profile import examples
from tests.sidecar.fuzz.requests import TAIL, conversations
from tests.sidecar.fuzz.theatre import Theatre, theatre
from tests.sidecar.replies import EVENT_STREAM, Framing, Wire
from tests.sidecar.scene import ROADS
from tests.wire.streams import ASKED, STREAMS, body_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANSWER = replies.good_whole(Wire.OPENAI)
SMALL, _, ANTHROPIC, _ = ROADS


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    """The bytes, cut at these places."""
    bounds = sorted({0, len(raw), *(at for at in places if 0 < at < len(raw))})
    return [raw[start:end] for start, end in itertools.pairwise(bounds)]


# -- on the way in
@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """A sidecar whose upstreams always answer."""
    folder = tmp_path_factory.mktemp("house") / "scene"
    with theatre(folder, SMALL, other=ANSWER) as opened:
        opened.scene.first.script = Script(says=(ANSWER,))
        yield opened


@examples(250)
@given(conversations(), st.lists(st.integers(0, 900), max_size=10))
def test_a_request_may_come_in_any_pieces(house: Theatre, said: bytes, places: list[int]) -> None:
    house.reset()
    whole = house.play(house.converse([said + TAIL]))
    house.reset()
    pieces = house.play(house.converse([*cut(said, places), TAIL]))
    assert pieces == whole
    assert house.complaints.said == []


# -- on the way back
@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Wire, Theatre]]:
    """A sidecar for each wire that an upstream may speak; nobody else answers."""
    failing = b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}"
    folder = tmp_path_factory.mktemp("houses")
    with (
        theatre(folder / "openai", SMALL, other=failing) as one,
        theatre(folder / "anthropic", ANTHROPIC, other=failing) as two,
    ):
        yield {Wire.OPENAI: one, Wire.ANTHROPIC: two}


@dataclass(frozen=True, slots=True)
class Case:
    """A recorded stream in HTTP, cut, and who asks for it."""

    name: str
    path: str
    usage: bool
    framing: Framing
    chunks: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def wire(self) -> Wire:
        """What its upstream speaks."""
        return Wire.ANTHROPIC if self.name.startswith("anthropic") else Wire.OPENAI

    @property
    def response(self) -> bytes:
        """All that the upstream says."""
        pieces = cut(STREAMS[self.name], self.chunks)
        return replies.framed(self.framing, pieces, EVENT_STREAM)

    @property
    def request(self) -> bytes:
        """All that the client says."""
        headers = [("x-priority", "high")] if self.wire is Wire.ANTHROPIC else []
        return post(self.path, body_for(self.path, usage=self.usage), headers)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A stream that some road leads through."""
    name = draw(st.sampled_from(sorted(STREAMS)))
    paths = [path for path in ASKED if path != "/v1/completions" or name.startswith("openai")]
    size = len(STREAMS[name])
    offsets = st.lists(st.integers(0, size + 400), max_size=12).map(tuple)
    path = draw(st.sampled_from(paths))
    return Case(
        name=name,
        path=path,
        usage=path.endswith("completions") and draw(st.booleans()),
        framing=draw(st.sampled_from(Framing)),
        chunks=draw(offsets),
        places=draw(offsets),
    )


@examples(300)
@given(cases())
def test_an_answer_may_come_in_any_pieces(houses: dict[Wire, Theatre], case: Case) -> None:
    house = houses[case.wire]
    whole = ask(house, case, [replies.framed(case.framing, [STREAMS[case.name]], EVENT_STREAM)])
    pieces = ask(house, case, cut(case.response, case.places))
    note(f"whole: {whole}")
    assert settled(pieces) == settled(whole)
    ended = case.name.rpartition("_")[2] not in ("error", "cut")
    assert (whole.status, whole.complete) == (200, ended)


def ask(house: Theatre, case: Case, pieces: list[bytes]) -> Got:
    """One request; its upstream answers in these pieces."""
    closes = case.framing is Framing.CLOSE

    async def story() -> Got:
        async with client(house.scene.stage.port) as app:
            await app.say(case.request)
            return await app.answer()

    house.reset()
    house.scene.first.script = Script(says=tuple(pieces), then=How.FIN if closes else None)
    got = house.play(story())
    assert house.complaints.said == []
    assert (len(house.scene.first.asked), len(house.scene.other.asked)) == (1, 0)
    return got


def settled(got: Got) -> tuple[int, bytes, bool]:
    """The answer without the moment it was made."""
    body = re.sub(rb'"created(_at)?": ?\d+', b'"created":0', got.body)
    return got.status, body, got.complete
