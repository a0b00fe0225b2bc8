"""The dashboard and the alerts: generated, current, and not touched by Helm's own braces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from overspill.telemetry import alerts, dashboard
from tests.charts.helm import CHART, ROOT, of_kind, template

if TYPE_CHECKING:
    from pathlib import Path

URL = {"url": "http://prometheus:9090"}
RULES = {"prometheus": {**URL, "rules": {"enabled": True, "labels": {"release": "kps"}}}}


def _dashboard(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - any chart value
    (made,) = of_kind(template(grafana={"dashboard": {"enabled": True, **values}}), "ConfigMap")
    return made


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param(CHART / "files" / "dashboard.json", dashboard.render(), id="chart dashboard"),
        pytest.param(CHART / "files" / "alerts.yaml", alerts.render(), id="chart alerts"),
        pytest.param(
            ROOT / "manifests" / "grafana" / "dashboard.json", dashboard.render(), id="dashboard"
        ),
        pytest.param(
            ROOT / "manifests" / "prometheus" / "alerts.yaml", alerts.render(), id="alerts"
        ),
    ],
)
def test_files_are_what_the_code_says(path: Path, text: str) -> None:
    assert path.read_text() == text, "run `make telemetry` and commit the result"


def test_neither_is_there_unless_asked_for() -> None:
    assert of_kind(template(), "ConfigMap") == []
    assert of_kind(template(), "PrometheusRule") == []


def test_the_dashboard_is_where_grafanas_sidecar_looks_and_unchanged() -> None:
    made = _dashboard()
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert "annotations" not in made["metadata"]
    assert made["metadata"]["namespace"] == "overspill-system"
    assert json.loads(made["data"]["overspill.json"]) == dashboard.dashboard()


def test_the_dashboard_may_live_elsewhere() -> None:
    made = _dashboard(
        namespace="monitoring", folder="Models", labels={"own": "yes"}, annotations={"a": "b"}
    )
    assert made["metadata"]["namespace"] == "monitoring"
    assert made["metadata"]["labels"]["own"] == "yes"
    assert made["metadata"]["annotations"] == {"grafana_folder": "Models", "a": "b"}


def test_the_rules_are_unchanged_and_carry_the_label_that_is_asked_for() -> None:
    (made,) = of_kind(template(**RULES), "PrometheusRule")
    assert made["apiVersion"] == "monitoring.coreos.com/v1"
    assert made["metadata"]["labels"]["release"] == "kps"
    assert made["spec"] == alerts.rules()
    assert "{{ $labels.policy }}" in made["spec"]["groups"][0]["rules"][0]["annotations"]["summary"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"grafana": {"dashboards": {"enabled": True}}}, id="unknown value"),
        pytest.param({"grafana": {"dashboard": {"labels": {"a": 1}}}}, id="label is no text"),
        pytest.param({"prometheus": {**URL, "rules": {"enabled": "yes"}}}, id="not a truth"),
    ],
)
def test_bad_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        template(**values)


def test_a_plain_prometheus_finds_sidecars_and_operator() -> None:
    jobs = yaml.safe_load((ROOT / "manifests" / "prometheus" / "scrape.yaml").read_text())
    ports = {
        job["job_name"]: [rule["regex"] for rule in job["relabel_configs"] if "regex" in rule]
        for job in jobs
    }
    assert ports == {
        "overspill-sidecars": ["true", "Running", "4001"],
        "overspill": ["overspill", "overspill-system", "Running", "8080"],
    }
