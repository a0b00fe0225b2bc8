"""What the frontier may better, and what is given where nobody does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from overspill.routing.decide import SMALL_FITS, TOO_COMPLEX, Reason, Tier
from overspill.sidecar import ladder as ladder_module
from overspill.telemetry import names
from tests.sidecar import unplugged
from tests.sidecar.unplugged import (
    FAULT,
    GONE,
    GOOD,
    RESET,
    STAYS,
    TOO_LONG,
    WRONG,
    Says,
    Script,
    Unplugged,
    now_s,
    stream,
    whole,
)
from tests.virtual_time import play

if TYPE_CHECKING:
    from pathlib import Path


REFUSES = whole("I'm sorry, but I can't help with that.")


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
        assert sidecar.hosts == "small-1 gpt"  # a host has the same class of model
        assert (b"sorry" in opened.first) is not better
        tier = Tier.FRONTIER if better else Tier.SMALL
        assert (ladder.tier, ladder.reason) == (tier, Reason.NOT_VERIFIED)
        assert ladder.upstream is opened.upstream
        assert ladder.at_work
        assert sidecar.decisions == [(tier, "NotVerified")]
        assert small_tokens(sidecar) == (5 if better else 0)  # else it counts as it is relayed
        assert sidecar.proxy.capacity.in_flight == 0
        assert sidecar.upstreams.readings[0].ends == ["finished" if streamed else "closed"]

    play(story())


def test_nobody_is_called_again_where_there_is_an_answer_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder_module, "CONNECT_AGAIN_S", (0.1, 0.3))

    async def story() -> None:
        sidecar = cascading(tmp_path, small_1=[REFUSES], gpt=[GONE])
        assert await sidecar.open(sidecar.ladder(), SMALL_FITS)
        assert (sidecar.hosts, now_s()) == ("small-1 gpt", 0.0)

    play(story())


def test_what_the_frontier_calls_wrong_is_answered_by_what_was_held(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = cascading(tmp_path, small_1=[REFUSES], gpt=[WRONG])
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, SMALL_FITS) is ladder.held is not None
        assert sidecar.decisions == [("small", "NotVerified")]

    play(story())


def test_what_will_do_is_given_and_kept_no_longer(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = cascading(tmp_path, small_1=[GOOD], gpt=[GOOD])
        ladder = sidecar.ladder()
        opened = await sidecar.open(ladder, SMALL_FITS)
        assert opened
        assert (ladder.tier, ladder.held, opened.raw) == (Tier.SMALL, None, None)
        assert sidecar.proxy.capacity.in_flight == 1

    play(story())


def test_what_may_not_leave_is_not_looked_at(tmp_path: Path) -> None:
    async def story() -> None:
        sidecar = cascading(tmp_path, small_1=[REFUSES], gpt=[GOOD])
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, STAYS)
        assert (ladder.held, ladder.reason) == (None, Reason.SMALL_FITS)

    play(story())


@pytest.mark.parametrize("host", [{}, {"host": [GOOD]}], ids=["alone", "with a host"])
def test_with_no_frontier_left_an_answer_is_not_looked_at(
    tmp_path: Path, host: dict[str, Script]
) -> None:
    async def story() -> None:
        sidecar = cascading(tmp_path, small_1=[REFUSES], gpt=[FAULT], **host)
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, TOO_COMPLEX)
        assert sidecar.hosts == "gpt small-1"
        assert (ladder.held, ladder.tier) == (None, Tier.SMALL)
        assert ladder.reason is Reason.FRONTIER_FAILED
        cell = sidecar.proxy.metrics.cell(names.NOT_VERIFIED, check="Refusal")
        assert cell.value == 0

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


def test_who_broke_off_while_it_was_held_is_at_work_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        cut = Says(pieces=(*stream().pieces[:2], RESET))
        sidecar = cascading(tmp_path, small_1=[cut], gpt=[stream()])
        ladder = sidecar.ladder()
        ladder.runtime.frontier[0].health.failed(0.0, 0.0, retry_after_s=20.0)
        assert await sidecar.open(ladder, SMALL_FITS, streamed=True) is None
        assert not ladder.at_work

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
