"""Rules, context, budget: everything about a route that does not depend on the moment's load."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Tier(StrEnum):
    """Who answers; also the `tier` label of metrics."""

    __hash__ = str.__hash__  # an enumeration's own is a Python call: 0.3 µs at each look-up

    SMALL = "small"
    HOSTED = "hosted"
    FRONTIER = "frontier"
    NONE = "none"


class Reason(StrEnum):
    """The binding reason of a route, first what decided it, then what moved it on."""

    __hash__ = str.__hash__

    RULE_MATCHED = "RuleMatched"
    TOO_COMPLEX = "TooComplex"
    TRIAL = "Trial"
    CONTEXT_TOO_LONG = "ContextTooLong"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    BUDGET_PACED = "BudgetPaced"
    SMALL_FITS = "SmallFits"
    MODEL_PINNED = "ModelPinned"
    NOT_TRANSLATABLE = "NotTranslatable"
    NO_ENDPOINTS = "NoEndpoints"
    SLOTS_FULL = "SlotsFull"
    FIRST_TOKEN_DEADLINE = "FirstTokenDeadline"
    SMALL_FAILED = "SmallFailed"
    SMALL_REFUSED = "SmallRefused"
    NOT_VERIFIED = "NotVerified"
    FRONTIER_FAILED = "FrontierFailed"
    ESTIMATED = "Estimated"


PRIORITY_NAMES: Final = {1: "high", 0: "normal", -1: "low"}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request before it is sent anywhere.

    A struct and no dataclass, as all values that are made once a request: a frozen dataclass takes
    a microsecond longer to make.
    """

    model: str
    input_tokens: int
    max_tokens: int | None
    headers: Mapping[bytes, bytes]
    """The request's, names in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule, ready to be tried."""

    name: str
    header: tuple[bytes, bytes] | None
    """Name in lower case, and value."""
    model: str | None
    tier: Tier
    may_overflow: bool
    priority: int = 0

    def fits(self, facts: Facts) -> bool:
        """Whether everything the rule asks for is so."""
        if self.header is not None and facts.headers.get(self.header[0]) != self.header[1]:
            return False
        return self.model is None or facts.model == self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the policy says, as far as routing needs it."""

    rules: tuple[Match, ...]
    context_window: int
    frontier_open: bool
    small_when_exhausted: bool
    """With the budget spent: answer from the small tier (else refuse)."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request goes, and whether it may go elsewhere."""

    tier: Tier
    reason: Reason
    rule: str = ""
    eligible: bool = True
    """Whether the small tier could answer it: such work is what the small tier is sized for."""
    may_overflow: bool = True
    """Whether it may leave one's own machines when the small tier has no room."""
    priority: int = 0
    """Who goes first where requests wait for room: the higher."""
    fits_small: bool = True
    """Whether the small model's context holds it."""
    asks_frontier: bool = False
    """Whether the policy would have the frontier answer it, were money no matter."""


_TOO_LONG: Final = Route(
    tier=Tier.FRONTIER,
    reason=Reason.CONTEXT_TOO_LONG,
    eligible=False,
    fits_small=False,
    asks_frontier=True,
)
SMALL_FITS: Final = Route(tier=Tier.SMALL, reason=Reason.SMALL_FITS)
TOO_COMPLEX: Final = Route(
    tier=Tier.FRONTIER, reason=Reason.TOO_COMPLEX, eligible=False, asks_frontier=True
)
"""What no rule takes and the small model could hold, and what is expected to gain most."""

TRIAL: Final = Route(tier=Tier.FRONTIER, reason=Reason.TRIAL, eligible=False, asks_frontier=True)
"""What the small model would answer, sent up by lot to see how well that goes."""


def decide(facts: Facts, terms: Terms) -> Route:
    """Route one request. Order: rules, context fit, budget."""
    wanted = _wanted(facts, terms)
    if terms.frontier_open:
        return wanted
    if wanted.tier is Tier.FRONTIER:
        return _exhausted(wanted, terms)
    return Route(
        tier=wanted.tier,
        reason=wanted.reason,
        rule=wanted.rule,
        eligible=wanted.eligible,
        may_overflow=False,
        priority=wanted.priority,
        asks_frontier=wanted.asks_frontier,
    )


def pinned(model: str, small_models: frozenset[str], *, frontier_open: bool) -> Route:
    """Route a request whose answer only the model it names can give, such as an embedding."""
    if model in small_models:
        return Route(tier=Tier.SMALL, reason=Reason.MODEL_PINNED, may_overflow=False)
    return Route(
        tier=Tier.FRONTIER if frontier_open else Tier.NONE,
        reason=Reason.MODEL_PINNED if frontier_open else Reason.BUDGET_EXHAUSTED,
        eligible=False,
        fits_small=False,
        asks_frontier=True,
    )


def _wanted(facts: Facts, terms: Terms) -> Route:
    fits = facts.input_tokens + (facts.max_tokens or 0) <= terms.context_window
    for rule in terms.rules:
        if rule.fits(facts):  # what may not leave one's machines is refused there, if at all
            stays = rule.tier is Tier.FRONTIER or not rule.may_overflow
            return _ruled(rule, fits=fits) if fits or stays else _TOO_LONG
    return SMALL_FITS if fits else _TOO_LONG


def _ruled(rule: Match, *, fits: bool) -> Route:
    return Route(
        tier=rule.tier,
        reason=Reason.RULE_MATCHED,
        rule=rule.name,
        eligible=rule.tier is Tier.SMALL and fits,
        may_overflow=rule.may_overflow,
        priority=rule.priority,
        fits_small=fits,
        asks_frontier=rule.tier is Tier.FRONTIER,
    )


def paced(wanted: Route, admit_from: float, rank: float) -> Route:
    """Let what is worth less than `admit_from` try the small model first.

    A request's value, 0..1, lies within its priority's third, at `rank`, 0..1. While the frontier
    is for few, the small tier is there for the rest, and is sized for it.
    """
    value = (wanted.priority + 1 + rank) / 3
    if wanted.tier is not Tier.FRONTIER or not wanted.fits_small or value >= admit_from:
        return wanted
    return Route(
        tier=Tier.SMALL,
        reason=Reason.BUDGET_PACED,
        rule=wanted.rule,
        priority=wanted.priority,
        asks_frontier=True,
    )


def _exhausted(wanted: Route, terms: Terms) -> Route:
    """The frontier is closed: what does not fit the small model's context cannot be answered."""
    tier = Tier.SMALL if terms.small_when_exhausted and wanted.fits_small else Tier.NONE
    return Route(
        tier=tier,
        reason=Reason.BUDGET_EXHAUSTED,
        rule=wanted.rule,
        eligible=tier is Tier.SMALL,
        may_overflow=False,
        priority=wanted.priority,
        asks_frontier=wanted.asks_frontier,
    )
