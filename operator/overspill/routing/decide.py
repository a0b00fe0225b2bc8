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
    FRONTIER_FAILED = "FrontierFailed"
    ESTIMATED = "Estimated"


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


_TOO_LONG: Final = Route(
    tier=Tier.FRONTIER, reason=Reason.CONTEXT_TOO_LONG, eligible=False, fits_small=False
)
_SMALL_FITS: Final = Route(tier=Tier.SMALL, reason=Reason.SMALL_FITS)


def decide(facts: Facts, terms: Terms, admit_from: float = 0.0) -> Route:
    """Route one request. Order: rules, context fit, budget.

    `admit_from` is the value, 0..1, from which requests are worth the frontier while money is
    spread over its period.
    """
    wanted = _wanted(facts, terms)
    if terms.frontier_open:
        return _paced(wanted, admit_from) if admit_from > 0 else wanted
    if wanted.tier is Tier.FRONTIER:
        return _exhausted(wanted, terms)
    return Route(
        tier=wanted.tier,
        reason=wanted.reason,
        rule=wanted.rule,
        eligible=wanted.eligible,
        may_overflow=False,
        priority=wanted.priority,
    )


def pinned(model: str, small_models: frozenset[str], *, frontier_open: bool) -> Route:
    """Route a request whose answer only the model it names can give, such as an embedding."""
    if model in small_models:
        return Route(tier=Tier.SMALL, reason=Reason.MODEL_PINNED, may_overflow=False)
    if not frontier_open:
        return Route(
            tier=Tier.NONE, reason=Reason.BUDGET_EXHAUSTED, eligible=False, fits_small=False
        )
    return Route(tier=Tier.FRONTIER, reason=Reason.MODEL_PINNED, eligible=False, fits_small=False)


def _wanted(facts: Facts, terms: Terms) -> Route:
    fits = facts.input_tokens + (facts.max_tokens or 0) <= terms.context_window
    for rule in terms.rules:
        if rule.fits(facts):
            return _ruled(rule, fits=fits) if fits or rule.tier is Tier.FRONTIER else _TOO_LONG
    return _SMALL_FITS if fits else _TOO_LONG


def _ruled(rule: Match, *, fits: bool) -> Route:
    return Route(
        tier=rule.tier,
        reason=Reason.RULE_MATCHED,
        rule=rule.name,
        eligible=rule.tier is Tier.SMALL,
        may_overflow=rule.may_overflow,
        priority=rule.priority,
        fits_small=fits,
    )


def _paced(wanted: Route, admit_from: float) -> Route:
    """Let what is worth less try the small model first."""
    if wanted.tier is not Tier.FRONTIER or not wanted.fits_small or value(wanted) >= admit_from:
        return wanted
    return Route(
        tier=Tier.SMALL,
        reason=Reason.BUDGET_PACED,
        rule=wanted.rule,
        eligible=wanted.eligible,
        priority=wanted.priority,
    )


def value(route: Route) -> float:
    """Return what the frontier is worth to a request, 0..1: the middle of its priority's third."""
    return (route.priority + 1.5) / 3


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
    )
