"""Single requests that the fuzz suite found or that the RFCs name: what the sidecar must do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sidecar import replies
from tests.sidecar.faulty import Script, client
from tests.sidecar.fuzz.judge import answers, refused
from tests.sidecar.fuzz.requests import CHAT, TAIL, ask
from tests.sidecar.fuzz.theatre import Theatre, theatre
from tests.sidecar.replies import Wire, chunked
from tests.sidecar.scene import ROADS, asking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sidecar.faulty import Got

BODY = ask("tag")
SIZE = b"content-length: %d\r\n" % len(BODY)
START = b"POST " + CHAT + b" HTTP/1.1\r\n"
HOST = b"host: x\r\n"
CHUNKS = chunked(BODY)
GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
FROM_SMALL = replies.good_whole(Wire.OPENAI, "small")
FROM_FRONTIER = replies.good_whole(Wire.OPENAI, "frontier")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """A sidecar whose tiers can be told apart."""
    folder = tmp_path_factory.mktemp("house") / "scene"
    with theatre(folder, ROADS[0], other=FROM_FRONTIER) as opened:
        opened.scene.first.script = Script(says=(FROM_SMALL,))
        yield opened


def talk(house: Theatre, *pieces: bytes, methods: tuple[bytes, ...] = ()) -> list[Got]:
    """All answers until the connection closes; nothing may be logged as an error."""
    house.reset()
    got = answers(house.play(house.converse([*pieces])), list(methods))
    assert house.complaints.said == []
    return got


MUST_REFUSE = [
    pytest.param(START + SIZE + b"\r\n" + BODY, id="no host"),
    pytest.param(START + HOST + HOST + SIZE + b"\r\n" + BODY, id="host twice"),
    pytest.param(START + HOST + b"host: y\r\n" + SIZE + b"\r\n" + BODY, id="hosts"),
    *(
        pytest.param(
            START + HOST + b"transfer-encoding: " + coding + b"\r\n\r\n" + CHUNKS + b"0\r\n\r\n",
            id=coding.decode(),
        )
        for coding in (
            b"gzip, chunked",
            b"identity, chunked",
            b"xchunked\r\ntransfer-encoding: chunked",
            b'"chunked"\r\ntransfer-encoding: chunked',
        )
    ),
    pytest.param(
        START.replace(b" HTTP/1.1", b"") + HOST + SIZE + b"\r\n" + BODY,
        id="HTTP/0.9",
    ),
    pytest.param(
        START + HOST + SIZE + b"transfer-encoding: chunked\r\n\r\n" + CHUNKS + b"0\r\n\r\n",
        id="both lengths",
    ),
    pytest.param(
        START + HOST + b"transfer-encoding: chunked\r\n\r\n" + CHUNKS + b"0\r\nx : y\r\n\r\n",
        id="a bad trailer",
    ),
]


@pytest.mark.parametrize("said", MUST_REFUSE)
def test_what_no_server_may_take_is_refused_and_nothing_after_it_is_read(
    house: Theatre, said: bytes
) -> None:
    *served, last = talk(house, said + TAIL)
    assert refused(last)
    assert served == []
    assert house.scene.first.asked == house.scene.other.asked == []


LONG_ZEROS = b"0" * 40
TOLERATED = [
    pytest.param(START + HOST + SIZE.replace(b": ", b": " + LONG_ZEROS), BODY, id="length zeros"),
    pytest.param(
        START + HOST + b"transfer-encoding: chunked\r\n",
        LONG_ZEROS + CHUNKS + LONG_ZEROS + b"\r\n\r\n",
        id="chunk size zeros",
    ),
    pytest.param(
        START + HOST + b"transfer-encoding: ,chunked\r\n", CHUNKS + b"0\r\n\r\n", id="empty element"
    ),
    pytest.param(b"\r\n\r\n" + START + HOST + SIZE, BODY, id="empty lines before it"),
    pytest.param(
        START.replace(b" ", b"   ") + HOST + SIZE, BODY, id="runs of spaces in the request line"
    ),
    pytest.param(START.replace(b"HTTP", b"RTSP") + HOST + SIZE, BODY, id="RTSP"),
]
"""Stricter parsers refuse these, h11 among them; the RFCs allow each, and none moves an end.

RFC 9110, 8.6 and RFC 9112, 7.1: lengths and chunk sizes are any number of digits. RFC 9110,
5.6.1.2: empty list elements are ignored. RFC 9112, 2.2: so are empty lines before a request. RFC
9112, 3: a request line may be split at white space. RTSP's name in HTTP's place is no HTTP, but
httptools has no way to tell, and all else of such a request is read as HTTP has it.
"""


@pytest.mark.parametrize(("head", "body"), TOLERATED)
def test_what_is_odd_and_allowed_is_read_as_it_was_meant(
    house: Theatre, head: bytes, body: bytes
) -> None:
    got = talk(house, head + b"\r\n" + body + TAIL)
    assert [one.status for one in got] == [200, 200]
    assert len(house.scene.first.asked) == 1


def test_a_trailer_is_no_header(house: Theatre) -> None:
    trailer = b"x-priority: high\r\ntraceparent: 00-aa-bb-01\r\n"
    coded = START + HOST + b"transfer-encoding: chunked\r\n\r\n" + CHUNKS
    talk(house, coded + b"0\r\n" + trailer + b"\r\n" + TAIL)
    assert [len(house.scene.first.asked), len(house.scene.other.asked)] == [1, 0]
    assert b"traceparent" not in house.scene.first.asked[0].headers


def test_an_absolute_target_is_served(house: Theatre) -> None:
    said = START.replace(CHAT, b"http://x" + CHAT) + HOST + SIZE + b"\r\n" + BODY
    assert [one.status for one in talk(house, said + TAIL)] == [200, 200]


# -- upgrades
OFFER = b"connection: upgrade\r\nupgrade: h2c\r\n"
LAST = [
    pytest.param(GET.replace(HOST, HOST + b"connection: close\r\n" + OFFER), id="lines"),
    pytest.param(
        GET.replace(HOST, HOST + OFFER.replace(b"upgrade\r", b"close, upgrade\r")), id="list"
    ),
    pytest.param(GET.replace(b"1.1", b"1.0").replace(HOST, HOST + OFFER), id="HTTP/1.0"),
]


@pytest.mark.parametrize("said", LAST)
def test_an_offer_to_upgrade_does_not_keep_a_connection_that_closes(
    house: Theatre, said: bytes
) -> None:
    (only,) = talk(house, said + GET + TAIL)
    assert only.headers["connection"] == "close"


def test_an_offer_to_upgrade_keeps_its_version(house: Theatre) -> None:
    house.reset()
    house.scene.first.script = Script(says=(replies.good_stream(Wire.OPENAI),))
    body = asking(stream=True)
    head = b"POST " + CHAT + b" HTTP/1.0\r\n" + OFFER + b"content-length: %d\r\n\r\n" % len(body)
    raw = house.play(house.converse([head + body, TAIL]))
    house.scene.first.script = Script(says=(FROM_SMALL,))
    assert b"chunked" not in raw


def test_any_number_of_offers_is_declined(house: Theatre) -> None:
    said = GET.replace(HOST, HOST + OFFER)
    got = talk(house, said * 1000 + TAIL)
    assert len(got) == 1001


# -- expectations
EXPECT = b"expect: 100-continue\r\n"


def test_http_1_0_is_not_told_to_go_on(house: Theatre) -> None:
    said = START.replace(b"1.1", b"1.0") + HOST + EXPECT + SIZE + b"\r\n" + BODY
    (only,) = talk(house, said)
    assert (only.status, only.informational) == (200, [])


def test_a_pipelined_expectation_waits_its_turn(house: Theatre) -> None:
    async def story() -> None:
        async with client(house.scene.stage.port) as app:
            await app.say(GET + START + HOST + EXPECT + SIZE + b"\r\n")
            first = await app.answer(b"GET")
            assert (first.status, first.informational) == (200, [])
            assert await app.hear() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await app.say(BODY)
            assert (await app.answer()).status == 200

    house.play(story())
