"""The sidecar's side of the ledger: debit before the first byte, settle on usage, renew ahead.

Pure, but for being changed in place: it is on the hot path, and `debit` and `settle` together cost
under a microsecond. Times are seconds of one steady clock, the sidecar's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from overspill.api.leases import MOST_USD_MICROS
from overspill.budget.lease import LIFE_S, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from overspill.budget.lease import Grant

RENEW_PART: Final = 1 / 3
"""Of a lease's life, after which it is renewed: two tries may fail before it runs out."""
SCARCE_S: Final = 1.0
"""Between renewals while money is short."""
AHEAD_S: Final = 30.0
"""Seconds of spending at the present rate that a lease should hold."""
READY_FOR: Final = 8
"""Requests as dear as the dearest that a lease should hold room for: they come in bursts."""
LOW_PART: Final = 0.5
"""Of what it should hold: with less, it is renewed at once."""
REFUSED_S: Final = 1.0
"""How long a need that was refused is not asked for again: others may give something back."""
EXHAUSTED_S: Final = 10.0
"""The same where nobody has anything to give back."""
REMEMBERED_S: Final = 60.0
"""The rate of spending is a mean over about so long."""


class Book:
    """One lease, as its holder keeps it. Sums are cumulative, in micro-dollars."""

    __slots__ = ("ceiling", "expires_s", "held", "id", "last", "over", "seq", "spent", "unmetered")

    def __init__(self, lease: str) -> None:
        self.id = lease
        self.seq = 0
        self.ceiling = 0
        self.spent = 0
        self.held = 0
        """What requests under way may cost."""
        self.unmetered = 0
        self.expires_s = float("-inf")
        self.last = False
        self.over = False

    @property
    def free(self) -> int:
        """What a request may take."""
        return self.ceiling - self.spent - self.held


class Wallet:
    """All leases of one sidecar: the one it spends from, and those that still have to settle."""

    def __init__(
        self, pod: str, new_lease: Callable[[], str], now_s: float, purpose: str = ""
    ) -> None:
        self._pod, self._new_lease, self._purpose = pod, new_lease, purpose
        self.book = Book(new_lease())
        self._leaving: list[Book] = []
        self.scarce = False
        self._short = False
        """The last grant left less than it should have."""
        self.exhausted = False
        self.admit_from = 0.0
        self.resets_s = float("inf")
        """When the period ends."""
        self._needed = 0
        """What was asked for in the exchange under way."""
        self._refused = 0
        """The need that was refused last; 0 for none."""
        self._refused_until_s = float("-inf")
        self._largest = 0
        """The dearest worst case so far that was paid for: what to have ready for the next."""
        self._rate = 0.0
        """Micro-dollars per second."""
        self._offered = self._offered_rate = 0.0
        """What all traffic would have cost, wherever it went, and that per second."""
        self._began_s = self._rated_s = now_s
        self._rated_spent = 0
        self._spent_before = 0
        """By books that are gone."""
        self._low = 0
        self._renewed_s = float("-inf")
        self._asked_s: float | None = None
        """When the exchange under way began."""

    # -- the hot path
    def debit(self, worst_usd_micros: int, now_s: float) -> Book | None:
        """Reserve the worst case of a request; None where it does not fit."""
        book = self.book
        if now_s >= book.expires_s or book.ceiling - book.spent - book.held < worst_usd_micros:
            return None
        book.held += worst_usd_micros
        if worst_usd_micros > self._largest:
            self._largest = worst_usd_micros
        return book

    @staticmethod
    def settle(
        book: Book, worst_usd_micros: int, cost_usd_micros: int, *, metered: bool = True
    ) -> None:
        """Give a reservation back, and take what the request did cost."""
        book.held -= worst_usd_micros
        book.spent += cost_usd_micros
        if not metered:
            book.unmetered += cost_usd_micros

    # -- when to ask
    def hopeless(self, worst_usd_micros: int, now_s: float) -> bool:
        """Whether so much was refused just now, so that asking again is in vain."""
        return 0 < self._refused <= worst_usd_micros and now_s < self._refused_until_s

    def due_s(self, now_s: float) -> float:
        """When the next renewal is due; in the past where it is now."""
        book = self.book
        if now_s >= book.expires_s or (self.low and not self.scarce and not self._short):
            return now_s
        if any(not one.held for one in self._leaving):
            return now_s
        hoards = self.scarce and book.free > 0
        lacks = self._short and not self.scarce
        every_s = SCARCE_S if hoards or lacks else LIFE_S * RENEW_PART
        return min(self._renewed_s + every_s, book.expires_s)

    @property
    def low(self) -> bool:
        """Whether less is left than a busy sidecar should have."""
        book = self.book
        return book.ceiling - book.spent - book.held < self._low

    # -- one exchange at a time
    def reports(
        self,
        now_s: float,
        *,
        waiting: Iterable[int] = (),
        leaving: bool = False,
        offered_usd_micros: float = 0.0,
    ) -> tuple[Report, ...]:
        """Say what to send. `waiting` are the worst cases of requests that do not fit.

        `offered` is what all traffic so far would have cost if it had been paid for.

        From now on each lease holds itself to what it says it keeps. `leaving` gives back all that
        no request under way may need, and asks for nothing.
        """
        self._turn(now_s, leaving=leaving)
        self._rate_now(now_s, offered_usd_micros)
        self._asked_s = now_s
        mine = () if leaving else (self._report(self.book, tuple(waiting)),)
        return (*(self._farewell(book) for book in self._leaving), *mine)

    def apply(self, grants: Iterable[Grant], now_s: float) -> None:
        """Take the answer to the last reports. Answers to earlier ones must not come here."""
        asked_s, self._asked_s = self._asked_s, None
        if asked_s is None:
            return
        for grant in grants:
            if grant.lease == self.book.id and grant.seq == self.book.seq:
                self._take(grant, asked_s, now_s)
            elif grant.over:
                self._leaving = [
                    book
                    for book in self._leaving
                    if book.id != grant.lease or book.held or grant.seq != book.seq
                ]

    def failed(self) -> None:
        """Nobody answered; what was given back in vain will be offered again."""
        self._asked_s = None

    @property
    def settled(self) -> bool:
        """Whether every lease that is over was accounted for."""
        return not self._leaving

    def _take(self, grant: Grant, asked_s: float, now_s: float) -> None:
        self._renewed_s = asked_s
        book = self.book
        if grant.over:
            book.over = True
            book.expires_s = float("-inf")
            self._turn(now_s)
            return
        gained = grant.ceiling_usd_micros > book.ceiling
        book.ceiling = max(grant.ceiling_usd_micros, book.spent + book.held)
        book.expires_s, book.last = asked_s + grant.life_s, grant.last
        self.scarce, self.exhausted = grant.scarce, grant.exhausted
        self._short = self.low
        self.admit_from = grant.admit_from
        self.resets_s = asked_s + grant.resets_in_s
        if self._needed and not gained:
            rest_s = EXHAUSTED_S if grant.exhausted else REFUSED_S
            self._refused, self._refused_until_s = self._needed, now_s + rest_s
        else:
            self._refused = 0

    def _turn(self, now_s: float, *, leaving: bool = False) -> None:
        """Put a lease aside that nothing may be spent from any more."""
        book = self.book
        ended = book.over or (book.last and now_s >= book.expires_s)
        if ended or (leaving and book.seq):
            self._leaving.append(book)
            self._spent_before += book.spent
            self.book = Book(self._new_lease())
            self.exhausted = False
            self._refused = 0

    def _report(self, book: Book, waiting: tuple[int, ...]) -> Report:
        largest = max((self._largest, *waiting))  # what is never paid for is wanted no longer
        ready = max(READY_FOR * largest, book.held, int(self._rate * AHEAD_S))
        plenty = max(ready, int(self._offered_rate * AHEAD_S))
        bound = book.spent + book.held
        idle = 0 if self.scarce else min(book.free, plenty) if largest else book.free
        book.ceiling = bound + max(0, idle)
        self._low = int(ready * LOW_PART)
        book.seq += 1
        self._needed = min(MOST_USD_MICROS, max(0, min(waiting) - idle)) if waiting else 0
        want: int | None = None
        if largest:
            want = min(MOST_USD_MICROS, max(0, ready + sum(waiting) - idle))
        elif idle:
            want = 0
        spare = min(MOST_USD_MICROS, max(0, plenty - idle - (want or 0)))
        return self._worded(book, self._needed, want, spare=spare)

    def _farewell(self, book: Book) -> Report:
        book.ceiling = book.spent + book.held
        book.seq += 1
        return self._worded(book, 0, 0, final=not book.held)

    def _worded(
        self, book: Book, need: int, want: int | None, *, spare: int = 0, final: bool = False
    ) -> Report:
        return Report(
            lease=book.id,
            pod=self._pod,
            seq=book.seq,
            spent_usd_micros=book.spent,
            keep_usd_micros=book.ceiling,
            need_usd_micros=need,
            want_usd_micros=want,
            spare_usd_micros=spare,
            least_usd_micros=0 if final else max(0, self._largest - book.free),
            unmetered_usd_micros=book.unmetered,
            purpose=self._purpose,
            final=final,
        )

    def _rate_now(self, now_s: float, offered: float) -> None:
        spent = self._spent_before + self.book.spent
        passed_s = now_s - self._rated_s
        if passed_s <= 0:
            return
        weight = passed_s / max(passed_s, min(REMEMBERED_S, now_s - self._began_s))
        fresh = (spent - self._rated_spent) / passed_s
        self._rate += weight * (fresh - self._rate)
        self._offered_rate += weight * ((offered - self._offered) / passed_s - self._offered_rate)
        self._offered = offered
        self._rated_s, self._rated_spent = now_s, spent
