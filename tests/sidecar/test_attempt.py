"""One try at one upstream: what it gives, what its failure means, and what is left behind."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from overspill.routing.decide import Tier
from overspill.sidecar import attempt
from overspill.sidecar.attempt import AttemptFailed, Opened, open_upstream
from overspill.sidecar.runtime import Upstream
from overspill.sidecar.upstream import FOREVER, HEADER_BYTES, Origin, UpstreamError
from overspill.wire import errors
from overspill.wire.ask import Call, Target
from tests.sidecar import replies
from tests.sidecar.replies import Wire
from tests.sidecar.unplugged import CHAT, Says, Upstreams, ask, broken, refusal, stream, whole
from tests.virtual_time import play

if TYPE_CHECKING:
    from overspill.sidecar.runtime import Credential

DEADLINE_S = 100.0
DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
LATER = "Wed, 21 Oct 2026 07:28:20 GMT"
OVERLOADED = b'{"error":{"message":"no room","type":"overloaded_error"}}'


def upstream(wire: Wire = Wire.OPENAI) -> Upstream:
    target = Target(wire=errors.Wire(wire.value), model="m")
    return Upstream(tier=Tier.FRONTIER, origin=Origin("one", 80, tls=False), target=target)


class Tried:
    """One try, and what the upstream saw of it."""

    def __init__(self, says: Says | UpstreamError, wire: Wire = Wire.OPENAI) -> None:
        self.upstreams, self.upstream = Upstreams({"one": [says]}), upstream(wire)

    async def open(
        self, *, streamed: bool = False, keep_raw: bool = False, first_byte_s: float = FOREVER
    ) -> Opened:
        asked = ask(streamed=streamed)
        return await open_upstream(
            self.upstreams.pool,
            self.upstream,
            CHAT,
            asked,
            b"x-own: 1\r\n",
            call=CHAT.call(asked, self.upstream.target),
            now_s=1_780_000_000.0,
            deadline_s=DEADLINE_S,
            keep_raw=keep_raw,
            first_byte_s=first_byte_s,
        )

    @property
    def ends(self) -> list[str]:
        return self.upstreams.readings[0].ends


def failing(
    says: Says | UpstreamError, *, streamed: bool = False, wire: Wire = Wire.OPENAI
) -> AttemptFailed:
    """Return how a try fails; whatever was opened has been closed, once."""
    found: list[AttemptFailed] = []

    async def story() -> None:
        tried = Tried(says, wire)
        with pytest.raises(AttemptFailed) as caught:
            await tried.open(streamed=streamed)
        found.append(caught.value)
        assert [one.ends for one in tried.upstreams.readings] in ([], [["closed"]])

    play(story())
    return found[0]


# -- what a failure means
@pytest.mark.parametrize(
    ("kind", "status", "free", "final", "overload"),
    [
        pytest.param("connect", 502, True, False, False, id="no connection"),
        pytest.param("tls", 502, True, False, False, id="no trust"),
        pytest.param("credential", 502, True, False, False, id="no key"),
        pytest.param("cooling", 429, True, False, True, id="not now"),
        pytest.param("http_400", 400, True, True, False, id="wrong"),
        pytest.param("http_413", 413, True, True, False, id="too long"),
        pytest.param("http_422", 422, True, True, False, id="unprocessable"),
        pytest.param("http_404", 404, True, False, False, id="not there"),
        pytest.param("http_429", 429, True, False, True, id="too many"),
        pytest.param("http_503", 503, True, False, True, id="no room"),
        pytest.param("http_529", 529, True, False, True, id="no room at Anthropic"),
        pytest.param("http_500", 500, True, False, False, id="a fault"),
        pytest.param("reset", 502, False, False, False, id="broken"),
        pytest.param("timeout", 504, False, False, False, id="silent"),
        pytest.param("stream", 502, False, False, False, id="cut"),
        pytest.param("garbled", 502, False, False, False, id="unreadable"),
    ],
)
def test_a_failure_says_who_may_charge_and_who_else_is_worth_a_try(
    kind: str, status: int, free: bool, final: bool, overload: bool
) -> None:
    failure = AttemptFailed(kind, status)
    assert (failure.free, failure.final, failure.overload) == (free, final, overload)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("connect", 502), ("reset", 502), ("protocol", 502)]
    + [(late, 504) for late in ("timeout", "deadline", "first_token")],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_who_does_not_answer_is_a_bad_gateway_or_a_late_one(
    kind: str, status: int, streamed: bool
) -> None:
    for says in (broken(kind), Says(pieces=(b'{"choices":', broken(kind)))):
        failure = failing(says, streamed=streamed)
        assert (failure.kind, failure.status, failure.body) == (kind, status, b"")


def test_without_its_key_nobody_is_asked() -> None:
    async def story() -> None:
        tried = Tried(whole())
        tried.upstream.credential = cast("Credential", SimpleNamespace(key=lambda: ""))
        with pytest.raises(AttemptFailed, match=r"credential \(502\)"):
            await tried.open()
        assert tried.upstreams.sent == []

    play(story())


# -- a refusal
@pytest.mark.parametrize(
    ("said", "status"), [(400, 400), (599, 599), (404, 404), (302, 502), (399, 502), (600, 502)]
)
def test_a_refusal_keeps_its_status_where_it_is_an_error_of_http(said: int, status: int) -> None:
    failure = failing(refusal(said, b"words"))
    assert (failure.kind, failure.status, failure.body) == (f"http_{said}", status, b"words")
    assert failure.wire is errors.Wire.OPENAI


def test_a_refusal_keeps_the_names_by_which_its_provider_knows_it() -> None:
    failure = failing(
        refusal(500, b"", {"request-id": "r-1", "x-request-id": "x-1", "server": "nginx"})
    )
    assert failure.kept == b"request-id: r-1\r\nx-request-id: x-1\r\n"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        pytest.param({}, None, id="not told"),
        pytest.param({"retry-after": " 2.5 "}, 2.5, id="seconds"),
        pytest.param({"retry-after": "-3"}, 0.0, id="in the past"),
        pytest.param({"retry-after": "inf"}, None, id="never"),
        pytest.param({"retry-after": "soon"}, None, id="neither"),
        pytest.param({"retry-after": LATER, "date": DATE}, 20.0, id="a date"),
        pytest.param({"retry-after": DATE, "date": LATER}, 0.0, id="a date in the past"),
        pytest.param({"retry-after": LATER}, None, id="a date, and nobody knows when it was said"),
        pytest.param({"retry-after": LATER, "date": "x"}, None, id="a date beside none"),
    ],
)
def test_a_refusal_may_say_when_to_come_back(headers: dict[str, str], wait_s: float | None) -> None:
    assert failing(refusal(429, b"", headers)).retry_after_s == wait_s


def test_the_words_of_a_refusal_are_waited_for_a_moment_whatever_the_first_token_may_take() -> None:
    slow = Says(status=503, pieces=(b"no ", 0.5, b"room", 9.0, b" at all"))

    async def story() -> None:
        tried = Tried(slow)
        with pytest.raises(AttemptFailed) as caught:
            await tried.open(first_byte_s=0.1)
        assert caught.value.body == b"no room"
        assert asyncio.get_running_loop().time() == attempt.ERROR_BODY_S

    play(story())


def test_the_words_of_a_refusal_are_no_more_than_one_can_say() -> None:
    many = Says(status=500, pieces=(b"x" * attempt.ERROR_BODY_BYTES, b"y"))
    assert failing(many).body == b"x" * attempt.ERROR_BODY_BYTES


# -- a whole answer
@pytest.mark.parametrize("keep_raw", [False, True])
def test_a_whole_answer_comes_with_its_usage_and_is_kept_where_somebody_looks(
    keep_raw: bool,
) -> None:
    async def story() -> None:
        tried = Tried(whole("Paris"))
        opened = await tried.open(keep_raw=keep_raw)
        said = replies.whole(Wire.OPENAI, "Paris")
        assert opened.first == said
        assert opened.raw == (said if keep_raw else None)
        assert opened.usage
        assert (opened.usage.input_tokens, opened.usage.output_tokens) == (3, 5)
        assert not opened.estimated
        (sent,) = tried.upstreams.sent
        assert b"x-own: 1\r\n" in sent.head
        assert (sent.deadline_s, sent.first_byte_s) == (DEADLINE_S, FOREVER)
        assert not tried.ends  # who relays it lets go of it

    play(story())


def test_an_answer_without_usage_is_an_estimate() -> None:
    async def story() -> None:
        body = replies.whole(Wire.OPENAI).partition(b',"usage"')[0] + b"}"
        assert (await Tried(Says(pieces=(body,))).open()).estimated

    play(story())


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        pytest.param(b"[", 502, b"", id="nothing that can be read"),
        pytest.param(OVERLOADED, 503, OVERLOADED, id="an error, in its words"),
    ],
)
def test_an_answer_that_is_none_is_garbled(body: bytes, status: int, told: bytes) -> None:
    failure = failing(Says(pieces=(body,)))
    assert (failure.kind, failure.status, failure.body) == ("garbled", status, told)


# -- a stream
@pytest.mark.parametrize("keep_raw", [False, True])
def test_a_stream_is_open_with_the_first_of_its_answer(keep_raw: bool) -> None:
    events = replies.events(Wire.OPENAI, ("Paris",))

    async def story() -> None:
        tried = Tried(stream("Paris"))
        opened = await tried.open(streamed=True, keep_raw=keep_raw, first_byte_s=5.0)
        assert b"Paris" in opened.first
        assert b"[DONE]" not in opened.first
        assert opened.raw == (b"".join(events[:2]) if keep_raw else None)
        assert opened.estimated
        assert opened.response.first_byte_s == FOREVER  # the rest may take its time

    play(story())


@pytest.mark.parametrize(
    ("pieces", "status", "told"),
    [
        pytest.param((), 502, b"", id="nothing"),
        pytest.param(tuple(replies.events(Wire.OPENAI)[:1]), 502, b"", id="an announcement"),
        pytest.param((b": wait\n\n" * (HEADER_BYTES // 4),), 502, b"", id="announced for ever"),
        pytest.param((b"data: " + OVERLOADED + b"\n\n",), 503, OVERLOADED, id="an error"),
    ],
)
def test_a_stream_that_does_not_begin_has_failed(
    pieces: tuple[bytes, ...], status: int, told: bytes
) -> None:
    failure = failing(Says(pieces=pieces), streamed=True)
    assert (failure.kind, failure.status) == ("stream", status)
    assert (b"no room" in failure.body) is bool(told)


def test_an_announcement_may_be_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    events = replies.events(Wire.OPENAI)
    monkeypatch.setattr(attempt, "HEADER_BYTES", len(events[0]))

    async def story() -> None:
        opened = await Tried(Says(pieces=tuple(events))).open(streamed=True)
        assert opened.first.startswith(events[0])

    play(story())


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_what_cannot_be_worded_anew_is_garbled(streamed: bool) -> None:
    event = b'data: {"type":"message_start"}\n\n'
    says = Says(pieces=(event if streamed else b"{}",))
    failure = failing(says, streamed=streamed, wire=Wire.ANTHROPIC)
    assert (failure.kind, failure.status, failure.body) == ("garbled", 502, b"")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_who_leaves_meanwhile_takes_the_upstream_along(streamed: bool) -> None:
    async def story() -> None:
        tried = Tried(Says(pieces=(50.0,)))
        asking = asyncio.create_task(tried.open(streamed=streamed))
        await asyncio.sleep(1.0)
        asking.cancel()
        await asyncio.wait((asking,))
        assert tried.ends == ["closed"]

    play(story())


# -- what was opened
async def opened_stream(tried: Tried) -> Opened:
    opened = await tried.open(streamed=True)
    assert opened.stream
    return opened


@pytest.mark.parametrize(("read", "end"), [(True, "finished"), (False, "closed")])
def test_a_stream_that_was_read_to_its_end_leaves_its_connection_to_others(
    read: bool, end: str
) -> None:
    async def story() -> None:
        tried, given = Tried(stream()), []
        opened = await opened_stream(tried)
        while read and opened.stream and not opened.stream.done:
            opened.stream.feed(await opened.response.read())
        opened.release = lambda: given.append("slot")
        opened.close()
        opened.close()
        assert tried.ends == [end]
        assert given == ["slot"]
        assert opened.estimated is not read

    play(story())


def test_a_whole_answer_is_closed_by_its_length() -> None:
    async def story() -> None:
        tried = Tried(whole())
        (await tried.open()).close()
        assert tried.ends == ["closed"]

    play(story())


def test_what_is_kept_of_an_answer_is_bounded() -> None:
    opened = Opened(upstream(), cast("Any", None), Call("/chat/completions", b""), None)
    opened.keep(b"nobody looks")
    assert opened.raw is None
    opened.raw = bytearray()
    opened.keep(b"x" * attempt.KEPT_BYTES)
    assert opened.raw is not None
    assert len(opened.raw) == attempt.KEPT_BYTES
    opened.keep(b"x")
    assert opened.raw is None
