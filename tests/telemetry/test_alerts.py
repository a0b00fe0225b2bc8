"""Alerts ask for what exists, say what to do, and speak of conditions in their words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from overspill.controller import conditions
from overspill.telemetry import alerts, queries
from overspill.telemetry.alert import Alert, Severity
from tests.telemetry.expressions import selected, strange_in, told_apart_by

ROOT = Path(__file__).parents[2]
ALL = [alert for group in alerts.GROUPS for alert in group.alerts]
EACH = pytest.mark.parametrize("alert", ALL, ids=[f"{one.name} {one.lasting}" for one in ALL])
SOURCES = "\n".join(
    path.read_text()
    for folder in ("controller", "scaling", "learning")
    for path in (ROOT / "operator" / "overspill" / folder).glob("*.py")
)


@EACH
def test_an_alert_asks_for_metrics_and_labels_that_exist(alert: Alert) -> None:
    assert selected(alert.expr)
    assert strange_in(alert.expr) == []


@EACH
def test_an_alert_says_what_is_so_and_what_to_do(alert: Alert) -> None:
    assert alert.name.startswith("Overspill")
    assert not alert.summary.endswith(".")
    assert alert.description.endswith(".")
    told = set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.description))
    assert told <= told_apart_by(alert.expr)
    assert ("policy" in told) == ("policy" in told_apart_by(alert.expr))


@EACH
def test_conditions_and_reasons_are_those_of_a_policy(alert: Alert) -> None:
    known = {value for value in vars(conditions).values() if isinstance(value, str)}
    wanted = alert.expr.partition(" unless ")[0]
    for kind, status in re.findall(r'type="(\w+)", status="(\w+)"', wanted):
        assert kind in known
        assert f"{kind} is {status}" in alert.summary
    for reasons in re.findall(r'reason=~"([\w|]+)"', alert.expr):
        for reason in reasons.split("|"):
            assert f'"{reason}"' in SOURCES


@EACH
def test_an_alert_is_the_same_whatever_the_reason_is_meanwhile(alert: Alert) -> None:
    """One that waits would begin anew with each change of a label, and might never fire."""
    assert told_apart_by(alert.expr) <= {"policy", "tier", "provider"}


def test_what_is_charged_at_worst_case_once_is_no_alert() -> None:
    (unmetered,) = [one for one in ALL if one.name == "OverspillUnmeteredSpend"]
    still = "increase(overspill_unmetered_usd_total[10m])"
    assert unmetered.expr.endswith(f" and sum by (policy, provider) ({still}) > 0")


def test_what_the_budget_calls_nearly_spent_is_what_the_alert_does() -> None:
    (nearly,) = [one for one in ALL if one.name == "OverspillBudgetNearlySpent"]
    assert ">= 0.8 unless" in nearly.expr
    assert '(0.8, "NearlySpent")' in SOURCES


def test_a_missing_key_is_found_as_the_operator_finds_it() -> None:
    (missing,) = [one for one in ALL if one.name == "OverspillCredentialMissing"]
    assert missing.expr.startswith(queries.credential_missing().expr)


def test_only_what_needs_somebody_now_is_critical() -> None:
    critical = {one.name for one in ALL if one.severity is Severity.CRITICAL}
    assert critical == {
        "OverspillCredentialMissing",
        "OverspillBudgetExhausted",
        "OverspillNoLeader",
    }


def test_the_text_is_the_same_twice_and_is_a_rule_file() -> None:
    assert alerts.render() == alerts.render()
    assert yaml.safe_load(alerts.render()) == alerts.rules()
    for group in alerts.rules()["groups"]:
        for rule in group["rules"]:
            assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}


def test_every_alert_is_in_the_docs() -> None:
    told = set(re.findall(r"`(Overspill\w+)`", (ROOT / "docs" / "watching.md").read_text()))
    assert told == {one.name for one in ALL}
