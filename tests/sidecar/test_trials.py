"""With `routing.trials` both tiers answer some requests: one of them in the background."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from overspill.api.trials import TrialReport
from overspill.budget.lease import Grant, Report
from overspill.budget.purposes import TRIALS
from overspill.routing.features import features
from overspill.telemetry import names
from overspill.trials.record import Batch, unpack
from tests.clock import play, until
from tests.sidecar import replies
from tests.sidecar.faulty import Asked, Faulty, Got, How, Script, client, faulty, post
from tests.sidecar.replies import Framing, Wire
from tests.sidecar.scene import ROADS, Road, Scene, asking, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overspill.routing.capacity import Slot
    from overspill.sidecar.proxy import Proxy

SMALL = ROADS[0]
ANTHROPIC_CLIENT = Road("Messages", small=True, upstream=Wire.OPENAI, client=Wire.ANTHROPIC)
CAREFUL = {"careful": True, "shadowRate": 1.0}
BY_LOT = {"limit": 9.0, "trialRate": 1.0, "shadowRate": 1.0}
ALONE = {"limit": 9.0, "trialRate": 1e-12, "shadowRate": 1.0}
KEPT = Script(says=(replies.framed(Framing.LENGTH, [b'{"kept": 1}']),))
BROKEN = Script(says=(b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}",))
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@dataclass
class Trying:
    """A sidecar with trials, and the operator that is told of them."""

    made: Scene
    operator: Faulty
    webhook: Faulty

    async def ask(self, *, stream: bool = False, **more: Any) -> Got:  # noqa: ANN401
        """One request on a connection of its own."""
        async with client(self.made.stage.port) as app:
            await app.say(post(self.made.road.path, asking(stream=stream, **more)))
            return await app.answer()

    async def told(self) -> list[Batch]:
        """Report, and return all that the operator was told so far."""
        await self.made.stage.proxy.trials.teller.report()
        reports = [TrialReport.model_validate_json(one.body) for one in self.operator.asked]
        return [batch for report in reports for batch in unpack(report.batches)]

    async def trials(self, outcome: str = "graded", many: int = 1) -> list[Batch]:
        """Wait until so many trials have ended so, and return what was told of them."""
        stage = self.made.stage
        await until(lambda: stage.metric(names.TRIALS, outcome=outcome) >= many)
        return await self.told()

    def configure(self, plan: dict[str, Any], **trials: Any) -> None:  # noqa: ANN401
        """Use this plan from now on."""
        told = {"graders": ["JSON", "Match"], **trials}
        told["operator"] = {"url": f"http://{self.operator.address}", "caCertificate": ""}
        self.made.stage.configure(complexity={"plan": plan}, trials=told)


def says(text: str, *, stream: bool = False, wire: Wire = Wire.OPENAI) -> bytes:
    return replies.good_stream(wire, (text,)) if stream else replies.good_whole(wire, text)


@asynccontextmanager
async def trying(
    folder: Path,
    plan: dict[str, Any],
    *,
    small: str | Script = "Paris",
    frontier: str = "Paris.",
    road: Road = SMALL,
    stream: bool = False,
    grade: Script = BROKEN,
    **trials: Any,  # noqa: ANN401
) -> AsyncIterator[Trying]:
    """Both tiers say these words, in whatever form they are asked for."""
    script = small if isinstance(small, Script) else Script(says=(says(small, stream=stream),))
    async with (
        scene(folder, road, script, other=says(frontier, stream=stream)) as made,
        faulty(KEPT) as operator,
        faulty(grade) as webhook,
    ):
        (folder / "token").write_text("a-token\n")
        if "webhook" in trials:
            trials["webhook"] = {"url": f"http://{webhook.address}/grade", "timeout": "5s"}
        found = Trying(made, operator, webhook)
        found.configure(plan, **trials)
        yield found
        await made.stage.proxy.trials.close()


def route(got: Got) -> tuple[str, str]:
    return got.headers["x-overspill-tier"], got.headers["x-overspill-reason"]


@BOTH
@pytest.mark.parametrize("road", [SMALL, ANTHROPIC_CLIENT], ids=lambda road: road.client.value)
def test_what_the_frontier_answers_is_asked_of_the_small_model_too(
    tmp_path: Path, road: Road, stream: bool
) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL, road=road, stream=stream) as made:
            got = await made.ask(stream=stream)
            assert route(got) == ("frontier", "TooComplex")
            assert got.complete
            (batch,) = await made.trials()
            (trial,) = batch.trials
            assert (trial.small, trial.frontier, trial.sent, trial.seen) == (1.0, 1.0, 1.0, 1.0)
            assert set(trial.places) == features("hi").words
            assert (batch.at_frontier, batch.alone, batch.unseen) == (1, 0, 0)

    play(story())


@pytest.mark.parametrize(("graders", "shown"), [(["Match", "Judge"], True), (["Match"], False)])
def test_what_judges_are_paid_is_shown_before_the_first_is(
    tmp_path: Path, graders: list[str], shown: bool
) -> None:
    """Prometheus takes no step from nothing for an increase: the first of each pod was lost."""

    async def story() -> None:
        async with trying(tmp_path, CAREFUL, graders=graders) as made:
            text = made.made.stage.proxy.metrics.render().decode()
            assert (f"{names.JUDGES_USD}{{" in text) is shown

    play(story())


def test_answers_that_differ_cost_the_small_model_its_grade(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL, small="Lyon") as made:
            await made.ask()
            ((trial,),) = [batch.trials for batch in await made.trials()]
            assert (trial.small, trial.frontier) == (0.0, 1.0)

    play(story())


def test_an_answer_that_the_cascade_would_hold_back_is_as_good_as_the_frontiers(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL, small="I'm sorry, I cannot say.") as made:
            made.made.stage.configure(cascade={"verify": ["Refusal"], "holdForS": 5.0})
            await made.ask()
            ((trial,),) = [batch.trials for batch in await made.trials()]
            assert trial.small == 1.0

    play(story())


@pytest.mark.parametrize(
    ("hold_s", "small"),
    [pytest.param(5.0, 1.0, id="in time"), pytest.param(0.01, 0.0, id="late: it would go out")],
)
def test_the_cascade_holds_no_stream_back_that_takes_too_long(
    tmp_path: Path, hold_s: float, small: float
) -> None:
    words = ("I'm sorry, ", "I cannot say.")
    events = replies.events(Wire.OPENAI, words)
    top = replies.head(Framing.CHUNKED, kind=replies.EVENT_STREAM)
    first, rest = (b"".join(map(replies.chunked, part)) for part in (events[:2], events[2:]))
    script = Script(says=(top + first, 0.1, rest + b"0\r\n\r\n"))

    async def story() -> None:
        async with trying(tmp_path, CAREFUL, small=script, stream=True) as made:
            made.made.stage.configure(cascade={"verify": ["Refusal"], "holdForS": hold_s})
            await made.ask(stream=True)
            ((trial,),) = [batch.trials for batch in await made.trials()]
            assert trial.small == small

    play(story(), patient=True)


def test_by_lot_goes_up_what_the_score_would_give_to_the_small_model(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, BY_LOT | {"trialRate": 0.999999}) as made:
            assert route(await made.ask()) == ("frontier", "Trial")
            (batch,) = await made.trials()
            assert batch.trials[0].sent == batch.trials[0].seen == 0.999999
            assert batch.trial_rate == 0.999999

    play(story())


def test_what_the_small_model_answers_alone_is_counted(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, ALONE) as made:
            for _ in range(3):
                assert route(await made.ask()) == ("small", "SmallFits")
            (batch,) = await made.told()
            assert (batch.alone, batch.at_frontier, batch.trials) == (3, 0, [])

    play(story())


@pytest.mark.parametrize(
    ("plan", "changes"),
    [
        pytest.param(ALONE | {"trialRate": 0.0}, {}, id="nothing is drawn"),
        pytest.param(ALONE, {"budget": {"open": False}}, id="the budget is spent"),
    ],
)
def test_what_could_not_have_become_a_trial_is_counted_apart(
    tmp_path: Path, plan: dict[str, Any], changes: dict[str, Any]
) -> None:
    async def story() -> None:
        async with trying(tmp_path, plan) as made:
            made.made.stage.configure(**changes)
            assert route(await made.ask())[0] == "small"
            (batch,) = await made.told()
            assert (batch.alone, batch.unseen) == (0, 1)

    play(story())


def test_where_all_is_only_observed_the_frontier_answers_and_all_may_be_tried(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with trying(tmp_path, ALONE) as made:
            made.made.stage.configure(mode="Observe")
            await made.ask()
            ((trial,),) = [batch.trials for batch in await made.trials()]
            assert (trial.sent, trial.seen) == (1.0, 1.0)

    play(story())


@pytest.mark.parametrize(
    ("small", "outcome"),
    [
        pytest.param(BROKEN, "small_failed", id="the small model fails"),
        pytest.param(
            Script(says=(replies.framed(Framing.LENGTH, [b'{"choices": []}']),)),
            "unreadable",
            id="it answers nonsense",
        ),
    ],
)
def test_a_trial_that_comes_to_nothing_is_told_as_lost(
    tmp_path: Path, small: Script, outcome: str
) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL, small=small) as made:
            assert (await made.ask()).complete
            (batch,) = await made.trials(outcome)
            assert (batch.trials, batch.lost_free, batch.lost_paid) == ([], 1, 0)

    play(story())


def test_what_is_lost_after_another_plan_came_counts_by_the_chance_that_it_was_drawn_with(
    tmp_path: Path,
) -> None:
    """A batch has one plan, and a trial may wait for ten minutes while there are others."""

    async def story() -> None:
        async with trying(tmp_path, BY_LOT | {"trialRate": 0.999999}, small=BROKEN) as made:
            proxy = made.made.stage.proxy
            taken = [proxy.capacity.acquire(0.0) for _ in range(2)]  # of four
            await made.ask()
            assert proxy.trials.waiting == 1
            made.configure(BY_LOT | {"trialRate": 0.02})
            free(proxy, taken)
            *_, batch = await made.trials("small_failed")
            assert (batch.lost_paid, batch.trial_rate) == (1, 0.02)
            assert batch.missed_paid == pytest.approx(1 / 0.999999)
            assert batch.missed_free == 0.0

    play(story())


@pytest.mark.parametrize(
    ("plan", "lost"),
    [
        pytest.param(BY_LOT | {"trialRate": 0.999999}, 1, id="by lot"),
        pytest.param(CAREFUL, 0, id="it would have gone there anyway"),
    ],
)
@pytest.mark.parametrize(
    ("frontier", "leaves"),
    [
        pytest.param(Script(then=How.STALL), True, id="its client leaves"),
        pytest.param(BROKEN, False, id="nobody answers"),
    ],
)
def test_nothing_stands_for_what_nobody_answered_but_for_the_lot(
    tmp_path: Path, plan: dict[str, Any], frontier: Script, *, lost: int, leaves: bool
) -> None:
    """Trials by lot tell of what the small model answers alone: of that none may be forgotten."""

    async def story() -> None:
        async with trying(tmp_path, plan, small=BROKEN) as made:
            made.made.other.script = frontier
            async with client(made.made.stage.port) as app:
                await app.say(post(made.made.road.path, asking(stream=False)))
                if leaves:
                    await until(lambda: made.made.other.asked)
                else:
                    await app.answer()
            outcome = "cancelled" if leaves else "rejected"
            await until(lambda: made.made.stage.metric(names.REQUESTS, outcome=outcome))
            batches = await made.told()
            assert sum(batch.lost_paid for batch in batches) == lost
            assert sum(batch.lost_free + len(batch.trials) for batch in batches) == 0

    play(story())


@pytest.mark.parametrize(
    ("plan", "lost"), [(BY_LOT | {"trialRate": 0.999999}, 1), (CAREFUL, 0)], ids=["lot", "anyway"]
)
def test_what_falls_back_to_the_small_model_is_unseen(
    tmp_path: Path, plan: dict[str, Any], lost: int
) -> None:
    async def story() -> None:
        async with trying(tmp_path, plan) as made:
            made.made.other.script = BROKEN
            assert route(await made.ask())[0] == "small"
            (batch,) = await made.told()
            assert (batch.unseen, batch.lost_paid, batch.lost_free) == (1, lost, 0)

    play(story())


# -- room
def free(proxy: Proxy, taken: list[Slot | None]) -> None:
    """Give slots back, all of which must have been got."""
    for slot in taken:
        assert slot
        proxy.room.give_back(slot)


def test_the_small_model_is_asked_only_while_it_has_little_to_do(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL) as made:
            proxy = made.made.stage.proxy
            taken = [proxy.capacity.acquire(0.0) for _ in range(2)]  # of four
            await made.ask()
            assert proxy.trials.waiting == 1
            assert not made.made.first.asked
            free(proxy, taken)
            assert len(await made.trials()) == 1

    play(story())


def test_a_request_that_needs_the_room_gets_it(tmp_path: Path) -> None:
    """The trial gives way, and begins anew once there is room."""

    async def story() -> None:
        async with trying(tmp_path, CAREFUL) as made:
            stage, small = made.made.stage, made.made.first
            stage.configure(small={**stage.base["small"], "slotsPerEndpoint": 1})
            good, small.script = small.script, Script(then=How.STALL)
            await made.ask()
            await until(lambda: small.asked)
            small.script = good
            made.configure(ALONE)
            assert route(await made.ask()) == ("small", "SmallFits")
            assert sum(len(batch.trials) for batch in await made.trials()) == 1

    play(story())


def test_a_trial_that_gives_way_before_it_began_begins_anew(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL) as made:
            proxy = made.made.stage.proxy
            taken = [proxy.capacity.acquire(0.0) for _ in range(2)]  # of four
            await made.ask()
            free(proxy, taken)
            assert proxy.trials._begin()
            taken = [proxy.room.take((), None, 0) for _ in range(4)]
            assert all(taken)
            await until(lambda: proxy.trials.waiting == 1)
            free(proxy, taken)
            assert sum(len(batch.trials) for batch in await made.trials()) == 1
            assert proxy.capacity.in_flight == 0

    play(story())


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL) as made:
            proxy = made.made.stage.proxy
            taken = [proxy.capacity.acquire(0.0) for _ in range(4)]
            for _ in range(70):
                await made.ask()
            assert all(taken)
            assert proxy.trials.waiting == 64
            (batch,) = await made.told()
            assert (batch.at_frontier, batch.lost_free) == (70, 6)

    play(story())


# -- money
class _Lender:
    """Lends what is asked for, and for trials so much in all."""

    def __init__(self, for_trials_usd_micros: int, admit_from: float = 0.0) -> None:
        self._for_trials, self._admit_from = for_trials_usd_micros, admit_from

    async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
        return tuple(map(self._grant, reports))

    def _grant(self, report: Report) -> Grant:
        ceiling = self._for_trials if report.purpose == TRIALS else 10**9
        spent = report.spent_usd_micros >= ceiling or not ceiling
        return Grant(
            lease=report.lease,
            seq=report.seq,
            ceiling_usd_micros=ceiling,
            life_s=60.0,
            scarce=spent,
            exhausted=spent,
            resets_in_s=3600.0,
            admit_from=self._admit_from,
        )

    def close(self) -> None:
        """Nothing is held."""


class _Silent(_Lender):
    """Answers nobody."""

    def __init__(self) -> None:
        super().__init__(0)

    async def __call__(self, reports: tuple[Report, ...]) -> tuple[Grant, ...]:
        del reports
        await asyncio.Event().wait()
        return ()


def _limited(
    made: Trying,
    for_trials_usd_micros: int,
    plan: dict[str, Any] = BY_LOT,
    **trials: Any,  # noqa: ANN401
) -> None:
    lender: Any = _Lender(for_trials_usd_micros)
    made.made.stage.proxy.money.local_lender = lender
    made.configure(plan, limited=True, **trials)


def test_what_goes_up_by_lot_is_paid_from_what_trials_may_cost(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, ALONE) as made:
            _limited(made, 10**6)
            runtime = made.made.stage.proxy.runtime
            assert runtime
            assert runtime.trial_purse
            assert runtime.purse
            await until(lambda: runtime.trial_purse and runtime.trial_purse.wallet.book.ceiling)
            assert route(await made.ask()) == ("frontier", "Trial")
            await until(lambda: runtime.trial_purse and runtime.trial_purse.wallet.book.spent)
            assert runtime.purse.wallet.book.spent == 0
            await made.made.stage.proxy.money.close()

    play(story())


def test_where_that_is_spent_the_small_model_answers_and_nothing_is_drawn(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, ALONE) as made:
            _limited(made, 0)
            routes = [route(await made.ask()) for _ in range(3)]
            assert {tier for tier, _ in routes} == {"small"}
            assert routes[-1] == ("small", "SmallFits")
            batches = await made.told()
            assert sum(batch.unseen for batch in batches) == 3
            assert sum(len(batch.trials) for batch in batches) == 0
            await made.made.stage.proxy.money.close()

    play(story())


@pytest.mark.parametrize(
    ("for_trials_usd_micros", "admit_from"),
    [pytest.param(0, 0.0, id="spent"), pytest.param(10**6, 0.9, id="spread over the period")],
)
@pytest.mark.parametrize("plan", [ALONE, BY_LOT], ids=["left alone", "drawn"])
def test_what_no_lot_could_have_sent_up_is_unseen_drawn_or_not(
    tmp_path: Path, plan: dict[str, Any], for_trials_usd_micros: int, admit_from: float
) -> None:
    async def story() -> None:
        async with trying(tmp_path, plan) as made:
            lender: Any = _Lender(for_trials_usd_micros, admit_from)
            proxy = made.made.stage.proxy
            proxy.money.local_lender = lender
            made.configure(plan | {"trialRate": min(plan["trialRate"], 0.999999)}, limited=True)
            assert proxy.runtime
            trials, purse = proxy.runtime.trial_purse, proxy.runtime.purse
            assert trials
            assert purse
            await until(lambda: purse.wallet.admit_from == admit_from)
            await until(lambda: trials.wallet.exhausted or trials.wallet.book.ceiling)
            assert route(await made.ask())[0] == "small"
            (batch,) = await made.told()
            assert (batch.alone, batch.unseen, batch.lost_paid) == (0, 1, 0)
            await proxy.money.close()

    play(story())


def test_what_was_never_to_be_tried_is_not_unseen_for_want_of_money(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL) as made:
            async with client(made.made.stage.port) as app:
                await app.say(post("/v1/embeddings", b'{"model": "glm", "input": "hi"}'))
                assert route(await app.answer())[0] == "small"
            assert await made.told() == []

    play(story())


@pytest.mark.parametrize(
    ("plan", "count"), [(BY_LOT | {"trialRate": 0.999999}, (0, 1)), (CAREFUL, (1, 0))]
)
def test_what_cannot_be_compared_is_not_drawn_for(
    tmp_path: Path, plan: dict[str, Any], count: tuple[int, int]
) -> None:
    async def story() -> None:
        async with trying(tmp_path, plan) as made:
            async with client(made.made.stage.port) as app:
                await app.say(post("/v1/completions", b'{"model": "glm", "prompt": "hi"}'))
                await app.answer()
            (batch,) = await made.told()
            assert (batch.at_frontier, batch.unseen) == count
            assert (batch.lost_paid, batch.lost_free) == (0, 0)

    play(story())


def test_where_trials_cannot_pay_those_for_nothing_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL) as made:
            _limited(made, 0, CAREFUL)
            runtime = made.made.stage.proxy.runtime
            assert runtime
            await until(lambda: not runtime.can_pay_trials)
            await made.ask()
            assert sum(len(batch.trials) for batch in await made.trials()) == 1
            await made.made.stage.proxy.money.close()

    play(story())


@BOTH
@pytest.mark.parametrize("limited", [True, False], ids=["a limit of its own", "the budget"])
def test_a_trial_that_cannot_be_paid_costs_no_client_its_answer(
    tmp_path: Path, limited: bool, stream: bool
) -> None:
    """Nor the second for which others wait for money: the small model answers, as it would have."""

    async def story() -> None:
        async with trying(tmp_path, ALONE, stream=stream) as made:
            made.made.stage.configure(budget={"onExhausted": "Reject"})
            lender: Any = _Silent()
            made.made.stage.proxy.money.local_lender = lender
            made.configure(BY_LOT, limited=limited)
            got = await made.ask(stream=stream)
            assert route(got) == ("small", "SmallFits")
            (batch,) = await made.told()
            assert (batch.alone, batch.at_frontier, batch.unseen) == (0, 0, 1)
            assert batch.lost_paid == 1

    play(story())


# -- graders elsewhere
def test_a_webhook_grades(tmp_path: Path) -> None:
    async def story() -> None:
        grade = Script(
            says=(replies.framed(Framing.LENGTH, [b'{"small": 0.25, "frontier": 0.5}']),)
        )
        made_with: dict[str, Any] = {"graders": ["Match", "Webhook"], "webhook": {}}
        async with trying(tmp_path, CAREFUL, small="Lyon", grade=grade, **made_with) as made:
            await made.ask()
            ((trial,),) = [batch.trials for batch in await made.trials()]
            assert (trial.small, trial.frontier) == (0.25, 0.5)
            (asked,) = made.webhook.asked
            told = json.loads(asked.body)
            assert asked.target == b"/grade"
            assert told["request"]["messages"] == [{"role": "user", "content": "hi"}]
            assert (told["small"]["text"], told["frontier"]["text"]) == ("Lyon", "Paris.")

    play(story())


def test_a_webhook_that_fails_grades_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        made_with: dict[str, Any] = {"graders": ["Webhook"], "webhook": {}}
        async with trying(tmp_path, CAREFUL, small="Lyon", **made_with) as made:
            await made.ask()
            (batch,) = await made.trials("ungraded")
            assert (batch.trials, batch.lost_free) == ([], 1)

    play(story())


@pytest.mark.parametrize("last", ["Webhook", "Judge"])
def test_of_what_nobody_can_tell_not_only_the_equal_ones_are_kept(
    tmp_path: Path, last: str
) -> None:
    """Had those that differ been lost, the others would have stood for them."""

    async def story() -> None:
        made_with: dict[str, Any] = {"graders": ["Match", last]}
        if last == "Webhook":
            made_with["webhook"] = {}
        async with trying(tmp_path, CAREFUL, small="Lyon", **made_with) as made:
            made.made.other.script = _judge(("I cannot tell.", "I cannot tell."))
            await made.ask()
            ((trial,),) = [batch.trials for batch in await made.trials()]
            assert (trial.small, trial.frontier) == (0.0, 1.0)

    play(story())


@pytest.mark.parametrize("small", ["Paris", "Lyon"])
def test_where_no_judge_can_be_paid_nothing_is_tried(tmp_path: Path, small: str) -> None:
    """Not even what would need none: only such trials would come through."""

    async def story() -> None:
        made_with: dict[str, Any] = {"graders": ["Match", "Judge"]}
        async with trying(tmp_path, CAREFUL, small=small, **made_with) as made:
            _limited(made, 0, CAREFUL, **made_with)
            runtime = made.made.stage.proxy.runtime
            assert runtime
            await until(lambda: runtime.trial_purse and runtime.trial_purse.wallet.exhausted)
            await made.ask()
            (batch,) = await made.trials("no_judge")
            assert (batch.trials, batch.lost_free) == ([], 1)
            await made.made.stage.proxy.money.close()

    play(story())


def test_no_judge_is_asked_where_nobody_holds_it_to_its_limit(tmp_path: Path) -> None:
    async def story() -> None:
        made_with: dict[str, Any] = {"graders": ["Match", "Judge"]}
        async with trying(tmp_path, CAREFUL, small="Lyon", **made_with) as made:
            _limited(made, 10**6, CAREFUL, **made_with)
            made.made.stage.configure(mode="Observe")
            await made.ask()
            await made.trials("no_judge")
            assert len(made.made.other.asked) == 1
            await made.made.stage.proxy.money.close()

    play(story())


def test_judges_are_not_called_off_and_paid_again(tmp_path: Path) -> None:
    """Who needs the room gets it while they think, and they go on."""

    async def story() -> None:
        async with trying(tmp_path, CAREFUL, small="Lyon", graders=["Match", "Judge"]) as made:
            stage, frontier = made.made.stage, made.made.other
            stage.configure(small={**stage.base["small"], "slotsPerEndpoint": 1})
            frontier.script = _judge(("A", "A"), then=How.STALL)
            await made.ask()
            await until(lambda: len(frontier.asked) == 3)
            assert stage.proxy.capacity.in_flight == 0
            slot = stage.proxy.room.take((), None, 0)
            assert slot
            stage.proxy.room.give_back(slot)
            await until(lambda: stage.proxy.trials.waiting == 0)
            assert len(made.made.first.asked) == 1

    play(story())


@pytest.mark.parametrize(
    ("words", "quality"),
    [(("A", "B"), 1.0), (("A", "A"), 0.5), (("B", "A"), 0.0), (("TIE", "TIE"), 1.0)],
)
def test_the_frontier_judges_both_orders_and_is_paid(
    tmp_path: Path, words: tuple[str, str], quality: float
) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL, small="Lyon", graders=["Match", "Judge"]) as made:
            made.made.other.script = _judge(words)
            await made.ask()
            (batch,) = await made.trials()
            assert (batch.trials[0].small, batch.trials[0].frontier) == (quality, 1.0)
            assert batch.spent_usd_micros > 0
            stage = made.made.stage
            spent = stage.metric(names.JUDGES_USD) * 1e6
            assert spent == pytest.approx(batch.spent_usd_micros)
            assert stage.metric(names.SPEND_USD, provider="second") * 1e6 > spent

    play(story())


def _judge(words: tuple[str, str], then: How | None = None, says_so: bytes = b"") -> Any:  # noqa: ANN401
    """A frontier that says Paris, and as a judge these words, by who stands first, or `then`."""

    def script(asked: Asked) -> Script:
        body = asked.body.decode()
        if "answer A" not in body:
            return Script(says=(says("Paris."),))
        if then is not None:
            return Script(then=then)
        if says_so:
            return Script(says=(replies.framed(Framing.LENGTH, [says_so]),))
        small_first = body.index("Lyon") < body.index("Paris.")
        return Script(says=(says(f"So it is.\n{words[0 if small_first else 1]}"),))

    return script


def test_a_judge_that_does_not_say_what_it_used_is_paid_at_worst_case(tmp_path: Path) -> None:
    async def story() -> None:
        made_with: dict[str, Any] = {"graders": ["Match", "Judge"]}
        async with trying(tmp_path, CAREFUL, small="Lyon", **made_with) as made:
            _limited(made, 10**6, CAREFUL, **made_with)
            silent = json.dumps({"choices": [{"message": {"content": "A"}}]}).encode()
            made.made.other.script = _judge(("", ""), says_so=silent)
            await made.ask()
            (batch,) = await made.trials()
            assert batch.spent_usd_micros > 2 * 99 * 25  # all the output that it may give, twice
            await made.made.stage.proxy.money.close()

    play(story())


def test_what_a_judge_said_when_it_was_cut_is_no_verdict(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL, small="Lyon", graders=["Match", "Judge"]) as made:
            said = {"content": "I weigh both.\n### Answer A\nIt names"}
            cut = json.dumps({"choices": [{"message": said, "finish_reason": "length"}]}).encode()
            made.made.other.script = _judge(("", ""), says_so=cut)
            await made.ask()
            (batch,) = await made.trials()
            assert (batch.trials[0].small, batch.trials[0].frontier) == (0.0, 1.0)  # they differ

    play(story())


# -- telling
def test_what_the_operator_did_not_hear_is_told_again_and_by_the_same_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, ALONE) as made:
            made.operator.script = BROKEN
            await made.ask()
            assert not await made.made.stage.proxy.trials.teller.report()
            made.operator.script = KEPT
            await made.ask()
            batches = await made.told()
            assert len({batch.name for batch in batches}) == 2
            assert len(batches) == 3

    play(story())


def test_a_new_plan_begins_a_new_account(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, ALONE) as made:
            await made.ask()
            made.configure(ALONE | {"trialRate": 1e-9})
            await made.ask()
            assert [batch.trial_rate for batch in await made.told()] == [1e-12, 1e-9]

    play(story())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"small": {"model": "qwen"}}, id="another small model"),
        pytest.param({"trials": {"graders": ["Match"]}}, id="another grader"),
        pytest.param({"cascade": {"verify": ["Refusal"], "holdForS": 5.0}}, id="a cascade"),
    ],
)
def test_what_is_of_others_is_not_told(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Neither what was counted nor what waits nor what is under way."""

    async def story() -> None:
        async with trying(tmp_path, CAREFUL) as made:
            stage, small = made.made.stage, made.made.first
            proxy = stage.proxy
            stage.configure(small={**stage.base["small"], "slotsPerEndpoint": 1})
            good, small.script = small.script, Script(then=How.STALL)
            await made.ask()
            await made.ask()
            await until(lambda: small.asked and proxy.trials.waiting == 1)
            small.script = good
            told = {name: {**(stage.base.get(name) or {}), **one} for name, one in changes.items()}
            stage.configure(**told)
            assert proxy.trials.waiting == 0
            slot = proxy.room.take((), None, 0)
            assert slot
            await until(lambda: not proxy.trials._running)
            proxy.room.give_back(slot)
            assert await made.told() == []
            await made.ask()
            (batch,) = await made.trials()
            assert (batch.at_frontier, len(batch.trials), batch.lost_free) == (1, 1, 0)

    play(story())


def test_nothing_is_tried_where_nobody_listens(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, CAREFUL) as made:
            made.made.stage.configure(trials={"graders": ["Match"]})
            await made.ask()
            assert made.made.stage.proxy.trials.waiting == 0
            assert not made.operator.asked

    play(story())


def test_who_leaves_tells_the_last_of_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, ALONE) as made:
            await made.ask()
            await made.made.stage.proxy.give_back()
            assert len(made.operator.asked) == 1

    play(story())


def test_who_leaves_keeps_no_lease_while_nobody_listens_to_its_trials(tmp_path: Path) -> None:
    async def story() -> None:
        async with trying(tmp_path, ALONE) as made:
            _limited(made, 10**6, ALONE)
            proxy = made.made.stage.proxy
            assert proxy.runtime
            purse = proxy.runtime.purse
            assert purse
            await until(lambda: purse.wallet.book.ceiling)
            await made.ask()
            made.operator.script = Script(then=How.STALL)
            leaving = asyncio.create_task(proxy.give_back())
            await until(lambda: made.operator.asked)
            await until(lambda: not purse.wallet.book.ceiling)
            assert not leaving.done()
            made.operator.script = KEPT
            leaving.cancel()
            await asyncio.wait((leaving,))

    play(story())
