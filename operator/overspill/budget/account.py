"""One period's account: what may be spent, what leases hold, and how a renewal changes it.

The promise is arithmetic: settled + lost + every lease's ceiling ≤ limit, whenever a ceiling is
raised. It needs no clock and no message to arrive. A lease whose holder is silent counts as spent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from overspill.budget.lease import LIFE_S, Grant, Lease, Report
from overspill.budget.sizing import Wish, granted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from overspill.budget.period import Period

KEPT_S: Final = 3600.0
"""A lease that is closed or silent is remembered this long: a sidecar may have been cut off, and
what it then says of its spend is truer than its ceiling."""
NEXT_TO_NOTHING: Final = 50
"""A fiftieth of the limit is."""
IN_VAIN_S: Final = 120.0
"""So long nobody was granted anything, and somebody was refused again and again."""
LEASES_KEPT: Final = 4000
"""And only so many of them: the record has to fit into one object of the API server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Leases that are no longer remembered one by one."""

    settled_usd_micros: int = 0
    lost_usd_micros: int = 0
    """Granted, and never accounted for."""
    unmetered_usd_micros: int = 0


NO_PAST: Final = Past()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the policy says at the moment of a renewal."""

    limit_usd_micros: int
    purposes: Mapping[str, int] = field(default_factory=dict)
    """Limits within the limit, in micro-dollars."""
    admit_from: float = 0.0
    life_s: float = LIFE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Everything about one policy's money in one period."""

    period: Period
    leases: Mapping[str, Lease] = field(default_factory=dict)
    past: Mapping[str, Past] = field(default_factory=dict)
    """By purpose."""
    refused_usd_micros: int = 0
    """The smallest need that could not be met when nobody had anything to give back; 0 for none."""
    refused_from_s: float = 0.0
    refused_to_s: float = 0.0
    """The first and the last such need since anybody was granted anything, Unix time."""

    def committed_usd_micros(self, purpose: str | None = None) -> int:
        """What it may cost in the end, all leases counted at their ceilings."""
        past = [p for key, p in self.past.items() if purpose in (None, key)]
        gone = sum(p.settled_usd_micros + p.lost_usd_micros for p in past)
        return gone + sum(one.committed_usd_micros for one in self._of(purpose))

    def outstanding_usd_micros(self, now_s: float, purpose: str | None = None) -> int:
        """What live leases may still spend."""
        live = [one for one in self._of(purpose) if one.live(now_s)]
        return sum(one.committed_usd_micros - one.spent_usd_micros for one in live)

    def spent_usd_micros(self, now_s: float, purpose: str | None = None) -> int:
        """What counts as spent now: settled, and what silent leases might have spent."""
        committed = self.committed_usd_micros(purpose)
        return committed - self.outstanding_usd_micros(now_s, purpose)

    def settled_usd_micros(self) -> int:
        """What sidecars have said they spent."""
        gone = sum(past.settled_usd_micros for past in self.past.values())
        return gone + sum(lease.spent_usd_micros for lease in self.leases.values())

    def unmetered_usd_micros(self) -> int:
        """Of what is settled: charged at worst case, because no usage was told."""
        gone = sum(past.unmetered_usd_micros for past in self.past.values())
        return gone + sum(lease.unmetered_usd_micros for lease in self.leases.values())

    def holders(self, now_s: float) -> int:
        """How many live leases there are."""
        return sum(lease.live(now_s) for lease in self.leases.values())

    def available_usd_micros(self, limits: Limits, purpose: str = "") -> int:
        """What may still be granted; below zero where the limit was lowered under what is held."""
        free = limits.limit_usd_micros - self.committed_usd_micros()
        if purpose in limits.purposes:
            free = min(free, limits.purposes[purpose] - self.committed_usd_micros(purpose))
        return free

    def exhausted(self, limits: Limits, now_s: float) -> bool:
        """Whether it is spent: what is left buys nothing any more.

        One dear request that did not fit is no reason to close the frontier to all others: what is
        left must be next to nothing, or have bought nothing for minutes.
        """
        available = self.available_usd_micros(limits)
        if self.refused_usd_micros:
            little = available <= limits.limit_usd_micros // NEXT_TO_NOTHING
            in_vain = self.refused_to_s - self.refused_from_s >= IN_VAIN_S
            return available < self.refused_usd_micros and (little or in_vain)
        return available <= 0 >= self.outstanding_usd_micros(now_s)

    def _of(self, purpose: str | None) -> Iterable[Lease]:
        leases = self.leases.values()
        return leases if purpose is None else [one for one in leases if one.purpose == purpose]


def opened(period: Period, spent_usd_micros: int = 0) -> Account:
    """Open an account; something may have been spent before there was one."""
    past = {"": Past(settled_usd_micros=spent_usd_micros)} if spent_usd_micros else {}
    return Account(period=period, past=past)


def renewed(
    account: Account, report: Report, limits: Limits, now_s: float
) -> tuple[Account, Grant]:
    """Take in a report and answer it. The answer may go out only once the account is written."""
    lease = account.leases.get(report.lease)
    if lease is None and (report.spent_usd_micros or report.keep_usd_micros):
        return account, over(report)  # forgotten: it was counted as spent in full
    if lease is not None and (lease.closed or lease.pod != report.pod):
        return account, over(report)
    if lease is not None and report.seq <= lease.seq:
        return account, _repeated(lease, report, now_s)
    known = lease or _fresh(report)
    reported = _reported(known, report, now_s + _life_s(account, limits, now_s))
    if report.final:  # also of a lease that nobody knew: its first report may still come
        return _with(account, replace(reported, closed=True)), over(report)
    return _granted(_with(account, reported), reported, report, limits, now_s)


def informed(account: Account, report: Report) -> Account:
    """Take in what a lease of a period that is over has spent since; nothing is granted."""
    lease = account.leases.get(report.lease)
    if lease is None or lease.pod != report.pod or lease.closed or report.seq <= lease.seq:
        return account
    known = _reported(lease, report, lease.expires_s)
    return _with(account, replace(known, closed=report.final))


def tidied(account: Account, now_s: float, kept: int = LEASES_KEPT) -> Account:
    """Forget leases that nobody will speak of again; what they might have cost stays counted.

    Beyond `kept` leases, also those that somebody might speak of, but for live ones.
    """
    resting = sorted(
        (one for one in account.leases.values() if not one.live(now_s)),
        key=lambda one: one.expires_s,
    )
    excess = max(0, len(account.leases) - kept)
    gone = [
        one for index, one in enumerate(resting) if index < excess or now_s - one.expires_s > KEPT_S
    ]
    return _forgotten(account, gone) if gone else account


def _granted(
    account: Account, lease: Lease, report: Report, limits: Limits, now_s: float
) -> tuple[Account, Grant]:
    available = account.available_usd_micros(limits, report.purpose)
    want = limits.limit_usd_micros // 1000
    if report.want_usd_micros is not None:
        want = report.want_usd_micros
    more, scarce = granted(
        Wish(
            need=report.need_usd_micros,
            want=want,
            spare=report.spare_usd_micros,
            least=report.least_usd_micros,
        ),
        available_usd_micros=available,
        limit_usd_micros=limits.purposes.get(report.purpose, limits.limit_usd_micros),
        holders=account.holders(now_s),
    )
    ceiling = lease.ceiling_usd_micros + more
    account = _with(account, replace(lease, ceiling_usd_micros=ceiling))
    exhausted = _refused(account, report, available, more, now_s)
    if more:
        account = replace(account, refused_from_s=0.0, refused_to_s=0.0)
    elif exhausted and not report.purpose and _payable(report.need_usd_micros, limits):
        account = replace(
            account,
            refused_usd_micros=min(
                account.refused_usd_micros or report.need_usd_micros, report.need_usd_micros
            ),
            refused_from_s=account.refused_from_s or now_s,
            refused_to_s=max(account.refused_to_s, now_s),
        )
    life_s = _life_s(account, limits, now_s)
    return account, Grant(
        lease=lease.id,
        seq=report.seq,
        ceiling_usd_micros=ceiling,
        life_s=life_s,
        last=life_s < limits.life_s,
        scarce=scarce,
        exhausted=exhausted,
        resets_in_s=account.period.end_s - now_s,
        admit_from=limits.admit_from,
    )


def _refused(account: Account, report: Report, available: int, more: int, now_s: float) -> bool:
    """Whether it is in vain to ask again: nobody has anything to give back."""
    if account.outstanding_usd_micros(now_s, report.purpose or None) > 0:
        return False
    return available <= 0 or more < report.need_usd_micros


def _payable(need_usd_micros: int, limits: Limits) -> bool:
    """Whether a request waits that the whole limit could pay: another says nothing of what is left.

    A client may ask for any number of tokens.
    """
    return 0 < need_usd_micros <= limits.limit_usd_micros


def _life_s(account: Account, limits: Limits, now_s: float) -> float:
    """No lease outlives its period."""
    return max(0.0, min(limits.life_s, account.period.end_s - now_s))


def _fresh(report: Report) -> Lease:
    return Lease(
        id=report.lease,
        pod=report.pod,
        seq=0,
        ceiling_usd_micros=0,
        spent_usd_micros=0,
        expires_s=0.0,
        purpose=report.purpose,
    )


def _reported(lease: Lease, report: Report, expires_s: float) -> Lease:
    """Believe what is reported, but never that more was granted than was."""
    spent = max(lease.spent_usd_micros, report.spent_usd_micros)
    keep = max(spent, min(lease.ceiling_usd_micros, report.keep_usd_micros))
    return replace(
        lease,
        seq=report.seq,
        spent_usd_micros=spent,
        ceiling_usd_micros=keep,
        unmetered_usd_micros=max(lease.unmetered_usd_micros, report.unmetered_usd_micros),
        expires_s=max(lease.expires_s, expires_s),
    )


def over(report: Report) -> Grant:
    """Answer that its lease is closed."""
    spent = report.spent_usd_micros
    return Grant(lease=report.lease, seq=report.seq, ceiling_usd_micros=spent, over=True)


def _repeated(lease: Lease, report: Report, now_s: float) -> Grant:
    """Answer as before to a message that comes twice; nobody waits for the answer to a late one."""
    return Grant(
        lease=lease.id,
        seq=report.seq,
        ceiling_usd_micros=lease.ceiling_usd_micros,
        life_s=max(0.0, lease.expires_s - now_s),
    )


def _with(account: Account, lease: Lease) -> Account:
    return replace(account, leases={**account.leases, lease.id: lease})


def _forgotten(account: Account, gone: Iterable[Lease]) -> Account:
    leases, past = dict(account.leases), dict(account.past)
    for one in gone:
        del leases[one.id]
        before = past.get(one.purpose, NO_PAST)
        past[one.purpose] = Past(
            settled_usd_micros=before.settled_usd_micros + one.spent_usd_micros,
            lost_usd_micros=before.lost_usd_micros
            + one.committed_usd_micros
            - one.spent_usd_micros,
            unmetered_usd_micros=before.unmetered_usd_micros + one.unmetered_usd_micros,
        )
    return replace(account, leases=leases, past=past)
