"""What is told of trials, when, and again until it was heard."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from overspill.api.sidecar_config import LenderConfig
from overspill.api.trials import PATH, TrialReport
from overspill.routing.features import MEASURES, VERSION
from overspill.sidecar import telling
from overspill.sidecar.link import NotAnswered
from overspill.sidecar.telling import BATCHES_KEPT, COUNTS_S, REPORT_S, REPORT_TRIALS, Teller
from overspill.trials.lot import Plan
from overspill.trials.record import Batch, Trial, unpack
from tests.virtual_time import play

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from overspill.sidecar.runtime import Runtime

OPERATOR = LenderConfig.model_validate({"url": "https://operator:8443", "caCertificate": "pem"})
MOVED = OPERATOR.model_copy(update={"token_file": "other"})
PLAN = Plan(limit=0.5, trial_rate=0.25, shadow_rate=1.0, variance=0.125)
NEXT = Plan(limit=0.5, trial_rate=0.5, shadow_rate=1.0, variance=0.125)


@dataclass
class Operator:
    """Hears what is told, unless something ails it."""

    ail: Exception | None = None
    heard: list[TrialReport] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    meanwhile: Callable[[], object] = bool
    """What happens while it listens."""
    made: list[tuple[object, ...]] = field(default_factory=list)
    hung_up: int = 0

    async def next_call(self) -> float:
        """Wait for it, and say when it came."""
        await self.asked.wait()
        self.asked.clear()
        return self.at_s[-1]

    @property
    def batches(self) -> list[list[Batch]]:
        """What came with each call."""
        return [unpack(report.batches) for report in self.heard]


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Operator:
    """At the other end of every link."""
    kept = Operator()

    class Near:
        """A link without a network."""

        def __init__(self, config: LenderConfig, folder: Path) -> None:
            if config.ca_certificate == "none":
                raise ValueError("caCertificate is not PEM")
            kept.made.append((config, folder))

        async def post(self, path: str, raw: bytes) -> bytes:
            assert path == PATH
            kept.heard.append(TrialReport.model_validate_json(raw))
            kept.at_s.append(asyncio.get_running_loop().time())
            kept.asked.set()
            kept.meanwhile()
            if kept.ail is not None:
                raise kept.ail
            return b"{}"

        def close(self) -> None:
            kept.hung_up += 1

    monkeypatch.setattr(telling, "Link", Near)
    return kept


def runtime(
    told: LenderConfig | None = OPERATOR,
    plan: Plan | None = PLAN,
    subject: str = "glm",
    policy: str = "team/chat",
) -> Runtime:
    """As much of one as a teller reads."""
    config = SimpleNamespace(trials=SimpleNamespace(operator=told), policy=policy)
    return cast("Runtime", SimpleNamespace(config=config, plan=plan, subject=subject))


def teller(folder: Path, **told: Any) -> Teller:  # noqa: ANN401
    numbers = iter(range(1_000))
    made = Teller(lambda: f"batch-{next(numbers)}")
    made.configure(runtime(**told), folder)
    return made


TRIAL = Trial(
    words=[1], shape=[0] * MEASURES, score=0.5, small=1.0, frontier=1.0, sent=0.5, seen=0.5
)


# -- what is told
def test_a_report_says_all_that_was_counted_and_under_which_plan(
    tmp_path: Path, operator: Operator
) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        one.count.alone, one.count.at_frontier, one.count.unseen = 2, 3, 4
        one.count.lost, one.count.missed = {False: 5, True: 6}, {False: 7.5, True: 8.5}
        one.count.spent_usd_micros = 9
        one.graded(TRIAL)
        assert await one.report()
        (report,) = operator.heard
        assert (report.policy, report.subject) == ("team/chat", "glm")
        ((batch,),) = operator.batches
        assert (batch.alone, batch.at_frontier, batch.unseen) == (2, 3, 4)
        assert (batch.lost_free, batch.lost_paid) == (5, 6)
        assert (batch.missed_free, batch.missed_paid) == (7.5, 8.5)
        assert (batch.spent_usd_micros, batch.trials) == (9, [TRIAL])
        assert (batch.trial_rate, batch.variance) == (PLAN.trial_rate, PLAN.variance)
        assert (batch.name, batch.features) == ("batch-0", VERSION)
        assert one.count.empty

    play(story())


def test_a_report_says_nothing_of_what_did_not_happen(tmp_path: Path, operator: Operator) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        one.graded(TRIAL)
        assert await one.report()
        ((batch,),) = operator.batches
        assert (batch.alone, batch.at_frontier, batch.unseen) == (0, 0, 0)
        assert (batch.lost_free, batch.lost_paid, batch.missed_free, batch.missed_paid) == (0,) * 4
        assert batch.spent_usd_micros == 0

    play(story())


@pytest.mark.parametrize(
    ("trials", "sizes"),
    [
        (0, [0]),
        (1, [1]),
        (REPORT_TRIALS, [REPORT_TRIALS]),
        (REPORT_TRIALS + 1, [REPORT_TRIALS, 1]),
        (2 * REPORT_TRIALS, [REPORT_TRIALS, REPORT_TRIALS]),
    ],
)
def test_trials_are_parted_into_batches_and_counts_are_told_once(
    tmp_path: Path, operator: Operator, trials: int, sizes: list[int]
) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        one.count.alone = 2
        for _ in range(trials):
            one.graded(TRIAL)
        assert await one.report()
        (batches,) = operator.batches
        assert [len(batch.trials) for batch in batches] == sizes
        assert [batch.alone for batch in batches] == [2] + [0] * (len(sizes) - 1)

    play(story())


def test_where_nothing_happened_nobody_is_told_and_all_is_known(
    tmp_path: Path, operator: Operator
) -> None:
    async def story() -> None:
        assert await teller(tmp_path).report()
        assert not operator.heard

    play(story())


# -- until it was heard
@pytest.mark.parametrize(
    "ail", [NotAnswered("away"), RuntimeError("a fault of ours")], ids=["away", "a fault"]
)
def test_what_was_not_heard_is_told_again_by_the_same_name_and_complained_of_once(
    tmp_path: Path, operator: Operator, ail: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        operator.ail = ail
        for _ in range(2):
            one.count.alone = 1
            assert not await one.report()
        assert len(caplog.records) == 1
        operator.ail = None
        assert await one.report()
        assert await one.report()  # all is known: nobody is asked
        told = [[batch.name for batch in batches] for batches in operator.batches]
        assert told == [["batch-0"], ["batch-0", "batch-1"], ["batch-0", "batch-1"]]
        operator.ail, one.count.alone = ail, 1
        assert not await one.report()
        assert len(caplog.records) == 2  # the same trouble, but another time

    play(story())


def test_what_happens_while_the_operator_listens_is_told_next_time(
    tmp_path: Path, operator: Operator
) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        one.count.alone = 1
        operator.meanwhile = lambda: one.configure(runtime(subject="qwen"), tmp_path)
        assert await one.report()  # what it has heard is no more of interest, and no fault
        operator.meanwhile = bool
        one.count.alone = 2
        assert await one.report()
        assert [batch.alone for batches in operator.batches for batch in batches] == [1, 2]

    play(story())


def test_of_what_nobody_hears_the_oldest_is_forgotten(tmp_path: Path, operator: Operator) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        operator.ail = NotAnswered("away")
        for number in range(BATCHES_KEPT + 2):
            one.count.alone = number + 1
            await one.report()
        operator.ail = None
        await one.report()
        assert [batch.alone for batch in operator.batches[-1]] == list(range(3, BATCHES_KEPT + 3))

    play(story())


# -- when
def test_trials_are_told_of_soon_and_many_at_once(tmp_path: Path, operator: Operator) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        telling_on = asyncio.create_task(one.tell_for_ever())
        one.graded(TRIAL)
        assert await operator.next_call() == REPORT_S
        await asyncio.sleep(REPORT_S / 2)
        for _ in range(REPORT_TRIALS - 1):
            one.graded(TRIAL)
        assert not one.full.is_set()
        one.graded(TRIAL)
        assert await operator.next_call() == REPORT_S * 1.5
        one.graded(TRIAL)
        assert await operator.next_call() == REPORT_S * 2.5
        telling_on.cancel()
        await asyncio.wait((telling_on,))

    play(story())


def test_counts_alone_are_told_of_now_and_then(tmp_path: Path, operator: Operator) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        telling_on = asyncio.create_task(one.tell_for_ever())
        for number in (1, 2):
            one.count.alone = 1
            assert await operator.next_call() == COUNTS_S * number
        one.graded(TRIAL)  # its report tells the counts too, and they wait anew
        one.count.alone = 1
        assert await operator.next_call() == COUNTS_S * 2 + REPORT_S
        one.count.alone = 1
        assert await operator.next_call() == COUNTS_S * 3 + REPORT_S
        telling_on.cancel()
        await asyncio.wait((telling_on,))

    play(story())


def test_what_was_not_heard_is_told_again_soon(tmp_path: Path, operator: Operator) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        operator.ail = NotAnswered("away")
        telling_on = asyncio.create_task(one.tell_for_ever())
        one.count.alone = 1
        assert await operator.next_call() == COUNTS_S
        assert await operator.next_call() == COUNTS_S + REPORT_S
        telling_on.cancel()
        await asyncio.wait((telling_on,))

    play(story())


# -- another configuration
@pytest.mark.parametrize(
    ("told", "listens"),
    [
        pytest.param({}, True, id="a plan, and who wants to hear"),
        pytest.param({"told": None}, False, id="nobody wants to hear"),
        pytest.param({"plan": None}, False, id="no plan"),
    ],
)
def test_there_are_trials_where_there_is_a_plan_and_somebody_listens(
    tmp_path: Path, operator: Operator, told: dict[str, Any], listens: bool
) -> None:
    async def story() -> None:
        one = teller(tmp_path, **told)
        assert one.listens is listens
        one.count.alone = 1
        assert await one.report() is (listens or "plan" in told)  # of no plan nothing is kept
        assert len(operator.heard) == listens

    play(story())


def test_a_policy_without_trials_has_nobody_who_listens(tmp_path: Path, operator: Operator) -> None:
    async def story() -> None:
        one, without = teller(tmp_path), runtime()
        without.config.trials = None  # type: ignore[misc]
        one.configure(without, tmp_path)
        assert not one.listens
        assert operator.hung_up == 1

    play(story())


def test_a_link_is_made_anew_only_where_it_leads_elsewhere(
    tmp_path: Path, operator: Operator
) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        one.configure(runtime(plan=NEXT), tmp_path)
        assert (len(operator.made), operator.hung_up) == (1, 0)
        one.configure(runtime(MOVED), tmp_path)
        one.configure(runtime(MOVED), tmp_path / "other")
        assert operator.made == [
            (OPERATOR, tmp_path),
            (MOVED, tmp_path),
            (MOVED, tmp_path / "other"),
        ]
        assert operator.hung_up == 2
        one.configure(runtime(None), tmp_path)
        assert (one.listens, operator.hung_up) == (False, 3)

    play(story())


def test_a_certificate_that_is_none_leaves_all_as_it_was(
    tmp_path: Path, operator: Operator
) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        one.count.alone = 1
        bad = OPERATOR.model_copy(update={"ca_certificate": "none"})
        with pytest.raises(ValueError, match="PEM"):
            one.configure(runtime(bad, NEXT, "qwen", "team/other"), tmp_path)
        assert (one.listens, one.subject, operator.hung_up) == (True, "glm", 0)
        assert await one.report()
        assert (operator.heard[0].policy, operator.batches[0][0].trial_rate) == ("team/chat", 0.25)

    play(story())


@pytest.mark.parametrize(
    ("subject", "goes_on", "told"), [("glm", True, [1, 2, 4]), ("qwen", False, [4])]
)
def test_what_is_of_other_models_counts_no_more(
    tmp_path: Path, operator: Operator, subject: str, goes_on: bool, told: list[int]
) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        operator.ail = NotAnswered("away")
        one.count.alone = 1
        await one.report()
        one.count.alone = 2
        assert one.configure(runtime(plan=NEXT, subject=subject), tmp_path) is goes_on
        one.count.alone = 4
        operator.ail = None
        await one.report()
        assert [batch.alone for batch in operator.batches[-1]] == told
        assert operator.heard[-1].subject == subject

    play(story())


def test_each_plan_has_an_account_of_its_own(tmp_path: Path, operator: Operator) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        one.count.alone = 1
        one.configure(runtime(), tmp_path)  # the same goes on
        one.count.alone += 1
        one.configure(runtime(plan=NEXT), tmp_path)
        one.count.alone = 4
        await one.report()
        told = [(batch.alone, batch.trial_rate) for batch in operator.batches[0]]
        assert told == [(2, 0.25), (4, 0.5)]

    play(story())


def test_who_leaves_tells_the_last_of_it_and_hangs_up(tmp_path: Path, operator: Operator) -> None:
    async def story() -> None:
        one = teller(tmp_path)
        one.count.alone = 1
        await one.close()
        assert len(operator.heard) == 1
        assert (one.listens, operator.hung_up) == (False, 1)

    play(story())
