"""Whatever crashes, comes late or comes twice: what is spent stays within what was granted.

Sidecars, two operators with clocks and memories of their own, a store with compare-and-swap and a
network that delays and repeats are played against each other. The provider's books are kept apart,
as the truth.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from overspill.budget.account import KEPT_S, Limits
from overspill.budget.lease import LIFE_S, Grant, Report
from overspill.budget.ledger import Ledger, renew, turned
from overspill.budget.period import Period
from overspill.budget.wallet import Book, Wallet

LATEST_S = KEPT_S - 200
"""A message is late by no more than a lease is remembered for, and clocks differ by 90 s."""
PERIOD_S = 8 * 3600.0
UNIX_S = 1_000_000.0 * PERIOD_S
TRIALS = "trials"

pick = st.integers(min_value=0, max_value=1 << 16)
amounts = st.integers(min_value=1, max_value=20_000)
shares = st.integers(min_value=0, max_value=100)
waits = st.lists(amounts, max_size=3)
rarely = st.integers(min_value=0, max_value=5)
"""0 is rare."""


@dataclass(slots=True)
class Sidecar:
    pod: str
    wallet: Wallet
    exchange: int = 0
    """Which exchange it waits for; answers to others reach nobody."""
    open: list[tuple[Book, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sent:
    sidecar: Sidecar
    exchange: int
    reports: tuple[Report, ...]
    at_s: float


@dataclass(frozen=True, slots=True)
class Draft:
    """What an operator is about to write."""

    operator: int
    version: int
    """Of the ledger that it goes out from."""
    ledger: Ledger
    answer: Sent
    grants: tuple[Grant, ...]
    limits: Limits


class Promise(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = UNIX_S + PERIOD_S - 4000.0
        self.version, self.ledger = 0, turned(None, self.period(0.0))
        self.limits = Limits(limit_usd_micros=200_000, purposes={TRIALS: 15_000})
        self.skew_s = [0.0, 0.0]
        self.known: list[tuple[int, Ledger] | None] = [None, None]
        """The ledger as each operator last read or wrote it, and its version."""
        self.drafts: list[Draft | None] = [None, None]
        self.requests: list[Sent] = []
        self.answers: list[tuple[Sent, tuple[Grant, ...]]] = []
        self.sidecars: list[Sidecar] = []
        self.numbers = itertools.count(1)
        self.paid: dict[str, int] = {}
        """The provider's books, by lease."""
        self.crashed: set[str] = set()
        self.home: dict[str, float] = {}
        """The start of the period that a lease belongs to."""
        self.ceiling: dict[float, int] = {}
        """By period: the most that was ever in force when something was granted."""

    # -- the world
    def period(self, skew_s: float) -> Period:
        start_s = (self.now_s + skew_s) // PERIOD_S * PERIOD_S
        return Period(start_s=start_s, end_s=start_s + PERIOD_S)

    def sidecar(self, which: int) -> Sidecar:
        return self.sidecars[which % len(self.sidecars)]

    def start(self, pod: str, purpose: str = "") -> Sidecar:
        incarnation, count = f"i{next(self.numbers)}", itertools.count(1)
        made = Sidecar(
            pod, Wallet(pod, lambda: f"{incarnation}-{next(count)}", self.now_s, purpose)
        )
        self.sidecars.append(made)
        return made

    def pay(self, book: Book, usd_micros: int) -> None:
        self.paid[book.id] = self.paid.get(book.id, 0) + usd_micros

    @initialize(skews=st.tuples(st.floats(-90, 90), st.floats(-90, 90)))
    def begin(self, skews: tuple[float, float]) -> None:
        self.skew_s = list(skews)
        for pod in ("a", "b", "c"):
            self.start(pod)
        self.start("t", TRIALS)

    # -- sidecars
    @rule(which=pick, costs=st.lists(amounts, min_size=1, max_size=4))
    def debit(self, which: int, costs: list[int]) -> None:
        sidecar = self.sidecar(which)
        for worst in costs:
            book = sidecar.wallet.debit(worst, self.now_s)
            if book is not None:
                sidecar.open.append((book, worst))

    @precondition(lambda self: any(one.open for one in self.sidecars))
    @rule(which=pick, share=shares, metered=st.booleans())
    def settle(self, which: int, share: int, metered: bool) -> None:
        busy = [one for one in self.sidecars if one.open]
        sidecar = busy[which % len(busy)]
        book, worst = sidecar.open.pop(which % len(sidecar.open))
        cost = worst if not metered else worst * share // 100
        self.pay(book, cost)
        sidecar.wallet.settle(book, worst, cost, metered=metered)

    @rule(which=pick, waiting=waits, rare=rarely)
    def send(self, which: int, waiting: list[int], rare: int) -> None:
        sidecar = self.sidecar(which)
        sidecar.exchange = next(self.numbers)
        reports = sidecar.wallet.reports(self.now_s, waiting=waiting, leaving=rare == 0)
        self.requests.append(Sent(sidecar, sidecar.exchange, reports, self.now_s))

    @rule(which=pick, waiting=waits, operator=st.integers(0, 1))
    def renew(self, which: int, waiting: list[int], operator: int) -> None:
        """All goes well, and copies of the messages are still on their way."""
        self.send(which, waiting, rare=1)
        sent = self.requests[-1]
        draft = self.draft(sent, operator)
        if not self.commit(draft):
            draft = self.draft(sent, operator)
            assert self.commit(draft)
        self.answers.append((sent, draft.grants))
        self.take(len(self.answers) - 1)

    @rule(which=pick, share=shares, rare=rarely)
    def crash(self, which: int, share: int, rare: int) -> None:
        """The process is gone; the provider charges for what it was asked all the same."""
        if rare:
            return
        sidecar = self.sidecar(which)
        for book, worst in sidecar.open:
            self.pay(book, worst * share // 100)
        incarnation = sidecar.wallet.book.id.rpartition("-")[0]
        self.crashed.add(incarnation)
        self.sidecars.remove(sidecar)
        purpose = TRIALS if sidecar.pod == "t" else ""
        self.start(sidecar.pod, purpose)

    # -- the network: messages are taken in any order, as often as it likes
    @precondition(lambda self: self.requests)
    @rule(which=pick, operator=st.integers(0, 1), again=st.booleans())
    def deliver(self, which: int, operator: int, again: bool) -> None:
        index = which % len(self.requests)
        sent = self.requests[index] if again else self.requests.pop(index)
        self.drafts[operator] = self.draft(sent, operator)

    @precondition(lambda self: self.answers)
    @rule(which=pick)
    def answer(self, which: int) -> None:
        self.take(which)

    def take(self, which: int) -> None:
        sent, grants = self.answers.pop(which % len(self.answers))
        if sent.sidecar.exchange == sent.exchange:
            sent.sidecar.exchange = 0
            sent.sidecar.wallet.apply(grants, self.now_s)

    @precondition(lambda self: self.requests)
    @rule(which=pick)
    def lose(self, which: int) -> None:
        sent = self.requests.pop(which % len(self.requests))
        sent.sidecar.wallet.failed()

    # -- operators
    def draft(self, sent: Sent, operator: int) -> Draft:
        skew_s = self.skew_s[operator]
        version, known = self.known[operator] = self.known[operator] or (self.version, self.ledger)
        ledger = turned(known, self.period(skew_s))
        ledger, grants = renew(ledger, sent.reports, self.limits, self.now_s + skew_s)
        return Draft(operator, version, ledger, sent, grants, self.limits)

    @rule(operator=st.integers(0, 1), dies=st.booleans())
    def write(self, operator: int, dies: bool) -> None:
        draft, self.drafts[operator] = self.drafts[operator], None
        if draft is None:
            return
        if not self.commit(draft):
            self.drafts[operator] = self.draft(draft.answer, operator)
        elif dies:
            self.known[operator] = None
        else:
            self.answers.append((draft.answer, draft.grants))

    def commit(self, draft: Draft) -> bool:
        """Write by compare-and-swap; who was behind reads anew."""
        self.known[draft.operator] = None
        if draft.version != self.version:
            return False
        self.check_grants(draft)
        account = draft.ledger.current
        start_s = account.period.start_s
        for lease in account.leases:
            if lease not in self.paid:
                self.home[lease] = start_s
        limit = draft.limits.limit_usd_micros
        self.ceiling[start_s] = max(self.ceiling.get(start_s, 0), limit)
        self.version, self.ledger = self.version + 1, draft.ledger
        self.known[draft.operator] = (self.version, self.ledger)
        return True

    @rule(operator=st.integers(0, 1))
    def operator_crashes(self, operator: int) -> None:
        self.drafts[operator] = self.known[operator] = None

    def check_grants(self, draft: Draft) -> None:
        """Only what is beneath the limit in force was added."""
        after, before = draft.ledger.current, self.ledger.current
        same = after.period == before.period
        for purpose, limit in ((None, draft.limits.limit_usd_micros), (TRIALS, 15_000)):
            known = before.committed_usd_micros(purpose) if same else 0
            committed = after.committed_usd_micros(purpose)
            assert committed <= max(known, limit)

    # -- time and people
    @rule(passed_s=st.sampled_from((0.1, 0.1, 1.0, 1.0, 7.0, 25.0, LIFE_S, 3700.0)))
    def wait(self, passed_s: float) -> None:
        self.now_s += passed_s
        self.requests = [sent for sent in self.requests if self.now_s - sent.at_s < LATEST_S]

    @rule(limit=st.integers(min_value=0, max_value=400_000), rare=rarely)
    def edit_limit(self, limit: int, rare: int) -> None:
        if rare == 0:
            self.limits = Limits(limit_usd_micros=limit, purposes={TRIALS: 15_000})

    # -- what is always so
    @invariant()
    def spend_is_within_what_was_granted(self) -> None:
        for account in filter(None, (self.ledger.current, self.ledger.previous)):
            for lease in account.leases.values():
                assert self.paid.get(lease.id, 0) <= lease.committed_usd_micros
                assert lease.spent_usd_micros <= self.paid.get(lease.id, 0)

    @invariant()
    def a_period_costs_no_more_than_its_limit(self) -> None:
        """By the provider's books alone, whatever the ledger says or has forgotten."""
        costs: Counter[float] = Counter()
        for lease, usd_micros in self.paid.items():
            costs[self.home[lease]] += usd_micros
        for start_s, usd_micros in costs.items():
            assert usd_micros <= self.ceiling[start_s]

    @invariant()
    def no_money_is_made_or_lost(self) -> None:
        account = self.ledger.current
        counted = account.spent_usd_micros(self.now_s) + account.outstanding_usd_micros(self.now_s)
        assert counted == account.committed_usd_micros()
        told = [lease for lease, start_s in self.home.items() if start_s == account.period.start_s]
        assert account.settled_usd_micros() <= sum(self.paid.get(lease, 0) for lease in told)

    def step(self, name: str, chance: random.Random) -> None:
        """Take one step by chance."""
        which, operator = chance.randrange(1 << 16), chance.randrange(2)
        costs = [chance.randrange(1, 20_000) for _ in range(chance.randrange(4))]
        rare, share, yes = chance.randrange(6), chance.randrange(101), chance.random() < 0.5
        idle = {
            "settle": not any(one.open for one in self.sidecars),
            "deliver": not self.requests,
            "lose": not self.requests,
            "answer": not self.answers,
        }
        if idle.get(name):
            return
        passed_s = chance.choice((0.1, 1.0, 1.0, 7.0, 25.0, LIFE_S, 3700.0 if rare == 0 else 1.0))
        known: dict[str, tuple[object, ...]] = {
            "debit": (which, costs),
            "settle": (which, share, yes),
            "send": (which, costs, rare),
            "renew": (which, costs, operator),
            "crash": (which, share, rare),
            "deliver": (which, operator, yes),
            "answer": (which,),
            "lose": (which,),
            "write": (operator, yes),
            "operator_crashes": (operator,),
            "wait": (passed_s,),
            "edit_limit": (chance.randrange(400_000), rare),
        }
        getattr(self, name)(*known[name])

    def teardown(self) -> None:
        """Nothing leaks: after one life everything is settled, lost in a crash, or free again."""
        self.drafts = [None, None]
        self.known = [None, None]
        for sidecar in self.sidecars:
            for book, worst in sidecar.open:
                self.pay(book, worst)
                sidecar.wallet.settle(book, worst, worst)
            self.converse(sidecar, leaving=False)
            self.converse(sidecar, leaving=True)
            assert sidecar.wallet.settled
        self.now_s += LIFE_S + 180
        account = self.ledger.current
        assert account.outstanding_usd_micros(self.now_s + max(self.skew_s)) == 0
        for lease in account.leases.values():
            if lease.id.rpartition("-")[0] not in self.crashed:
                assert lease.committed_usd_micros == self.paid.get(lease.id, 0)

    def converse(self, sidecar: Sidecar, *, leaving: bool) -> None:
        """One exchange that nothing disturbs."""
        reports = sidecar.wallet.reports(self.now_s, leaving=leaving)
        draft = self.draft(Sent(sidecar, 0, reports, self.now_s), 0)
        assert self.commit(draft)
        sidecar.wallet.apply(draft.grants, self.now_s)


TestPromise = Promise.TestCase
TestPromise.settings = settings(
    max_examples=200,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


STEPS = 400
WEIGHTS = {
    "debit": 8,
    "settle": 6,
    "send": 2,
    "renew": 6,
    "crash": 2,
    "deliver": 3,
    "answer": 2,
    "lose": 1,
    "write": 3,
    "operator_crashes": 1,
    "wait": 3,
    "edit_limit": 1,
}


@pytest.mark.parametrize("seed", range(60))
def test_the_promise_holds_on_long_walks_too(seed: int) -> None:
    """Chance goes deeper than a search for small examples does: 24,000 steps in all."""
    chance = random.Random(seed)
    world = Promise()
    world.begin((chance.uniform(-90, 90), chance.uniform(-90, 90)))
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    for _ in range(STEPS):
        world.step(chance.choices(names, weights)[0], chance)
        world.spend_is_within_what_was_granted()
        world.a_period_costs_no_more_than_its_limit()
        world.no_money_is_made_or_lost()
    world.teardown()
