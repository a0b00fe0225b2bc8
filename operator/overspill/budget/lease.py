"""What a sidecar and the operator tell each other about money, in whole micro-dollars.

A lease is one sidecar's share of one period. Its sums are cumulative, so a message that comes twice
says nothing new, and each message has a number, so one that comes late is known as late. A sidecar
may spend up to a *ceiling*. It gives money back by lowering the ceiling itself, before it says so;
only the operator raises it, and only after it has written that down.
"""

from __future__ import annotations

from dataclasses import dataclass

LIFE_S = 60.0
"""A sidecar spends from a lease this long after it last asked; then its frontier is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A sidecar's side of one renewal."""

    lease: str
    """Made up by the sidecar, new for each period and each start of its process."""
    pod: str
    """Whose lease it is, as the cluster vouches for it."""
    seq: int
    """Counts this lease's messages from 1."""
    spent_usd_micros: int
    """Settled so far."""
    keep_usd_micros: int
    """The ceiling the sidecar holds itself to until it is answered: at least what is settled and
    what requests under way may cost."""
    need_usd_micros: int = 0
    """What a waiting request lacks beyond that; less is of no use. 0 where none waits."""
    want_usd_micros: int | None = None
    """What it would like beyond that; None where it has no experience yet."""
    spare_usd_micros: int = 0
    """What it would like on top where there is plenty: all of its traffic may overflow at once."""
    least_usd_micros: int = 0
    """Of what it would like: less is of no use."""
    unmetered_usd_micros: int = 0
    """Of what is settled: charged at worst case, because no usage was told."""
    purpose: str = ""
    """Of money with a limit of its own, such as `trials`."""
    final: bool = False
    """It is the last: everything is settled, the rest goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The operator's side of one renewal."""

    lease: str
    seq: int
    """Of the report that it answers."""
    ceiling_usd_micros: int
    life_s: float = 0.0
    """From when the sidecar sent its report; a sidecar needs no clock that agrees with ours."""
    last: bool = False
    """The lease ends with its period: what follows needs a new lease."""
    over: bool = False
    """The lease is closed: settle what is under way, and spend nothing more."""
    scarce: bool = False
    """There is less than is wanted: keep nothing idle."""
    exhausted: bool = False
    """Nothing is left, and nobody has anything to give back."""
    resets_in_s: float = 0.0
    """Until the period ends."""
    admit_from: float = 0.0
    """Value, 0..1, from which requests are worth the frontier while money is spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The operator's record of one lease."""

    id: str
    pod: str
    seq: int
    ceiling_usd_micros: int
    spent_usd_micros: int
    expires_s: float
    """Unix time by the clock of who wrote it. Money never depends on it: what a lease may spend is
    committed until its holder says otherwise."""
    unmetered_usd_micros: int = 0
    purpose: str = ""
    closed: bool = False
    """Kept for a while all the same: late messages must find it."""

    @property
    def committed_usd_micros(self) -> int:
        """What it may cost in the end."""
        return max(self.ceiling_usd_micros, self.spent_usd_micros)

    def live(self, now_s: float) -> bool:
        """Whether its holder may be spending from it."""
        return not self.closed and now_s < self.expires_s
