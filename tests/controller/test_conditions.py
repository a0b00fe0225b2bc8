"""Each condition names its reason, and its message says what to do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from overspill.api import parse_policy
from overspill.budget import BudgetState, Period
from overspill.budget.pace import Pattern
from overspill.controller.conditions import (
    Look,
    budget,
    findings,
    metrics,
    ready,
    scaling,
    sidecars,
)
from overspill.controller.errors import Missing
from overspill.controller.observation import Coverage
from overspill.controller.pacing import Pace
from overspill.controller.snapshot import NO_DEMAND, Snapshot
from overspill.controller.status import state_word
from overspill.scaling import Decision, Demand, Reason, Replicas, State, Unknown
from overspill.scaling.economics import economics_of
from tests.api.policies import policy

HEALTHY = Snapshot(taken_at_s=0.0, generation={"p": 2.0}, sidecars={"p": 3.0})


def decision(reason: Reason = Reason.HOLDING, message: str = "m") -> Decision:
    return Decision(
        desired=2,
        reason=reason,
        message=message,
        state=State(),
        demand=None,
        replicas=Replicas(requested=1, ready=1),
    )


def look(**facts: Any) -> Look:  # noqa: ANN401
    base = Look(
        policy="p",
        generation=2,
        spec=parse_policy(policy()),
        snapshot=HEALTHY,
        demand=NO_DEMAND,
        running_sidecars=3,
        coverage=Coverage(matching=3),
        endpoints=["10.0.0.1:8080"],
        missing=None,
        refusal=None,
        decision=decision(),
        budget=None,
        pace=None,
        economics=economics_of(parse_policy(policy())),
    )
    return replace(base, **facts)


def snapshot(**facts: Any) -> Snapshot:  # noqa: ANN401
    return replace(HEALTHY, **facts)


SIDECARS = [
    pytest.param({}, "True", "Current", "3 sidecars run generation 2", id="current"),
    pytest.param({"running_sidecars": 0}, "False", "NoSidecars", "app=contracts-api", id="none"),
    pytest.param(
        {"coverage": Coverage(matching=5, uncovered=2, restart="kubectl rollout restart x")},
        "False",
        "NotInjected",
        "2 of 5 pods run without the sidecar; restart them: kubectl rollout restart x",
        id="not injected",
    ),
    pytest.param(
        {"snapshot": snapshot(generation={"p": 1.0})}, "False", "Outdated", "1 of 2", id="older"
    ),
    pytest.param(
        {"snapshot": snapshot(sidecars={"p": 2.0})}, "False", "Outdated", "2 of 3", id="unseen"
    ),
    pytest.param(
        {"snapshot": snapshot(credential_missing={"p": {"opus": 1.0}})},
        "False",
        "CredentialMissing",
        "opus: create Secret anthropic with key api-key",
        id="no key",
    ),
    pytest.param(
        {"snapshot": snapshot(credential_missing={"p": {"gone": 1.0}})},
        "False",
        "CredentialMissing",
        "gone: a sidecar with an older configuration lacks its key",
        id="no key for what the policy names no more",
    ),
    pytest.param(
        {"snapshot": snapshot(sidecars={})}, "False", "Outdated", "0 of 3", id="none seen"
    ),
    pytest.param(
        {"snapshot": snapshot(failure="gone")}, "Unknown", "PrometheusUnavailable", "gone", id="?"
    ),
]


@pytest.mark.parametrize(("facts", "status", "reason", "said"), SIDECARS)
def test_sidecars_current(facts: dict[str, Any], status: str, reason: str, said: str) -> None:
    found = sidecars(look(**facts))
    assert (found.status, found.reason) == (status, reason)
    assert said in found.message


TARGET = Missing("TargetNotFound", "create it")
OBSERVING = parse_policy(policy(mode="Observe"))
SCALING = [
    pytest.param({}, "True", "Holding", id="active"),
    pytest.param({"decision": None, "missing": TARGET}, "False", "TargetNotFound", id="no target"),
    pytest.param({"decision": None}, "Unknown", "Undecided", id="nothing was decided yet"),
    pytest.param({"spec": OBSERVING}, "False", "Observe", id="observe"),
    pytest.param({"decision": decision(Reason.PAUSED)}, "False", "Paused", id="paused"),
    pytest.param(
        {"decision": decision(Reason.PAUSED), "spec": OBSERVING}, "False", "Paused", id="both"
    ),
    pytest.param(
        {"decision": decision(Reason.UNSCHEDULABLE)}, "False", "Unschedulable", id="no room"
    ),
    pytest.param(
        {"decision": decision(Reason.ANOTHER_AUTOSCALER)}, "False", "AnotherAutoscaler", id="rival"
    ),
    pytest.param({"decision": decision(Reason.AT_MAX)}, "True", "AtMax", id="at max"),
    pytest.param({"refusal": Missing("Forbidden", "grant")}, "False", "Forbidden", id="no right"),
    pytest.param(
        {"missing": Missing("ServiceNotFound", "s")}, "True", "Holding", id="scales all the same"
    ),
]


@pytest.mark.parametrize(("facts", "status", "reason"), SCALING)
def test_scaling_active(facts: dict[str, Any], status: str, reason: str) -> None:
    found = scaling(look(**facts))
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize(
    ("rival", "said"),
    [
        pytest.param("", "mode is Observe; would ask for 2", id="alone"),
        pytest.param("delete it", "mode is Observe; would ask for 2. delete it", id="a rival"),
    ],
)
def test_who_observes_says_what_would_be_done_and_what_stands_in_the_way(
    rival: str, said: str
) -> None:
    assert scaling(look(spec=OBSERVING, rival=rival)).message == said


def spent(usd: str | None, **others: Any) -> dict[str, Any]:  # noqa: ANN401
    period = Period(start_s=0.0, end_s=86400.0)
    amount = None if usd is None else Decimal(usd)
    state = BudgetState(period=period, limit_usd=Decimal(500), spent_usd=amount)
    return {"budget": replace(state, **others)}


def spread(admit_from: float) -> dict[str, Any]:
    pace = Pace(pattern=Pattern.unknown(4), admit_from=admit_from, seen_at_s=0.0)
    return {"pace": pace} | spent("3.1")


BUDGETS = [
    pytest.param({}, "True", "NoBudget", "no budget", id="none"),
    pytest.param(spent("3.1"), "True", "WithinLimit", "3.10 of 500 USD", id="within"),
    pytest.param(spent(None), "Unknown", "SpendUnknown", "no spend", id="unknown"),
    pytest.param(
        spent("500"), "False", "Exhausted", "SmallOnly until 1970-01-02T00:00:00Z", id="spent"
    ),
    pytest.param(
        spent("490", refused=True),
        "False",
        "Exhausted",
        "490.00 of 500",
        id="the rest buys nothing",
    ),
    pytest.param(spent("249.99"), "True", "WithinLimit", "resets at 1970-01-02", id="not half"),
    pytest.param(spent("250"), "True", "HalfSpent", "resets at 1970-01-02", id="half"),
    pytest.param(spent("400"), "True", "NearlySpent", "resets at 1970-01-02", id="four fifths"),
    pytest.param(
        spent("3.1", leased_usd=Decimal("2.5")),
        "True",
        "WithinLimit",
        "spent, 2.50 USD held by sidecars; resets",
        id="sidecars hold some",
    ),
    pytest.param(
        spread(1 / 3),
        "True",
        "WithinLimit",
        "spent; to last the period, all of low priority tries the small tier first; resets",
        id="spread",
    ),
    pytest.param(spread(0.0), "True", "WithinLimit", "USD spent; resets", id="all can be had"),
]


@pytest.mark.parametrize(("facts", "status", "reason", "said"), BUDGETS)
def test_budget_available(facts: dict[str, Any], status: str, reason: str, said: str) -> None:
    found = budget(look(**facts))
    assert (found.status, found.reason) == (status, reason)
    assert said in found.message


def test_metrics_available_mirrors_why_demand_is_unknown() -> None:
    found = metrics(look(demand=Unknown(reason="StaleSamples", message="old")))
    assert (found.status, found.reason, found.message) == ("False", "StaleSamples", "old")


@pytest.mark.parametrize(
    ("running", "reason"),
    [pytest.param(3, "Fresh", id="some"), pytest.param(0, "NoSidecars", id="0")],
)
def test_demand_that_is_known_to_be_none_is_known(running: int, reason: str) -> None:
    none = Demand(work_tokens_per_s=0.0, frontier_usd_per_s=0.0)
    found = metrics(look(demand=none, running_sidecars=running))
    assert (found.status, found.reason) == ("True", reason)


def test_ready_names_what_is_missing() -> None:
    found = ready(look(missing=TARGET))
    assert (found.status, found.reason, found.message) == ("False", "TargetNotFound", "create it")


WORDS = [
    pytest.param({}, "Ready", id="ready"),
    pytest.param({"spec": OBSERVING}, "Observing", id="observing"),
    pytest.param({"decision": decision(Reason.PAUSED)}, "Paused", id="paused"),
    pytest.param(spent("500"), "BudgetExhausted", id="exhausted"),
    pytest.param({"missing": TARGET, "decision": None}, "Degraded", id="degraded"),
    pytest.param({"running_sidecars": 0}, "Ready", id="no app pod yet is no illness"),
]


@pytest.mark.parametrize(("facts", "word"), WORDS)
def test_one_word_for_the_printer_column(facts: dict[str, Any], word: str) -> None:
    seen = look(**facts)
    assert state_word(seen, findings(seen)) == word
