"""What is held back of the small model's answer until it was looked at, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overspill.sidecar import held
from overspill.sidecar.attempt import AttemptFailed, open_upstream
from overspill.sidecar.held import checked, is_checked, whole
from overspill.wire.ingress import INGRESSES
from overspill.wire.verify import Check
from tests.sidecar import replies, unplugged
from tests.sidecar.replies import Wire
from tests.sidecar.scene import asking
from tests.sidecar.unplugged import CHAT, Says, Unplugged, ask, broken, now_s
from tests.virtual_time import play

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.sidecar.attempt import Opened
    from overspill.sidecar.upstream import UpstreamError
    from overspill.wire.ingress import Ingress

HOLD_S = 10.0
EVENTS = replies.events(Wire.OPENAI, ("Paris",))
ROLE, TEXT, REST = EVENTS[0], EVENTS[1], EVENTS[2:]
REFUSES = "I'm sorry, but I can't help with that."


def made(folder: Path, *says: Says | UpstreamError, verify: tuple[str, ...] = ()) -> Unplugged:
    """A sidecar whose small model says these, and who holds its answers back."""
    cascade = {"verify": verify or ["Refusal", "Truncation"], "holdForS": HOLD_S}
    return unplugged.unplugged(folder, {"small-1": list(says), "gpt": []}, cascade=cascade)


async def begun(
    sidecar: Unplugged,
    *,
    streamed: bool,
    ingress: Ingress = CHAT,
    **more: Any,  # noqa: ANN401
) -> Opened:
    """The small model's answer, as far as it is there once it has begun."""
    asked, runtime = ingress.read(asking(stream=streamed, **more)), sidecar.proxy.runtime
    assert runtime
    (upstream,) = runtime.small.values()
    return await open_upstream(
        sidecar.proxy.pool,
        upstream,
        ingress,
        asked,
        b"",
        call=ingress.call(asked, upstream.target),
        now_s=sidecar.proxy.unix_s(),
        deadline_s=3600.0,
        keep_raw=True,
    )


# -- a stream, until it is whole
@pytest.mark.parametrize(
    ("pause_s", "came", "took_s"),
    [
        pytest.param(HOLD_S - 0.1, True, HOLD_S - 0.1, id="in time"),
        pytest.param(HOLD_S + 0.1, False, HOLD_S, id="late"),
    ],
)
def test_a_stream_is_held_so_long_and_all_that_came_is_kept(
    tmp_path: Path, pause_s: float, came: bool, took_s: float
) -> None:
    async def story() -> None:
        sidecar = made(tmp_path, Says(pieces=(ROLE, TEXT, REST[0], pause_s, *REST[1:])))
        opened = await begun(sidecar, streamed=True)
        assert await whole(opened, HOLD_S) is came
        assert now_s() == pytest.approx(took_s)
        assert bytes(opened.raw or b"") == (b"".join(EVENTS) if came else ROLE + TEXT + REST[0])
        for part in (b"Paris", b'"stop"'):
            assert part in opened.first
        assert (b"[DONE]" in opened.first) is came
        assert sidecar.upstreams.readings[0].ends == []

    play(story())


@pytest.mark.parametrize(("less", "came"), [(0, True), (1, False)])
def test_of_a_stream_so_much_is_held_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, less: int, came: bool
) -> None:
    monkeypatch.setattr(held, "HELD_BYTES", len(b"".join(EVENTS)) - less)

    async def story() -> None:
        opened = await begun(made(tmp_path, Says(pieces=tuple(EVENTS))), streamed=True)
        assert await whole(opened, HOLD_S) is came

    play(story())


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        pytest.param((broken("reset"),), "reset", id="the connection breaks"),
        pytest.param((), "stream", id="it ends before its end"),
        pytest.param((b'data: {"error":{"message":"no"}}\n\n', *REST), "stream", id="an error"),
    ],
)
def test_a_stream_that_breaks_off_while_it_is_held_has_failed(
    tmp_path: Path, pieces: tuple[bytes | UpstreamError, ...], kind: str
) -> None:
    async def story() -> None:
        opened = await begun(made(tmp_path, Says(pieces=(ROLE, TEXT, *pieces))), streamed=True)
        with pytest.raises(AttemptFailed) as caught:
            await whole(opened, HOLD_S)
        assert (caught.value.kind, caught.value.status) == (kind, 502)

    play(story())


def test_a_stream_that_cannot_be_worded_anew_while_it_is_held_has_failed(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = made(tmp_path, Says(pieces=(ROLE, TEXT, b'data: {"choices":5}\n\n', *REST)))
        messages = INGRESSES["/v1/messages"]
        opened = await begun(sidecar, streamed=True, ingress=messages)
        with pytest.raises(AttemptFailed, match=r"garbled \(502\)"):
            await whole(opened, HOLD_S)

    play(story())


# -- the look at it
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("text", "wrong"), [("Paris", None), (REFUSES, Check.REFUSAL), ("  ", Check.TRUNCATION)]
)
def test_an_answer_is_looked_at_once_it_is_whole(
    tmp_path: Path, text: str, wrong: Check | None, streamed: bool
) -> None:
    says = unplugged.stream(text) if streamed else unplugged.whole(text)

    async def story() -> None:
        sidecar = made(tmp_path, says)
        opened = await begun(sidecar, streamed=streamed)
        assert is_checked(opened)
        assert await checked(sidecar.ladder(), ask(streamed=streamed), opened) is wrong

    play(story())


@pytest.mark.parametrize(("limit", "wrong"), [(9, None), (None, Check.TRUNCATION)])
def test_an_answer_that_is_cut_is_as_wanted_where_the_client_gave_a_limit(
    tmp_path: Path, limit: int | None, wrong: Check | None
) -> None:
    cut = replies.whole(Wire.OPENAI, "Paris").replace(b'"stop"', b'"length"')

    async def story() -> None:
        sidecar = made(tmp_path, Says(pieces=(cut,)))
        opened = await begun(sidecar, streamed=False)
        found = await checked(sidecar.ladder(), ask(max_tokens=limit), opened)
        assert found is wrong

    play(story())


def test_what_comes_late_goes_out_unchecked(tmp_path: Path) -> None:
    async def story() -> None:
        events = replies.events(Wire.OPENAI, (REFUSES,))
        sidecar = made(tmp_path, Says(pieces=(*events[:2], HOLD_S + 1, *events[2:])))
        opened = await begun(sidecar, streamed=True)
        assert await checked(sidecar.ladder(), ask(streamed=True), opened) is None
        assert now_s() == HOLD_S

    play(story())


def test_what_cannot_be_read_passes(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = made(tmp_path, Says(pieces=(b'{"choices":5}',)))
        opened = await begun(sidecar, streamed=False)
        assert await checked(sidecar.ladder(), ask(), opened) is None

    play(story())


@pytest.mark.parametrize(
    ("kept", "endpoint", "looked_at"),
    [
        pytest.param(True, "/chat/completions", True, id="kept"),
        pytest.param(False, "/chat/completions", False, id="too long to keep"),
        pytest.param(True, "/embeddings", False, id="no text"),
    ],
)
def test_only_a_chat_that_was_kept_can_be_looked_at(
    tmp_path: Path, kept: bool, endpoint: str, looked_at: bool
) -> None:
    async def story() -> None:
        opened = await begun(made(tmp_path, unplugged.whole()), streamed=False)
        opened.raw = opened.raw if kept else None
        opened.call = type(opened.call)(endpoint, opened.call.body)
        assert is_checked(opened) is looked_at

    play(story())


# -- the second answer
TWICE = ("Refusal", "SelfConsistency")


@pytest.mark.parametrize(
    ("verify", "first", "second", "wrong", "times"),
    [
        pytest.param(TWICE, "Paris", "Paris", None, 2, id="the same"),
        pytest.param(TWICE, "Paris", "Rome", Check.SELF_CONSISTENCY, 2, id="another"),
        pytest.param(TWICE, REFUSES, REFUSES, Check.REFUSAL, 1, id="wrong already"),
        pytest.param(("Refusal",), "Paris", "Rome", None, 1, id="nobody wants a second"),
    ],
)
def test_it_is_asked_again_only_where_nothing_else_was_wrong(
    tmp_path: Path,
    verify: tuple[str, ...],
    first: str,
    second: str,
    wrong: Check | None,
    times: int,
) -> None:
    async def story() -> None:
        answers = unplugged.whole(first), unplugged.whole(second)
        sidecar = made(tmp_path, *answers, verify=verify)
        opened, ladder = await begun(sidecar, streamed=False), sidecar.ladder()
        assert await checked(ladder, ask(), opened) is wrong
        assert len(sidecar.upstreams.sent) == times

    play(story())


@pytest.mark.parametrize(
    ("within_s", "until_s"),
    [
        pytest.param(3600.0, HOLD_S, id="as long as an answer is held"),
        pytest.param(6.0, 6.0, id="as long as the request may take"),
    ],
)
def test_both_answers_together_take_no_longer_than_one_may(
    tmp_path: Path, within_s: float, until_s: float
) -> None:
    first = Says(pieces=(ROLE, TEXT, 4.0, *REST))

    async def story() -> None:
        sidecar = made(tmp_path, first, Says(after_s=20.0), verify=TWICE)
        opened, ladder = await begun(sidecar, streamed=True), sidecar.ladder(within_s)
        assert await checked(ladder, ask(streamed=True), opened) is None
        assert (sidecar.upstreams.sent[1].at_s, now_s()) == (4.0, until_s)

    play(story())
