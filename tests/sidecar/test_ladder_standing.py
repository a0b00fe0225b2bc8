"""What a try leaves behind: who is in favour, who has room, and who is called again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from overspill.routing.decide import SMALL_FITS, Reason, Route, Tier
from overspill.sidecar import ladder as ladder_module
from overspill.sidecar.ladder import CALLS_FOR_S
from tests.sidecar import unplugged
from tests.sidecar.unplugged import (
    FAULT,
    GONE,
    GOOD,
    LATE,
    RESET,
    TOO_LONG,
    WRONG,
    Says,
    Script,
    now_s,
    refusal,
    stream,
)
from tests.virtual_time import play

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.sidecar.upstream import UpstreamError


# -- what a try leaves behind
@pytest.mark.parametrize(
    ("says", "usable", "rests_s"),
    [
        pytest.param(GOOD, True, 0.0, id="answered"),
        pytest.param(WRONG, True, 0.0, id="the request is wrong"),
        pytest.param(FAULT, False, 0.0, id="failed"),
        pytest.param(RESET, False, 0.0, id="broke"),
        pytest.param(refusal(429, b"", {"retry-after": "20"}), False, 20.0, id="wants a rest"),
        pytest.param(refusal(429, b"", {"retry-after": "2.5"}), False, 2.5, id="a short one"),
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
        assert sidecar.hosts == "gpt opus opus gpt"

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
        assert sum(sidecar.proxy.meters.queue_wait_s.counts) == (queue_s > 0)

    play(story())


def test_who_waits_for_an_endpoint_follows_once_the_first_was_answered(tmp_path: Path) -> None:
    async def story() -> None:
        slow = Says(pieces=GOOD.pieces, after_s=2.0)
        scripts: dict[str, Script] = {"small-1": [FAULT, slow, GOOD], "gpt": [GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts, queueMaxWaitS=9.0)
        await sidecar.open(sidecar.ladder(), SMALL_FITS)
        await asyncio.sleep(1.5)  # it is to be probed, by one
        probe, other = sidecar.ladder(), sidecar.ladder()
        asking = (sidecar.open(one, SMALL_FITS) for one in (probe, other))
        assert all(await asyncio.gather(*asking))
        assert (probe.tier, probe.queued_s) == (Tier.SMALL, 0.0)
        assert (other.tier, other.queued_s) == (Tier.SMALL, 2.0)

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
PAUSES_S = ladder_module.CONNECT_AGAIN_S
"""As they are; all other tests of this room do without."""


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
        assert (sidecar.hosts, now_s()) == (asked, 0.0)

    play(story())


@pytest.mark.usefixtures("pauses")
def test_of_those_in_favour_the_last_is_called_again_whoever_is_left(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"gpt": [GONE], "opus": [FAULT, GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts, small=0)
        sidecar.ladder().runtime.frontier[1].health.failed(0.0, 0.0)
        await sidecar.open(sidecar.ladder(), TOO_LONG)
        assert sidecar.hosts == "gpt gpt gpt gpt opus"
        await sidecar.open(sidecar.ladder(), TOO_LONG)  # now none is in favour
        assert sidecar.hosts == "gpt gpt gpt gpt opus gpt opus"

    play(story())
