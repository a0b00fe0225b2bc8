"""A real Prometheus answers the dashboard and evaluates the alerts, in one scene with traffic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from e2e.app.asks import steady
from e2e.stage import guest, kube, overspill, prometheus
from e2e.stage.manifests import PolicyChanges
from e2e.stage.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

NS = "watching"
POLICY = f"{NS}/chat"
VARIABLES = {"$policy": POLICY, "$__rate_interval": "20s", "$__range": "1m"}
"""As Grafana would fill them in; no shorter than four scrapes."""
NOTHING_TO_SHOW = {
    "Attempts that failed",
    "Quality, of the frontier's",
    "Trials kept",
    "Answers held back",
    "Trials by outcome",
    "Judges an hour",
    "Conditions that are not true",
}
"""Panels that are empty while nothing fails and nothing is tried."""
SPENT = "0.01"
"""Below what the first seconds cost."""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """An app, both tiers, a replica, and requests for both."""
    guest.refuse(f"namespace/{NS}")
    made = Scene(NS).build(PolicyChanges(min_replicas=1), small_replicas=1)
    kube.until("a replica", lambda: kube.ready_pods(NS, "app=small"))
    made.send(steady(per_s=6, seconds=240, output_tokens=40, every_nth_high=3))
    yield made
    made.stop()
    made.remove()


def _dashboard() -> dict[str, list[str]]:
    """The queries of each panel, from where Grafana's sidecar would take them."""
    held = kube.get("configmap", f"{overspill.RELEASE}-dashboard", overspill.NS)
    panels = json.loads(held["data"]["overspill.json"])["panels"]
    return {
        panel["title"]: [_filled_in(target["expr"]) for target in panel["targets"]]
        for panel in panels
        if panel["type"] != "row"
    }


def _filled_in(expr: str) -> str:
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    return expr


def _shows(expr: str) -> bool:
    """Whether there is anything to draw. Raises: KubectlError where it is no PromQL."""
    return any(series["value"][1] != "NaN" for series in prometheus.query(expr))


def _alerts(state: str, *, of: tuple[str | None, ...] = (POLICY, None)) -> dict[str, Any]:
    """Alerts in that state by name: of this scene, and those of no policy but the operator."""
    return {
        alert["labels"]["alertname"]: alert
        for rule in prometheus.rules()
        for alert in rule["alerts"]
        if alert["state"] == state and alert["labels"].get("policy") in of
    }


def test_every_panel_is_answered_and_shows_what_this_scene_does(scene: Scene) -> None:
    panels = _dashboard()
    assert set(panels) > NOTHING_TO_SHOW
    silent = {(title, expr) for title, queries in panels.items() for expr in queries}

    def only_quiet_ones() -> bool:
        silent.difference_update({one for one in silent if _shows(one[1])})
        return {title for title, _ in silent} <= NOTHING_TO_SHOW

    kube.until("data in every panel", only_quiet_ones, 90)
    (by_tier,) = panels["Requests by tier"]
    shares = {one["metric"]["tier"]: float(one["value"][1]) for one in prometheus.query(by_tier)}
    assert {"small", "frontier"} <= set(shares)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_every_rule_is_evaluated_and_nothing_is_wrong_while_all_is_well(scene: Scene) -> None:
    kube.until("every rule ok", lambda: {one["health"] for one in prometheus.rules()} == {"ok"})
    # What tests before this one did to the operator may be pending for as long as it is seen.
    kube.until("no alert to be", lambda: not _alerts("pending", of=(POLICY,)))
    assert _alerts("firing") == {}
    assert scene.condition("Ready")["status"] == "True"


def test_a_spent_budget_fires_one_alert_that_says_whose(scene: Scene) -> None:
    kube.until("spend", lambda: float(scene.status().get("spend", {}).get("usd", 0)) > float(SPENT))
    patch = json.dumps({"spec": {"budget": {"limit": SPENT}}})
    kube.kubectl("patch", "rp", "chat", "-n", NS, "--type=merge", "-p", patch)
    kube.until("spent", lambda: scene.condition("BudgetAvailable").get("reason") == "Exhausted")
    fired = kube.until("an alert", lambda: _alerts("firing"))
    assert set(fired) == {"OverspillBudgetExhausted"}
    said = fired["OverspillBudgetExhausted"]["annotations"]["summary"]
    assert said == f"{POLICY}: BudgetAvailable is False, the budget is spent"
