"""Which failure leads to another try, where, and when not; and what each try leaves behind."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from overspill.api.policy import Budget
from overspill.routing.decide import SMALL_FITS, TOO_COMPLEX, TRIAL, Reason, Route, Tier
from overspill.sidecar import ladder as ladder_module
from overspill.sidecar.attempt import AttemptFailed
from overspill.sidecar.ladder import CALLS_FOR_S
from overspill.sidecar.lender import LocalLender
from overspill.sidecar.purse import WAIT_S, Purse
from overspill.sidecar.upstream import UpstreamError
from overspill.telemetry import names
from overspill.wire.usage import Usage
from tests.sidecar import unplugged
from tests.sidecar.unplugged import Says, Unplugged, broken, refusal, stream, whole
from tests.virtual_time import play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overspill.budget.wallet import Book

Script = list[Says | UpstreamError]
GOOD, FAULT, WRONG = whole(), refusal(500, b"fault"), refusal(400, b"wrong")
RESET, GONE = broken("reset"), broken("connect")
LATE = Says(after_s=60.0)
STAYS = msgspec.structs.replace(SMALL_FITS, may_overflow=False)
TOO_LONG = msgspec.structs.replace(TOO_COMPLEX, fits_small=False)
NOWHERE = Route(tier=Tier.NONE, reason=Reason.BUDGET_EXHAUSTED)
REFUSES = whole("I'm sorry, but I can't help with that.")
NOON_S = 1_780_000_000.0


def now_s() -> float:
    return asyncio.get_running_loop().time()


def decisions(sidecar: Unplugged) -> list[tuple[str, str]]:
    """Tiers and reasons that were counted as decided."""
    cells = sidecar.proxy.metrics._cells[names.DECISIONS]
    told = [dict(labels) for labels, cell in cells.items() for _ in range(int(cell.value))]
    return [(one["tier"], one["reason"]) for one in told]


def hosts(sidecar: Unplugged) -> str:
    """Who was asked, in order."""
    return " ".join(sidecar.upstreams.asked)


# -- the order
ORDER = [
    pytest.param(
        SMALL_FITS, {"small-1": GOOD, "gpt": GOOD}, "small-1", ("small", "SmallFits"), id="fits"
    ),
    pytest.param(
        SMALL_FITS,
        {"small-1": FAULT, "gpt": GOOD},
        "small-1 gpt",
        ("frontier", "SmallFailed"),
        id="the small model fails",
    ),
    pytest.param(
        SMALL_FITS,
        {"small-1": FAULT, "small-2": GOOD, "gpt": GOOD},
        "small-1 small-2",
        ("small", "SmallFailed"),
        id="another endpoint is as good",
    ),
    pytest.param(
        SMALL_FITS,
        {"small-1": WRONG, "small-2": GOOD, "gpt": GOOD},
        "small-1 gpt",
        ("frontier", "SmallRefused"),
        id="another endpoint would say the same",
    ),
    pytest.param(
        SMALL_FITS,
        {"small-1": FAULT, "host": GOOD, "gpt": GOOD},
        "small-1 host",
        ("hosted", "SmallFailed"),
        id="a host before the frontier",
    ),
    pytest.param(
        SMALL_FITS,
        {"small-1": FAULT, "host": FAULT, "gpt": GOOD},
        "small-1 host gpt",
        ("frontier", "SmallFailed"),
        id="the host fails too",
    ),
    pytest.param(
        SMALL_FITS,
        {"small-1": FAULT, "host": WRONG, "gpt": GOOD},
        "small-1 host gpt",
        ("frontier", "SmallFailed"),
        id="what a host calls wrong the frontier may not",
    ),
    pytest.param(
        SMALL_FITS,
        {"small-1": FAULT, "gpt": FAULT, "opus": GOOD},
        "small-1 gpt opus",
        ("frontier", "SmallFailed"),
        id="the next provider",
    ),
    pytest.param(
        SMALL_FITS,
        {"small-1": FAULT, "gpt": WRONG, "opus": GOOD},
        "small-1 gpt",
        ("frontier", ""),
        id="the frontier says what is wrong",
    ),
    pytest.param(
        STAYS, {"small-1": FAULT, "gpt": GOOD}, "small-1", ("none", ""), id="may not leave"
    ),
    pytest.param(NOWHERE, {"small-1": GOOD, "gpt": GOOD}, "", ("none", ""), id="goes nowhere"),
    pytest.param(
        TOO_COMPLEX,
        {"small-1": GOOD, "host": GOOD, "gpt": GOOD},
        "gpt",
        ("frontier", "SmallFits"),
        id="needs the frontier",
    ),
    pytest.param(
        TOO_COMPLEX,
        {"small-1": GOOD, "host": GOOD, "gpt": FAULT},
        "gpt small-1",
        ("small", "FrontierFailed"),
        id="falls back",
    ),
    pytest.param(
        TOO_COMPLEX,
        {"small-1": FAULT, "host": GOOD, "gpt": FAULT},
        "gpt small-1 host",
        ("hosted", "FrontierFailed"),
        id="falls back to a host",
    ),
    pytest.param(
        TOO_COMPLEX,
        {"small-1": GOOD, "gpt": WRONG},
        "gpt",
        ("frontier", ""),
        id="wrong, and no way back",
    ),
    pytest.param(
        TOO_LONG,
        {"small-1": GOOD, "gpt": FAULT},
        "gpt",
        ("frontier", ""),
        id="too long for a way back",
    ),
]


@pytest.mark.parametrize(("route", "says", "asked", "end"), ORDER)
def test_everybody_who_may_help_is_asked_in_order_and_nobody_else(
    tmp_path: Path, route: Route, says: dict[str, Says], asked: str, end: tuple[str, str]
) -> None:
    """`end` is the tier, and the reason where somebody answers."""
    tier, reason = end

    async def story() -> None:
        scripts: dict[str, Script] = {host: [one] for host, one in says.items()}
        sidecar = unplugged.unplugged(tmp_path, scripts, small=1 + ("small-2" in says))
        ladder = sidecar.ladder()
        opened = await sidecar.open(ladder, route)
        assert hosts(sidecar) == asked
        assert (opened is not None) is (reason != "")
        assert ladder.at_work is (opened is not None)
        if opened:
            assert (ladder.tier, ladder.reason) == end
            assert ladder.upstream is opened.upstream
            opened.close()
        assert sidecar.proxy.capacity.in_flight == 0
        decided = "frontier" if reason == "FrontierFailed" else tier
        assert [one for one, _ in decisions(sidecar)] == [decided]

    play(story())


def test_observing_leaves_all_to_the_frontier_and_counts_what_would_be(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"small-1": [GOOD], "gpt": [GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts, mode="Observe")
        assert await sidecar.open(sidecar.ladder(), SMALL_FITS)
        assert hosts(sidecar) == "gpt"
        assert decisions(sidecar) == [("small", "SmallFits")]

    play(story())


def test_a_stream_whose_first_token_is_late_goes_to_the_frontier_and_not_next_door(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"small-1": [LATE], "small-2": [LATE], "gpt": [stream()]}
        sidecar = unplugged.unplugged(tmp_path, scripts, small=2)
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, SMALL_FITS, streamed=True)
        assert [one.at_s for one in sidecar.upstreams.sent] == [0.0, 5.0]
        assert (ladder.tier, ladder.reason) == (Tier.FRONTIER, Reason.FIRST_TOKEN_DEADLINE)
        assert sidecar.proxy.capacity.has_healthy(now_s())

    play(story())


@pytest.mark.parametrize(("route", "streamed"), [(STAYS, True), (SMALL_FITS, False)])
def test_what_cannot_go_elsewhere_and_what_comes_whole_may_take_its_time(
    tmp_path: Path, route: Route, streamed: bool
) -> None:
    good = stream() if streamed else whole()

    async def story() -> None:
        slow = Says(pieces=good.pieces, after_s=60.0)
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [slow], "gpt": [good]})
        ladder = sidecar.ladder()
        opened = await sidecar.open(ladder, route, streamed=streamed)
        assert opened
        assert (now_s(), ladder.tier) == (60.0, Tier.SMALL)

    play(story())


@pytest.mark.parametrize("route", [SMALL_FITS, TOO_COMPLEX])
def test_nobody_is_asked_once_the_time_is_up(tmp_path: Path, route: Route) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"small-1": [LATE], "gpt": [LATE], "opus": [GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts)
        ladder = sidecar.ladder(within_s=20.0)
        assert await sidecar.open(ladder, route) is None
        assert len(sidecar.upstreams.sent) == 1
        assert now_s() == 20.0
        assert ladder.last
        assert (ladder.last.kind, ladder.last.status) == ("deadline", 504)
        assert sidecar.proxy.capacity.has_healthy(now_s())  # it is nobody's fault
        assert all(one.health.usable(now_s()) for one in ladder.runtime.frontier)

    play(story())


# -- what a try leaves behind
@pytest.mark.parametrize(
    ("says", "usable", "rests_s"),
    [
        pytest.param(GOOD, True, 0.0, id="answered"),
        pytest.param(WRONG, True, 0.0, id="the request is wrong"),
        pytest.param(FAULT, False, 0.0, id="failed"),
        pytest.param(RESET, False, 0.0, id="broke"),
        pytest.param(refusal(429, b"", {"retry-after": "20"}), False, 20.0, id="wants a rest"),
        pytest.param(refusal(500, b"", {"retry-after": "20"}), False, 0.0, id="not for a fault"),
    ],
)
def test_who_fails_falls_out_of_favour_and_who_wants_a_rest_gets_it(
    tmp_path: Path, says: Says | UpstreamError, usable: bool, rests_s: float
) -> None:
    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [GOOD], "gpt": [says]})
        ladder = sidecar.ladder()
        await sidecar.open(ladder, TOO_LONG)
        health = ladder.runtime.frontier[0].health
        assert (health.usable(now_s()), health.cooling_s(now_s())) == (usable, rests_s)
        await asyncio.sleep(2.0)
        await sidecar.open(sidecar.ladder(), TOO_LONG)
        assert health.probe == 0
        assert len(sidecar.upstreams.sent) == (1 if rests_s else 2)

    play(story())


def test_who_answers_again_is_in_favour_again(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [GOOD], "gpt": [FAULT, GOOD]})
        for usable in (False, True):
            await sidecar.open(sidecar.ladder(), TOO_LONG)
            assert sidecar.ladder().runtime.frontier[0].health.usable(now_s()) is usable

    play(story())


def test_who_is_out_of_favour_is_asked_last(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"gpt": [FAULT], "opus": [GOOD, FAULT]}
        sidecar = unplugged.unplugged(tmp_path, scripts, small=0)
        await sidecar.open(sidecar.ladder(), TOO_LONG)
        await sidecar.open(sidecar.ladder(), TOO_LONG)
        assert hosts(sidecar) == "gpt opus opus gpt"

    play(story())


@pytest.mark.parametrize(
    ("says", "healthy"),
    [
        pytest.param(FAULT, False, id="failed"),
        pytest.param(RESET, False, id="broke"),
        pytest.param(WRONG, True, id="the request is wrong"),
    ],
)
def test_an_endpoint_that_fails_is_passed_over_for_a_while(
    tmp_path: Path, says: Says | UpstreamError, healthy: bool
) -> None:
    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [says], "gpt": [GOOD]})
        await sidecar.open(sidecar.ladder(), SMALL_FITS)
        capacity = sidecar.proxy.capacity
        assert (capacity.has_healthy(now_s()), capacity.in_flight) == (healthy, 0)

    play(story())


@pytest.mark.parametrize(
    ("slots", "says", "streamed", "then"),
    [
        pytest.param(1, stream(), True, 2, id="in time"),
        pytest.param(1, Says(pieces=stream().pieces, after_s=2.5), True, 2, id="just in time"),
        pytest.param(1, GOOD, False, 1, id="of a whole answer nobody can tell"),
        pytest.param(4, Says(pieces=stream().pieces, after_s=2.6), True, 3, id="late"),
        pytest.param(4, LATE, True, 3, id="too late"),
        pytest.param(4, refusal(503), True, 3, id="no room"),
        pytest.param(4, FAULT, True, 4, id="a fault"),
    ],
)
def test_a_full_endpoint_is_given_more_while_it_is_in_time_and_less_where_it_is_not(
    tmp_path: Path, slots: int, says: Says, streamed: bool, then: int
) -> None:
    async def story() -> None:
        frontier = stream() if streamed else GOOD
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [says], "gpt": [frontier]})
        sidecar.configure(small={**sidecar.base["small"], "slotsPerEndpoint": slots})
        for _ in range(slots - 1):
            sidecar.proxy.room.take((), None, 0)
        assert await sidecar.open(sidecar.ladder(), SMALL_FITS, streamed=streamed)
        assert sidecar.proxy.capacity.slots == then

    play(story())


def test_a_slot_is_free_again_once_its_answer_was_let_go_of(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [GOOD], "gpt": [GOOD]})
        opened = await sidecar.open(sidecar.ladder(), SMALL_FITS)
        assert opened
        assert sidecar.proxy.capacity.in_flight == 1
        opened.close()
        assert sidecar.proxy.capacity.in_flight == 0

    play(story())


def test_who_leaves_gives_its_slot_back(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [LATE], "gpt": [GOOD]})
        ladder = sidecar.ladder()
        asking = asyncio.create_task(sidecar.open(ladder, SMALL_FITS))
        await asyncio.sleep(1.0)
        assert ladder.at_work
        asking.cancel()
        await asyncio.wait((asking,))
        assert sidecar.proxy.capacity.in_flight == 0

    play(story())


# -- waiting for room
@pytest.mark.parametrize(
    ("queue_s", "within_s", "free_s", "waited_s", "tier"),
    [
        pytest.param(9.0, 60.0, 4.0, 4.0, "small", id="there is room in time"),
        pytest.param(9.0, 60.0, 20.0, 9.0, "frontier", id="there is not"),
        pytest.param(9.0, 6.0, 20.0, 6.0, None, id="the request has no longer"),
        pytest.param(0.0, 60.0, 4.0, 0.0, "frontier", id="nobody waits"),
    ],
)
def test_who_finds_no_room_waits_as_long_as_it_may(
    tmp_path: Path,
    queue_s: float,
    within_s: float,
    free_s: float,
    waited_s: float,
    tier: str | None,
) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"small-1": [GOOD], "gpt": [GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts, queueMaxWaitS=queue_s)
        sidecar.configure(small={**sidecar.base["small"], "slotsPerEndpoint": 1})
        slot = sidecar.proxy.room.take((), None, 0)
        assert slot
        asyncio.get_running_loop().call_later(free_s, sidecar.proxy.room.give_back, slot)
        ladder = sidecar.ladder(within_s)
        opened = await sidecar.open(ladder, SMALL_FITS)
        assert (ladder.tier if opened else None) == tier
        assert (now_s(), ladder.queued_s) == (waited_s, waited_s)
        assert ladder.reason == (Reason.SMALL_FITS if tier == "small" else Reason.SLOTS_FULL)
        assert sidecar.proxy.meters.queue_wait_s.total == waited_s

    play(story())


def test_nobody_waits_where_no_endpoint_is_in_favour(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"small-1": [FAULT], "gpt": [GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts, queueMaxWaitS=0.5)
        for reason in (Reason.SMALL_FAILED, Reason.NO_ENDPOINTS):
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, SMALL_FITS)
            assert (ladder.reason, ladder.queued_s, now_s()) == (reason, 0.0, 0.0)

    play(story())


# -- no connection
PAUSES_S = (0.1, 0.3, 0.9)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder_module, "CONNECT_AGAIN_S", PAUSES_S)


GONE_SLOWLY = Says(after_s=1.0, fails="connect")


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("says", "within_s", "at_s"),
    [
        pytest.param([GONE, GONE, GONE, GOOD], 60.0, [0, 0.1, 0.4, 1.3], id="there at last"),
        pytest.param([GONE], 60.0, [0, 0.1, 0.4, 1.3], id="never there"),
        pytest.param([GONE, RESET, GOOD], 60.0, [0, 0.1], id="it was there, and broke"),
        pytest.param([GONE], 0.4, [0, 0.1], id="the request has no longer"),
        pytest.param([GONE_SLOWLY], 60.0, [0, 1.1, 2.4], id=f"for {CALLS_FOR_S} s"),
    ],
)
def test_who_is_the_last_hope_is_called_again_where_no_connection_came_about(
    tmp_path: Path, says: Script, within_s: float, at_s: list[float]
) -> None:
    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [GOOD], "gpt": says})
        await sidecar.open(sidecar.ladder(within_s), TOO_LONG)
        assert [one.at_s for one in sidecar.upstreams.sent] == pytest.approx(at_s)

    play(story())


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("says", "route", "asked"),
    [
        pytest.param({"gpt": GONE, "opus": GOOD}, TOO_LONG, "gpt opus", id="somebody is left"),
        pytest.param({"host": GONE, "gpt": GOOD}, SMALL_FITS, "host gpt", id="no host"),
    ],
)
def test_who_is_not_the_last_hope_is_called_once(
    tmp_path: Path, says: dict[str, Says | UpstreamError], route: Route, asked: str
) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {host: [one] for host, one in says.items()}
        sidecar = unplugged.unplugged(tmp_path, scripts, small=0)
        assert await sidecar.open(sidecar.ladder(), route)
        assert (hosts(sidecar), now_s()) == (asked, 0.0)

    play(story())


@pytest.mark.usefixtures("pauses")
def test_of_those_in_favour_the_last_is_called_again_whoever_is_left(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"gpt": [GONE], "opus": [FAULT, GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts, small=0)
        sidecar.ladder().runtime.frontier[1].health.failed(0.0, 0.0)
        await sidecar.open(sidecar.ladder(), TOO_LONG)
        assert hosts(sidecar) == "gpt gpt gpt gpt opus"
        await sidecar.open(sidecar.ladder(), TOO_LONG)  # now none is in favour
        assert hosts(sidecar) == "gpt gpt gpt gpt opus gpt opus"

    play(story())


# -- an answer that was held back
def cascading(folder: Path, **scripts: Script) -> Unplugged:
    says = {name.replace("_", "-"): one for name, one in scripts.items()}
    return unplugged.unplugged(folder, says, cascade={"verify": ["Refusal"], "holdForS": 10.0})


def small_tokens(sidecar: Unplugged) -> float:
    return sidecar.proxy.metrics.cell(names.OUTPUT_TOKENS, tier="small", provider="").value


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("better", [True, False], ids=["the frontier answers", "it fails"])
def test_what_was_held_back_is_given_only_where_nobody_answers_better(
    tmp_path: Path, better: bool, streamed: bool
) -> None:
    text, good = "I'm sorry, but I can't help with that.", stream if streamed else whole

    async def story() -> None:
        frontier = good("Paris") if better else FAULT
        sidecar = cascading(tmp_path, small_1=[good(text)], host=[GOOD], gpt=[frontier])
        ladder = sidecar.ladder()
        opened = await sidecar.open(ladder, SMALL_FITS, streamed=streamed)
        assert opened
        assert hosts(sidecar) == "small-1 gpt"  # a host has the same class of model
        assert (b"sorry" in opened.first) is not better
        tier = Tier.FRONTIER if better else Tier.SMALL
        assert (ladder.tier, ladder.reason) == (tier, Reason.NOT_VERIFIED)
        assert ladder.upstream is opened.upstream
        assert ladder.at_work
        assert decisions(sidecar) == [(tier, "NotVerified")]
        assert small_tokens(sidecar) == (5 if better else 0)  # else it counts as it is relayed
        assert sidecar.proxy.capacity.in_flight == 0
        assert sidecar.upstreams.readings[0].ends == ["finished" if streamed else "closed"]

    play(story())


@pytest.mark.usefixtures("pauses")
def test_nobody_is_called_again_where_there_is_an_answer_to_give(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = cascading(tmp_path, small_1=[REFUSES], gpt=[GONE])
        assert await sidecar.open(sidecar.ladder(), SMALL_FITS)
        assert (hosts(sidecar), now_s()) == ("small-1 gpt", 0.0)

    play(story())


def test_what_the_frontier_calls_wrong_is_answered_by_what_was_held(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = cascading(tmp_path, small_1=[REFUSES], gpt=[WRONG])
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, SMALL_FITS) is ladder.held is not None
        assert decisions(sidecar) == [("small", "NotVerified")]

    play(story())


def test_what_may_not_leave_is_not_looked_at(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = cascading(tmp_path, small_1=[REFUSES], gpt=[GOOD])
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, STAYS)
        assert (ladder.held, ladder.reason) == (None, Reason.SMALL_FITS)

    play(story())


def test_a_stream_that_breaks_while_it_is_held_has_failed(tmp_path: Path) -> None:
    async def story() -> None:
        cut = Says(pieces=(*stream().pieces[:2], RESET))
        sidecar = cascading(tmp_path, small_1=[cut], gpt=[stream()])
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, SMALL_FITS, streamed=True)
        assert (ladder.tier, ladder.reason) == (Tier.FRONTIER, Reason.SMALL_FAILED)
        assert ladder.failures == 1
        assert not sidecar.proxy.capacity.has_healthy(now_s())
        assert sidecar.upstreams.readings[0].ends == ["closed"]
        assert ladder.held is None

    play(story())


def test_who_leaves_while_an_answer_is_held_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story() -> None:
        slow = Says(pieces=(*stream().pieces[:2], 9.0))
        sidecar = cascading(tmp_path, small_1=[slow], gpt=[stream()])
        asking = asyncio.create_task(sidecar.open(sidecar.ladder(), SMALL_FITS, streamed=True))
        await asyncio.sleep(1.0)
        asking.cancel()
        await asyncio.wait((asking,))
        assert sidecar.upstreams.readings[0].ends == ["closed"]
        assert sidecar.proxy.capacity.in_flight == 0

    play(story())


# -- what is told where nobody answers
@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        pytest.param(FAULT, GONE, "http_500", id="what an upstream worded"),
        pytest.param(GONE, FAULT, "http_500", id="and when it did so last"),
        pytest.param(FAULT, refusal(502, b"bad"), "http_502", id="the last that was worded"),
        pytest.param(GONE, RESET, "reset", id="else the last"),
        pytest.param(refusal(500, b""), GONE, "connect", id="a status is no word"),
        pytest.param(
            refusal(429, b"", {"retry-after": "0"}), GONE, "http_429", id="when to come back is one"
        ),
        pytest.param(FAULT, refusal(400, b""), "http_400", id="what is wrong, in whatever words"),
    ],
)
def test_of_several_failures_the_one_that_says_most_is_told(
    tmp_path: Path, first: Says | UpstreamError, second: Says | UpstreamError, told: str
) -> None:
    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"gpt": [first], "opus": [second]}, small=0)
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, TOO_LONG) is None
        assert ladder.last
        assert ladder.last.kind == told
        assert not ladder.at_work

    play(story())


def test_whoever_rests_is_told_with_when_it_comes_back(tmp_path: Path) -> None:
    rest = refusal(429, b"", {"retry-after": "20"})

    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"gpt": [rest], "opus": [RESET, FAULT]}, small=0)
        found = []
        for _ in range(3):
            ladder = sidecar.ladder()
            await sidecar.open(ladder, TOO_LONG)
            last = ladder.last or AttemptFailed("none", 0)
            found.append((last.kind, last.status, last.retry_after_s))
            await asyncio.sleep(5.0)
        assert hosts(sidecar) == "gpt opus opus opus"
        assert found == [("http_429", 429, 20.0), ("http_500", 500, None), ("http_500", 500, None)]
        sidecar.upstreams.scripts["opus"] = [RESET]
        ladder = sidecar.ladder()
        await sidecar.open(ladder, TOO_LONG)
        assert ladder.last
        assert (ladder.last.kind, ladder.last.status) == ("cooling", 429)
        assert ladder.last.retry_after_s == pytest.approx(5.0)

    play(story())


def test_where_all_fail_the_frontiers_error_is_told_and_not_the_fall_backs(tmp_path: Path) -> None:
    async def story() -> None:
        last = refusal(502, b"small")
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [last], "gpt": [FAULT]})
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, TOO_COMPLEX) is None
        assert ladder.last
        assert (ladder.last.body, ladder.failures) == (b"fault", 2)

    play(story())


@pytest.mark.parametrize(("says", "counted"), [(FAULT, 1), (WRONG, 0)])
def test_what_only_a_small_model_cannot_do_is_no_error_of_it(
    tmp_path: Path, says: Says, counted: int
) -> None:
    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [says], "gpt": [GOOD]})
        await sidecar.open(sidecar.ladder(), SMALL_FITS)
        kind = f"http_{says.status}"
        cell = sidecar.proxy.metrics.cell
        labels = {"tier": "small", "provider": "", "kind": kind}
        assert cell(names.UPSTREAM_ERRORS, **labels).value == counted

    play(story())


# -- who cannot be asked in its own words
def test_what_cannot_be_worded_for_one_is_asked_of_the_next(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"opus": [GOOD], "gpt": [GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts, small=0, anthropic=("opus",))
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, TOO_LONG, n=2)
        assert hosts(sidecar) == "gpt"
        assert ladder.unfit
        assert ladder.last is None
        assert ladder.runtime.frontier[0].health.usable(now_s())

    play(story())


# -- money
@asynccontextmanager
async def paying(
    folder: Path,
    limit: str = "100",
    dear: str = "",
    **scripts: Script,
) -> AsyncIterator[Unplugged]:
    """A sidecar with a budget; `dear` costs ten times as much."""
    says = {name.replace("_", "-"): one for name, one in scripts.items()}
    sidecar = unplugged.unplugged(folder, says, small=int("small-1" in says))
    for one in sidecar.base["frontier"]:
        if one["name"] == dear:
            one["price"] = {"inputPerMTok": "50", "outputPerMTok": "250"}
    sidecar.proxy.money.local_lender = LocalLender(Budget(limit=limit), lambda: NOON_S)
    sidecar.configure()
    yield sidecar
    await sidecar.proxy.money.close()


def purse(sidecar: Unplugged) -> Purse:
    assert sidecar.proxy.money.purse
    return sidecar.proxy.money.purse


def book(sidecar: Unplugged) -> Book:
    return purse(sidecar).wallet.book


@pytest.mark.parametrize(
    ("usage", "unmetered"), [(Usage(input_tokens=3, output_tokens=5), False), (None, True)]
)
def test_the_worst_case_is_reserved_and_what_was_used_is_paid(
    tmp_path: Path, usage: Usage | None, unmetered: bool
) -> None:
    async def story() -> None:
        async with paying(tmp_path, gpt=[GOOD]) as sidecar:
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, TOO_LONG)
            lease = book(sidecar)
            worst = ladder.reserved.worst_usd_micros if ladder.reserved else 0
            assert worst > 3 * 5 + 5 * 25
            assert (lease.held, lease.spent) == (worst, 0)
            cost = worst if unmetered else 3 * 5 + 5 * 25
            assert ladder.charge(usage) == cost
            assert (lease.held, lease.spent) == (0, cost)
            assert lease.unmetered == (cost if unmetered else 0)
            assert ladder.reserved is None
            assert ladder.tally
            assert ladder.tally.cost_usd_micros == cost

    play(story())


@pytest.mark.parametrize(
    ("says", "paid"),
    [
        pytest.param(FAULT, False, id="it refused"),
        pytest.param(GONE, False, id="it was never reached"),
        pytest.param(RESET, True, id="it broke off, and may charge"),
        pytest.param(Says(after_s=99.0), True, id="it was late, and may charge"),
    ],
)
def test_a_failure_costs_nothing_unless_its_provider_may_charge_for_it(
    tmp_path: Path, says: Says | UpstreamError, paid: bool
) -> None:
    async def story() -> None:
        async with paying(tmp_path, gpt=[says]) as sidecar:
            ladder = sidecar.ladder(within_s=20.0)
            assert await sidecar.open(ladder, TOO_LONG) is None
            lease = book(sidecar)
            assert (lease.held, lease.spent) == (0, lease.unmetered)
            assert (lease.spent > 0) is paid
            assert ladder.reserved is None
            assert not ladder.short

    play(story())


def test_who_is_too_dear_is_passed_over_and_nobody_waits_for_money_twice(tmp_path: Path) -> None:
    async def story() -> None:
        async with paying(tmp_path, "0.01", dear="gpt", gpt=[GOOD], opus=[GOOD]) as sidecar:
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, TOO_LONG)
            assert hosts(sidecar) == "opus"
            assert (ladder.short, ladder.last) == (True, None)
            assert ladder.pay_until_s == WAIT_S
            assert ladder.runtime.frontier[0].health.usable(now_s())  # it was not asked

    play(story())


def test_the_small_model_costs_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with paying(tmp_path, "0.000001", small_1=[GOOD], gpt=[GOOD]) as sidecar:
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, SMALL_FITS)
            assert ladder.reserved is None

    play(story())


@pytest.mark.parametrize(
    ("on_exhausted", "asked"), [("SmallOnly", "small-1"), ("Reject", ""), ("Suspend", "")]
)
def test_what_cannot_be_paid_falls_back_only_where_the_policy_wants_that(
    tmp_path: Path, on_exhausted: str, asked: str
) -> None:
    async def story() -> None:
        async with paying(tmp_path, "0.000001", small_1=[GOOD], gpt=[GOOD]) as sidecar:
            sidecar.configure(budget={"onExhausted": on_exhausted})
            ladder = sidecar.ladder()
            opened = await sidecar.open(ladder, TOO_COMPLEX)
            assert hosts(sidecar) == asked
            assert ladder.short
            assert ladder.reason == (Reason.BUDGET_EXHAUSTED if opened else Reason.SMALL_FITS)

    play(story())


def test_with_money_missing_and_a_failure_it_is_the_failure_that_counts(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"small_1": [GOOD], "gpt": [FAULT], "opus": [GOOD]}
        async with paying(tmp_path, "0.01", dear="opus", **scripts) as sidecar:
            sidecar.configure(budget={"onExhausted": "Reject"})
            ladder = sidecar.ladder()
            assert await sidecar.open(ladder, TOO_COMPLEX)
            assert hosts(sidecar) == "gpt small-1"
            assert ladder.reason is Reason.FRONTIER_FAILED

    play(story())


def test_a_trial_that_cannot_be_paid_goes_where_it_would_have_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with paying(tmp_path, small_1=[FAULT], gpt=[GOOD]) as sidecar:
            ladder = sidecar.ladder()
            poor = LocalLender(Budget(limit="0.000001"), lambda: NOON_S)
            own = Purse(purse(sidecar).wallet.__class__("", lambda: "t-1", now_s()), poor)
            ladder.purse, ladder.watched, ladder.pay_until_s = own, True, 0.3
            ladder.reason = TRIAL.reason
            assert await sidecar.open(ladder, TRIAL)
            assert hosts(sidecar) == "small-1 gpt"
            assert (ladder.reason, ladder.watched) == (Reason.SMALL_FAILED, False)
            assert ladder.purse is purse(sidecar)
            assert not ladder.short
            assert ladder.pay_until_s == ladder.deadline_s
            assert decisions(sidecar) == [("frontier", "SmallFailed")]
            await own.close()

    play(story())


@pytest.mark.parametrize(("says", "asked"), [(FAULT, "gpt"), (GOOD, "gpt")])
def test_a_trial_that_fails_for_another_cause_stays_one(
    tmp_path: Path, says: Says, asked: str
) -> None:
    async def story() -> None:
        async with paying(tmp_path, gpt=[says]) as sidecar:
            ladder = sidecar.ladder()
            ladder.watched, ladder.reason = True, TRIAL.reason
            opened = await sidecar.open(ladder, TRIAL)
            assert (hosts(sidecar), ladder.watched) == (asked, True)
            assert (opened is not None and opened.raw is not None) is (says is GOOD)

    play(story())


@pytest.mark.parametrize(("watched", "kept"), [(True, True), (False, False)])
def test_what_the_frontier_sends_is_kept_only_for_a_trial(
    tmp_path: Path, watched: bool, kept: bool
) -> None:
    async def story() -> None:
        sidecar = cascading(tmp_path, small_1=[GOOD], gpt=[GOOD])
        ladder = sidecar.ladder()
        ladder.watched = watched
        opened = await sidecar.open(ladder, TOO_LONG)
        assert opened
        assert (opened.raw is not None) is kept

    play(story())
