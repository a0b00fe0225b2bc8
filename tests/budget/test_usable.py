"""Nearly all of a budget can be spent, by many sidecars at once, while nothing crashes."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import pytest

from overspill.budget.account import Limits
from overspill.budget.ledger import Ledger, renew, turned
from overspill.budget.period import Period
from overspill.budget.wallet import Book, Wallet

TICK_S = 0.05
"""Also the time of an exchange."""
START_S = 1_000_000.0
DAY = Period(start_s=START_S, end_s=START_S + 86_400)


@dataclass(slots=True)
class Sidecar:
    wallet: Wallet
    busy: list[tuple[float, Book, int, int]] = field(default_factory=list)
    """End, lease, worst case, cost."""
    waiting: list[int] = field(default_factory=list)
    turned_away: int = 0


@dataclass(slots=True)
class Town:
    """Sidecars whose clients want the frontier all the time."""

    limit_usd_micros: int
    sidecars: int
    clients: int
    ledger: Ledger = field(default_factory=lambda: turned(None, DAY))
    now_s: float = START_S
    writes: int = 0
    everyone: list[Sidecar] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(4))

    def __post_init__(self) -> None:
        for number in range(self.sidecars):
            ids = itertools.count(1)

            def new_lease(number: int = number, ids: itertools.count[int] = ids) -> str:
                return f"{number}-{next(ids)}"

            self.everyone.append(Sidecar(Wallet(f"pod-{number}", new_lease, self.now_s)))

    @property
    def spent(self) -> int:
        return self.ledger.current.settled_usd_micros()

    def tick(self) -> None:
        self.now_s += TICK_S
        for sidecar in self.everyone:
            self.finish(sidecar)
            self.ask(sidecar)
            self.exchange(sidecar)

    def finish(self, sidecar: Sidecar) -> None:
        for job in [one for one in sidecar.busy if one[0] <= self.now_s]:
            sidecar.busy.remove(job)
            sidecar.wallet.settle(job[1], job[2], job[3])

    def ask(self, sidecar: Sidecar) -> None:
        sidecar.waiting.clear()
        for _ in range(self.clients - len(sidecar.busy)):
            cost = self.chance.randrange(2_000, 20_000)
            worst = 3 * cost
            book = sidecar.wallet.debit(worst, self.now_s)
            if book is not None:
                end_s = self.now_s + self.chance.uniform(0.5, 3.0)
                sidecar.busy.append((end_s, book, worst, cost))
            elif not sidecar.wallet.hopeless(worst, self.now_s):
                sidecar.waiting.append(worst)
            else:
                sidecar.turned_away += 1

    def exchange(self, sidecar: Sidecar) -> None:
        wallet = sidecar.wallet
        if not sidecar.waiting and self.now_s < wallet.due_s(self.now_s):
            return
        reports = wallet.reports(self.now_s - TICK_S, waiting=sidecar.waiting)
        limits = Limits(limit_usd_micros=self.limit_usd_micros)
        self.ledger, grants = renew(self.ledger, reports, limits, self.now_s)
        wallet.apply(grants, self.now_s)
        self.writes += 1


@pytest.mark.parametrize(
    ("limit_usd_micros", "sidecars", "clients"),
    [
        pytest.param(5_000_000, 8, 25, id="8 sidecars of 25 clients, 5 dollars"),
        pytest.param(20_000_000, 8, 25, id="8 sidecars of 25 clients, 20 dollars"),
        pytest.param(5_000_000, 1, 25, id="one sidecar"),
        pytest.param(2_000_000, 40, 2, id="40 sidecars, 2 dollars"),
    ],
)
def test_at_least_97_percent_of_a_budget_is_spent_before_it_is_refused(
    limit_usd_micros: int, sidecars: int, clients: int
) -> None:
    town = Town(limit_usd_micros=limit_usd_micros, sidecars=sidecars, clients=clients)
    for _ in range(20_000):
        town.tick()
        if town.ledger.current.exhausted(
            Limits(limit_usd_micros=limit_usd_micros), town.now_s
        ) and not any(one.busy for one in town.everyone):
            break

    assert 0.97 * limit_usd_micros <= town.spent <= limit_usd_micros
