"""Who would answer: the sidecar's own route, walked down a ladder on which nobody fails.

What the walk does is what `sidecar.ladder` does; a test holds it against a running sidecar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overspill.explain.notes import notes_of
from overspill.routing.decide import Reason, Route, Tier
from overspill.sidecar.choose import by_policy
from overspill.wire.errors import status_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.explain.alternative import Alternative
    from overspill.explain.question import Question
    from overspill.explain.setting import Setting

OK: Final = 200
BAD_REQUEST: Final = 400
SPENT: Final = 429
NO_ROOM: Final = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What would happen to a request, were nobody to fail."""

    route: Route
    """What the policy says, before anybody is asked."""
    reason: Reason
    """What `x-overspill-reason` would say."""
    ladder: tuple[Alternative, ...]
    """Who is asked, in order, until one answers."""
    answers: Alternative | None
    status: int
    """Of the answer; 200 wherever somebody answers."""
    notes: tuple[str, ...] = ()
    """What else a reader should know, in sentences."""

    @property
    def tier(self) -> Tier:
        """What `x-overspill-tier` would say."""
        return self.answers.tier if self.answers else Tier.NONE


def judge(question: Question, setting: Setting, everybody: Sequence[Alternative]) -> Verdict:
    """Route the question, and walk its ladder."""
    route = by_policy(question.ingress, question.ask, question.headers, setting.runtime)
    ladder = _ladder(route, setting, everybody)
    walk = _Walk(route.reason)
    walk.down(ladder, setting)
    _say_fallback(walk, route, ladder, setting)
    status = OK if walk.answers else _status(walk, route)
    if not walk.answers and not walk.wrong and question.ingress.guess(question.ask) is not None:
        walk.reason, status = Reason.ESTIMATED, OK
    return Verdict(
        route=route,
        reason=walk.reason,
        ladder=ladder,
        answers=walk.answers,
        status=status_for(question.ingress.wire, status),
        notes=tuple(notes_of(question, route, setting, walk.answers, walk.short)),
    )


def _ladder(
    route: Route, setting: Setting, everybody: Sequence[Alternative]
) -> tuple[Alternative, ...]:
    small, hosted, frontier = (
        tuple(one for one in everybody if one.tier is tier)
        for tier in (Tier.SMALL, Tier.HOSTED, Tier.FRONTIER)
    )
    if setting.runtime.observing:
        return frontier
    if route.tier is Tier.NONE:
        return ()
    if route.tier is Tier.SMALL:
        return (*small, *hosted, *frontier) if route.may_overflow else small
    return (*frontier, *small, *hosted) if route.fits_small else frontier


class _Walk:
    """Goes from rung to rung until somebody answers."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        self.answers: Alternative | None = None
        self.unfit: Alternative | None = None
        """Who could not be asked in its own words, the last of them."""
        self.short: Alternative | None = None
        """Whom no budget of a whole period pays."""
        self.wrong = False
        """The request is refused as wrong in itself."""

    def down(self, ladder: Sequence[Alternative], setting: Setting) -> None:
        """Ask everybody in order."""
        for rung in ladder:
            if self.short and rung.tier is not Tier.FRONTIER and _closed(setting, ladder):
                return
            if self._ask(rung, setting):
                return

    def _ask(self, rung: Alternative, setting: Setting) -> bool:
        """Return whether this is the end."""
        if rung.tier is Tier.SMALL and setting.small_full:
            self.reason = Reason.SLOTS_FULL
        elif rung.worded.refused:
            self.wrong, self.unfit = True, rung
        elif rung.worded.call is None:
            self.unfit = rung
            if rung.tier is Tier.SMALL:
                self.reason = Reason.NOT_TRANSLATABLE
        elif is_beyond(rung, setting):
            self.short = rung
        else:
            self.answers = rung
        return self.wrong or self.answers is not None


def is_beyond(rung: Alternative, setting: Setting) -> bool:
    """Whether its worst case is more than the budget of a whole period."""
    limit, worst = setting.limit_usd_micros, rung.worst_usd_micros
    return limit is not None and worst is not None and worst > limit


def _closed(setting: Setting, ladder: Sequence[Alternative]) -> bool:
    """Whether want of money at the frontier ends it all, and no small model may answer instead."""
    falls_back = ladder[0].tier is Tier.FRONTIER
    return falls_back and not setting.runtime.terms.small_when_exhausted


def _say_fallback(
    walk: _Walk, route: Route, ladder: Sequence[Alternative], setting: Setting
) -> None:
    """Give the reason of those for whom the frontier was meant and did not answer."""
    asked_frontier = route.tier is Tier.FRONTIER and not setting.runtime.observing
    answered = walk.answers is not None and walk.answers.tier is Tier.FRONTIER
    fell_back = any(one.tier is not Tier.FRONTIER for one in ladder)
    if not asked_frontier or answered or not fell_back or walk.wrong:
        return
    if walk.short is None:
        walk.reason = Reason.FRONTIER_FAILED
    elif not _closed(setting, ladder):
        walk.reason = Reason.BUDGET_EXHAUSTED


def _status(walk: _Walk, route: Route) -> int:
    if walk.wrong:
        return BAD_REQUEST
    if route.tier is Tier.NONE and route.reason is Reason.BUDGET_EXHAUSTED:
        return SPENT
    if walk.short and route.tier is not Tier.SMALL:
        return SPENT
    only_unfit = route.tier is not Tier.SMALL or walk.reason is Reason.NOT_TRANSLATABLE
    return BAD_REQUEST if walk.unfit and only_unfit else NO_ROOM
