"""Rules, context, budget: the first that binds is the reason."""

from __future__ import annotations

import pytest

from overspill.routing.decide import Facts, Match, Reason, Route, Terms, Tier, decide, paced, pinned

RULES = (
    Match(
        name="partner",
        header=(b"x-priority", b"high"),
        model=None,
        tier=Tier.FRONTIER,
        may_overflow=True,
    ),
    Match(
        name="bulk",
        header=(b"x-priority", b"bulk"),
        model=None,
        tier=Tier.SMALL,
        may_overflow=False,
    ),
    Match(name="small", header=None, model="small", tier=Tier.SMALL, may_overflow=True),
    Match(name="o1", header=None, model="o1", tier=Tier.FRONTIER, may_overflow=True),
    Match(name="late", header=None, model="gpt-4o", tier=Tier.FRONTIER, may_overflow=True),
)


def route(
    *,
    priority: str | None = None,
    model: str = "gpt",
    size: int = 10,
    limit: int | None = None,
    frontier_open: bool = True,
    small_when_exhausted: bool = True,
    admit_from: float = 0.0,
    rules: tuple[Match, ...] = RULES,
) -> Route:
    headers = {} if priority is None else {b"x-priority": priority.encode()}
    facts = Facts(
        model=model,
        input_tokens=size,
        max_tokens=limit,
        headers=headers,
    )
    terms = Terms(
        rules=rules,
        context_window=1000,
        frontier_open=frontier_open,
        small_when_exhausted=small_when_exhausted,
    )
    return paced(decide(facts, terms), admit_from, rank=0.5)


S, F, N = Tier.SMALL, Tier.FRONTIER, Tier.NONE
CASES = [
    pytest.param({}, S, Reason.SMALL_FITS, True, True, id="the small tier by default"),
    pytest.param({"priority": "high"}, F, Reason.RULE_MATCHED, False, True, id="header rule"),
    pytest.param({"priority": "High"}, S, Reason.SMALL_FITS, True, True, id="values are exact"),
    pytest.param({"priority": "bulk"}, S, Reason.RULE_MATCHED, True, False, id="may not overflow"),
    pytest.param({"model": "o1"}, F, Reason.RULE_MATCHED, False, True, id="model rule"),
    pytest.param(
        {"model": "gpt-4o", "priority": "bulk"},
        S,
        Reason.RULE_MATCHED,
        True,
        False,
        id="first wins",
    ),
    pytest.param({"size": 1001}, F, Reason.CONTEXT_TOO_LONG, False, True, id="too long"),
    pytest.param({"size": 1000}, S, Reason.SMALL_FITS, True, True, id="just fits"),
    pytest.param(
        {"size": 600, "limit": 401}, F, Reason.CONTEXT_TOO_LONG, False, True, id="answer counts"
    ),
    pytest.param(
        {"size": 1001, "model": "small"},
        F,
        Reason.CONTEXT_TOO_LONG,
        False,
        True,
        id="no rule makes a long request fit",
    ),
    pytest.param(
        {"size": 1001, "priority": "bulk"},
        S,
        Reason.RULE_MATCHED,
        False,
        False,
        id="too long, and it may not leave one's machines",
    ),
    pytest.param(
        {"size": 1001, "priority": "high"},
        F,
        Reason.RULE_MATCHED,
        False,
        True,
        id="a rule that names the frontier takes long requests too",
    ),
    pytest.param({"frontier_open": False}, S, Reason.SMALL_FITS, True, False, id="no spill"),
    pytest.param(
        {"frontier_open": False, "priority": "high"},
        S,
        Reason.BUDGET_EXHAUSTED,
        True,
        False,
        id="exhausted: the small tier answers",
    ),
    pytest.param(
        {"frontier_open": False, "priority": "high", "small_when_exhausted": False},
        N,
        Reason.BUDGET_EXHAUSTED,
        False,
        False,
        id="exhausted: refused",
    ),
    pytest.param(
        {"frontier_open": False, "size": 1001},
        N,
        Reason.BUDGET_EXHAUSTED,
        False,
        False,
        id="exhausted and too long for the small model",
    ),
    pytest.param(
        {"frontier_open": False, "priority": "high", "size": 1001},
        N,
        Reason.BUDGET_EXHAUSTED,
        False,
        False,
        id="exhausted, and what a rule keeps off the small model would not fit it either",
    ),
]


@pytest.mark.parametrize(("facts", "tier", "reason", "eligible", "may_overflow"), CASES)
def test_a_request_is_routed(
    facts: dict[str, object], tier: Tier, reason: Reason, eligible: bool, may_overflow: bool
) -> None:
    found = route(**facts)  # type: ignore[arg-type]
    assert (found.tier, found.reason, found.eligible, found.may_overflow) == (
        tier,
        reason,
        eligible,
        may_overflow,
    )


@pytest.mark.parametrize(
    ("priority", "admit_from", "tier"),
    [
        (1, 0.0, F),
        (1, 0.8, F),
        (1, 0.9, S),
        (0, 0.5, F),
        (0, 0.6, S),
        (-1, 0.1, F),
        (-1, 0.2, S),
    ],
)
def test_while_money_is_spread_what_is_worth_less_tries_the_small_model_first(
    priority: int, admit_from: float, tier: Tier
) -> None:
    rule = Match(name="any", header=None, model=None, tier=F, may_overflow=True, priority=priority)
    found = route(rules=(rule,), admit_from=admit_from)
    assert (found.tier, found.rule, found.may_overflow) == (tier, "any", True)
    assert found.reason is (Reason.BUDGET_PACED if tier is S else Reason.RULE_MATCHED)


def test_what_the_small_model_cannot_hold_is_not_paced() -> None:
    assert route(size=2000, admit_from=1.0).tier is F


def test_pacing_opens_no_closed_frontier() -> None:
    found = route(model="o1", admit_from=1.0, frontier_open=False)
    assert (found.tier, found.reason) == (S, Reason.BUDGET_EXHAUSTED)
    assert not found.may_overflow


@pytest.mark.parametrize(
    ("model", "frontier_open", "tier", "reason", "eligible"),
    [
        pytest.param("e5", True, S, Reason.MODEL_PINNED, True, id="one's own model"),
        pytest.param("e5", False, S, Reason.MODEL_PINNED, True, id="which no budget closes"),
        pytest.param("ada", True, F, Reason.MODEL_PINNED, False, id="a model of the frontier"),
        pytest.param("ada", False, N, Reason.BUDGET_EXHAUSTED, False, id="which a budget closes"),
    ],
)
def test_what_only_one_model_can_answer_goes_to_it_or_nowhere(
    model: str, frontier_open: bool, tier: Tier, reason: Reason, eligible: bool
) -> None:
    found = pinned(model, frozenset({"e5"}), frontier_open=frontier_open)
    assert (found.tier, found.reason, found.eligible) == (tier, reason, eligible)
    assert not (found.tier is S and found.may_overflow)
