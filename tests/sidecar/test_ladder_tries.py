"""Which failure leads to another try, where, and when not; and what is told in the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from overspill.routing.decide import SMALL_FITS, TOO_COMPLEX, Reason, Route, Tier
from overspill.sidecar.attempt import AttemptFailed
from overspill.telemetry import names
from overspill.wire.ingress import INGRESSES
from tests.sidecar import unplugged
from tests.sidecar.replies import Wire
from tests.sidecar.scene import asking
from tests.sidecar.unplugged import (
    FAULT,
    GONE,
    GOOD,
    LATE,
    RESET,
    STAYS,
    TOO_LONG,
    WRONG,
    Says,
    Script,
    Unplugged,
    now_s,
    refusal,
    stream,
    whole,
)
from tests.virtual_time import play

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.sidecar.ladder import Ladder
    from overspill.sidecar.upstream import UpstreamError

MESSAGES = "/v1/messages"
CLAUDE = unplugged.whole(wire=Wire.ANTHROPIC)
NOWHERE = Route(tier=Tier.NONE, reason=Reason.BUDGET_EXHAUSTED)


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
        assert sidecar.hosts == asked
        assert (opened is not None) is (reason != "")
        assert ladder.at_work is (opened is not None)
        assert ladder.final is (asked.endswith("gpt") and says["gpt"] is WRONG)
        if opened:
            assert (ladder.tier, ladder.reason) == end
            assert ladder.upstream is opened.upstream
            opened.close()
        assert sidecar.proxy.capacity.in_flight == 0
        decided = "frontier" if reason == "FrontierFailed" else tier
        assert [one for one, _ in sidecar.decisions] == [decided]

    play(story())


def test_observing_leaves_all_to_the_frontier_and_counts_what_would_be(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"small-1": [GOOD], "gpt": [GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts, mode="Observe")
        assert await sidecar.open(sidecar.ladder(), SMALL_FITS)
        assert sidecar.hosts == "gpt"
        assert sidecar.decisions == [("small", "SmallFits")]

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


@pytest.mark.parametrize(
    ("host", "tier", "asked"),
    [
        pytest.param({}, Tier.SMALL, "gpt small-1", id="nobody else is left"),
        pytest.param({"host": [stream()]}, Tier.HOSTED, "gpt small-1 host", id="a host is"),
    ],
)
def test_the_last_who_is_left_may_take_its_time(
    tmp_path: Path, host: dict[str, Script], tier: Tier, asked: str
) -> None:
    async def story() -> None:
        slow = Says(pieces=stream().pieces, after_s=60.0)
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [slow], "gpt": [FAULT], **host})
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, TOO_COMPLEX, streamed=True)
        assert (ladder.tier, ladder.reason) == (tier, Reason.FRONTIER_FAILED)
        assert sidecar.hosts == asked

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
        assert sidecar.hosts == "gpt opus opus opus"
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
    tmp_path: Path, says: Says, counted: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [says], "gpt": [GOOD]})
        await sidecar.open(sidecar.ladder(), SMALL_FITS)
        labels = {"tier": "small", "provider": "", "kind": f"http_{says.status}"}
        cell = sidecar.proxy.metrics.cell(names.UPSTREAM_ERRORS, **labels)
        assert (cell.value, len(caplog.records)) == (counted, counted)

    play(story())


def test_an_error_is_told_without_the_key_that_it_repeats(tmp_path: Path) -> None:
    async def story() -> None:
        says = refusal(401, b"no such key: sk-provider")
        sidecar = unplugged.unplugged(tmp_path, {"gpt": [says]}, small=0)
        ladder = sidecar.ladder()
        await sidecar.open(ladder, TOO_LONG)
        assert ladder.last
        assert ladder.last.body == b"no such key: ***"

    play(story())


# -- who cannot be asked in its own words
def test_what_cannot_be_worded_for_one_is_asked_of_the_next(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"opus": [GOOD], "gpt": [GOOD]}
        sidecar = unplugged.unplugged(tmp_path, scripts, small=0, anthropic=("opus",))
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, TOO_LONG, n=2)
        assert sidecar.hosts == "gpt"
        assert ladder.unfit
        assert ladder.last is None
        assert ladder.runtime.frontier[0].health.usable(now_s())

    play(story())


def test_what_cannot_be_worded_for_a_small_model_is_not_asked_of_its_like(tmp_path: Path) -> None:
    async def story() -> None:
        scripts: dict[str, Script] = {"small-1": [GOOD], "small-2": [GOOD], "opus": [CLAUDE]}
        sidecar = unplugged.unplugged(tmp_path, scripts, small=2, anthropic=("opus",))
        ladder = sidecar.ladder(path=MESSAGES)
        strange = INGRESSES[MESSAGES].read(asking(stream=False, mcp_servers=[{"url": "u"}]))
        assert await ladder.open(strange, SMALL_FITS)
        assert sidecar.hosts == "opus"
        assert (ladder.tier, ladder.reason) == (Tier.FRONTIER, Reason.NOT_TRANSLATABLE)
        assert work(sidecar, ladder) == 0
        assert sidecar.proxy.capacity.in_flight == 0

    play(story())


@pytest.mark.parametrize(
    ("says", "worth"),
    [
        pytest.param(WRONG, False, id="only it cannot do that"),
        pytest.param(unplugged.whole(" "), False, id="it does that badly"),
        pytest.param(FAULT, True, id="it is broken"),
    ],
)
def test_what_the_small_model_cannot_do_is_no_work_for_more_of_it(
    tmp_path: Path, says: Says, worth: bool
) -> None:
    cascade = {"verify": ["Truncation"], "holdForS": 10.0}

    async def story() -> None:
        sidecar = unplugged.unplugged(tmp_path, {"small-1": [says], "gpt": [GOOD]}, cascade=cascade)
        ladder = sidecar.ladder()
        assert await sidecar.open(ladder, SMALL_FITS)
        assert (work(sidecar, ladder) > 0) is worth

    play(story())


def work(sidecar: Unplugged, ladder: Ladder) -> float:
    """What a request counts as work of the small model, once it has ended."""
    assert ladder.tally
    ladder.tally.shed()
    return sidecar.proxy.meters.work.value
