"""Where a request should go: by the policy, by what it would gain, by what money is worth."""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING

from overspill.routing.decide import (
    TOO_COMPLEX,
    TRIAL,
    Facts,
    Reason,
    Route,
    Tier,
    decide,
    paced,
    pinned,
)
from overspill.routing.prompt import LATER_TURN, prompt_of
from overspill.trials.lot import UNSEEN, Draw, draw
from overspill.wire.errors import Wire
from overspill.wire.trim import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from overspill.routing.complexity import MostUseful
    from overspill.sidecar.runtime import Runtime
    from overspill.trials.lot import Plan
    from overspill.wire.ask import Ask
    from overspill.wire.ingress import Ingress
    from overspill.wire.trim import Cut


def fitted(ingress: Ingress, ask: Ask, runtime: Runtime) -> tuple[Ask, Cut | None]:
    """Leave the oldest turns out of a conversation that is too long, and say what went."""
    at_most = runtime.max_input_tokens
    if at_most is None or ingress.pinned or runtime.observing:
        return ask, None
    return trimmed(ask, at_most) or (ask, None)


def by_policy(
    ingress: Ingress, ask: Ask, headers: Mapping[bytes, bytes], runtime: Runtime
) -> Route:
    """Route by rules, context and budget: what no traffic before it changes."""
    if ingress.pinned:
        models = runtime.small_models if ingress.wire is Wire.OPENAI else frozenset[str]()
        open_now = runtime.terms.frontier_open or not ingress.metered
        return pinned(ask.model, models, frontier_open=open_now)
    facts = Facts(
        model=ask.model,
        input_tokens=ask.input_tokens,
        max_tokens=ask.max_tokens,
        headers=headers,
    )
    return decide(facts, runtime.terms)


def choose(
    ingress: Ingress,
    ask: Ask,
    headers: Mapping[bytes, bytes],
    runtime: Runtime,
    most_useful: MostUseful,
    dice: Callable[[], float] = random,
) -> tuple[Route, Draw | None]:
    """Route by all that is known, and say what the lot says; None where nothing is tried.

    `most_useful` remembers this request; `dice` is thrown from 0 to below 1.
    """
    route, gain, drawn = by_policy(ingress, ask, headers, runtime), 0.0, None
    if runtime.score is None and runtime.purse is None:
        return route, None
    score = runtime.score if is_scored(route, runtime) else None
    if score is not None:
        text = prompt_of(ask.document, ask.opening)
        gain = score.gain(text)
        plan = runtime.plan
        up = most_useful.admits(
            gain,
            ask.conversation(),
            size_bytes=ask.turns_bytes(),
            goes_on=LATER_TURN in text or ask.goes_on(),  # tools' results are no user's turn
            limit=runtime.limit,
        )
        if plan is not None:
            drawn = _drawn(plan, gain, ingress, runtime, up=up, dice=dice)
        if up:
            route = TOO_COMPLEX
        elif drawn is not None and drawn.paid:
            route = TRIAL
    elif runtime.plan is not None and _for_want_of_money(route, ingress):
        return route, UNSEEN
    admit_from = runtime.purse.wallet.admit_from if runtime.purse is not None else 0.0
    asked = TRIAL if drawn is not None and drawn.sent < 1.0 else route
    if not admit_from or asked.tier is not Tier.FRONTIER or ingress.pinned:
        return route, drawn
    # a conversation stays with its tier: there it is known, and its prompt may be cached
    rank = most_useful.rank(gain) if score is not None else ask.conversation() / 2**32
    admitted = paced(asked, admit_from, rank)
    if admitted is asked:
        return route, drawn
    unseen = None if drawn is None else UNSEEN  # what the lot left alone could not have gone up
    return admitted if route.tier is Tier.FRONTIER else route, unseen


def _drawn(
    plan: Plan,
    gain: float,
    ingress: Ingress,
    runtime: Runtime,
    *,
    up: bool,
    dice: Callable[[], float],
) -> Draw:
    """Draw for a request, unless whatever the lot said it could not become a trial."""
    anyway = up or runtime.observing  # there all is answered by the frontier
    if not ingress.tried:
        return Draw(gain=gain, to_frontier=True) if anyway else UNSEEN
    if not anyway and not runtime.can_pay_trials:
        return UNSEEN
    return draw(plan, gain, up=anyway, dice=dice())


def _for_want_of_money(route: Route, ingress: Ingress) -> bool:
    """Whether it is for the small tier though nobody asked what the frontier would gain."""
    return route.tier is Tier.SMALL and not route.rule and not ingress.pinned


def is_scored(route: Route, runtime: Runtime) -> bool:
    """Whether what it would gain decides: no rule took it, and both tiers may answer."""
    open_now = runtime.terms.frontier_open and runtime.score is not None
    return open_now and route.reason is Reason.SMALL_FITS
