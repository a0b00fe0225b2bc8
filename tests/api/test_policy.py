"""A RoutingPolicy is read whole, or refused with path, value and remedy."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.api import InvalidPolicy, RoutingPolicySpec, parse_policy
from tests.api.policies import policy


def test_the_full_policy_is_read_and_written_back_unchanged() -> None:
    assert parse_policy(policy()).to_json() | {} == {
        **policy(),
        "hosted": [],
        "frontier": [
            {**policy()["frontier"][0], "maxOutputTokens": 4096, "forwardHeaders": []},
        ],
        "routing": {
            **policy()["routing"],
            "rules": [
                {**policy()["routing"]["rules"][0], "overflow": "Allow", "priority": "Normal"}
            ],
            "queue": {"maxWait": "0ms"},
            "requestTimeout": "3600s",
        },
    }


def test_money_is_exact() -> None:
    assert parse_policy(policy(small__replicaHourlyCost="0.1")).small.replica_hourly_cost == (
        Decimal("0.1")
    )


def test_optional_parts_have_defaults() -> None:
    spec = parse_policy(policy(mode=None, routing=None, budget=None))
    assert (spec.mode, spec.routing.overflow.first_token_deadline, spec.budget) == (
        "Enforce",
        2.0,
        None,
    )


REFUSED = [
    pytest.param({"mode": "Dry"}, "spec.mode: ", "'Dry'", id="unknown mode"),
    pytest.param({"colour": 1}, "spec.colour: ", "unknown field; remove it", id="unknown field"),
    pytest.param({"workload": None}, "spec.workload: ", "add it", id="missing field"),
    pytest.param(
        {"small__replicaHourlyCost": 2.49},
        "spec.small.replicaHourlyCost: ",
        'write it as a string, "2.49"',
        id="money as a float",
    ),
    pytest.param(
        {"small__replicaHourlyCost": "1e3"}, "spec.small.replicaHourlyCost: ", "1e3", id="exponent"
    ),
    pytest.param(
        {"small__replicaHourlyCost": "-1"}, "spec.small.replicaHourlyCost: ", "'-1'", id="negative"
    ),
    pytest.param(
        {"small__replicas": {"min": 3, "max": 2}},
        "spec.small.replicas: ",
        "min 3 exceeds max 2; lower min or raise max",
        id="min above max",
    ),
    pytest.param({"frontier": []}, "spec.frontier: ", "items needed: 1", id="no frontier"),
    pytest.param({"frontier": "x"}, "spec.frontier: ", "must be a list", id="no list"),
    pytest.param({"small": "x"}, "spec.small: ", "must be a mapping", id="no mapping"),
    pytest.param(
        {"small__replicas": {"min": "x", "max": 2}},
        "spec.small.replicas.min: ",
        "must be a whole number (got 'x')",
        id="no number",
    ),
    pytest.param(
        {"small__replicas": {"min": -1, "max": 2}},
        "spec.small.replicas.min: ",
        "must be at least 0 (got -1)",
        id="below 0",
    ),
    pytest.param({"mode": "enforce"}, "spec.mode: ", "must be 'Enforce' or 'Observe'", id="mode"),
    pytest.param({"small__model": ""}, "spec.small.model: ", "characters needed: 1", id="no name"),
    pytest.param(
        {"small__scaleTargetRef__name": "../../kube-system/deployments/coredns"},
        "spec.small.scaleTargetRef.name: ",
        "must be a name of a Kubernetes object",
        id="a target in another namespace",
    ),
    pytest.param(
        {"small__scaleTargetRef__apiVersion": "apps/v1/namespaces/other"},
        "spec.small.scaleTargetRef.apiVersion: ",
        "must be a group and version",
        id="a path for a version",
    ),
    pytest.param(
        {"small__scaleTargetRef__kind": "Deployment/x"},
        "spec.small.scaleTargetRef.kind: ",
        "must be a kind",
        id="a path for a kind",
    ),
    pytest.param(
        {"small__service__name": "../services/x"},
        "spec.small.service.name: ",
        "must be a name of a Kubernetes object",
        id="a path for a Service",
    ),
    pytest.param(
        {"workload__selector__matchLabels": {"app": "x,tier=y"}},
        "spec.workload.selector: ",
        "'x,tier=y' is no value of a label",
        id="more than a label",
    ),
    pytest.param(
        {"workload__selector__matchLabels": {"a b": "x"}},
        "spec.workload.selector: ",
        "'a b' is no key of a label",
        id="no label",
    ),
    pytest.param(
        {"frontier": [policy()["frontier"][0]] * 2},
        "spec: frontier[1].name: ",
        "'opus' is already used",
        id="twin providers",
    ),
    pytest.param(
        {"frontier__0__baseURL": "api.anthropic.com"},
        "spec.frontier[0].baseURL: ",
        "must be an http(s) URL",
        id="URL without scheme",
    ),
    pytest.param(
        {"frontier__0__baseURL": "https://key@host"},
        "spec.frontier[0].baseURL: ",
        "keys belong in a Secret",
        id="key in the URL",
    ),
    pytest.param(
        {"frontier__0__baseURL": "https://api.example:99999"},
        "spec.frontier[0].baseURL: ",
        "https://api.anthropic.com: Port out of range",
        id="port that is none",
    ),
    pytest.param(
        {"frontier__0__baseURL": "https://api.example:0"},
        "spec.frontier[0].baseURL: ",
        "write 1 to 65535",
        id="port 0",
    ),
    pytest.param(
        {"frontier__0__baseURL": "https://[::1:80"},
        "spec.frontier[0].baseURL: ",
        "must be an http(s) URL",
        id="half a bracket",
    ),
    pytest.param(
        {"frontier__0__baseURL": "https://api..example"},
        "spec.frontier[0].baseURL: ",
        "labels of 1 to 63 letters",
        id="empty label",
    ),
    pytest.param(
        {"frontier__0__baseURL": f"https://{'a' * 64}.example"},
        "spec.frontier[0].baseURL: ",
        "labels of 1 to 63 letters",
        id="label too long",
    ),
    pytest.param(
        {"frontier__0__baseURL": "https://b\u00fccher.example"},
        "spec.frontier[0].baseURL: ",
        "an international name as xn--",
        id="international name",
    ),
    pytest.param(
        {"frontier__0__baseURL": "https://x/v1\r\nx-evil: 1"},
        "spec.frontier[0].baseURL: ",
        "without spaces",
        id="line break in the URL",
    ),
    pytest.param(
        {"routing__rules__0__when": {}},
        "spec.routing.rules[0].when: ",
        "give header, model or both",
        id="empty match",
    ),
    pytest.param(
        {"routing__rules__0__overflow": "Deny"},
        "spec.routing.rules[0]: ",
        "only means something with tier: Small",
        id="overflow on a frontier rule",
    ),
    pytest.param(
        {"routing__overflow__firstTokenDeadline": "soon"},
        "spec.routing.overflow.firstTokenDeadline: ",
        '"500ms", "2s" or "1m"',
        id="not a duration",
    ),
    pytest.param(
        {"budget__timeZone": "Mars/Olympus"}, "spec.budget.timeZone: ", "IANA", id="time zone"
    ),
    pytest.param(
        {"workload__selector__matchLabels": {}},
        "spec.workload.selector: ",
        "name at least one label",
        id="selects every pod",
    ),
]


@pytest.mark.parametrize(("change", "path", "remedy"), REFUSED)
def test_a_bad_policy_is_refused_with_path_and_remedy(
    change: dict[str, object], path: str, remedy: str
) -> None:
    with pytest.raises(InvalidPolicy) as refusal:
        parse_policy(policy(**change))
    assert [p for p in refusal.value.problems if p.startswith(path) and remedy in p], (
        refusal.value.problems
    )


def test_a_fault_of_an_item_is_told_once_and_not_as_a_missing_item() -> None:
    with pytest.raises(InvalidPolicy) as refusal:
        parse_policy(policy(frontier__0__api="X"))
    (told,) = refusal.value.problems
    assert told == "spec.frontier[0].api: must be 'OpenAI' or 'Anthropic' (got 'X')"


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(InvalidPolicy) as refusal:
        parse_policy(policy(mode="Dry", small__model="", budget__limit=5))
    assert len(refusal.value.problems) == 3


@given(st.decimals(min_value=0, max_value=10**9, places=6))
def test_a_money_string_survives_the_round_trip(amount: Decimal) -> None:
    text = format(amount, "f")
    spec = parse_policy(policy(small__replicaHourlyCost=text))
    again = RoutingPolicySpec.model_validate(spec.to_json())
    assert again.small.replica_hourly_cost == amount
    assert again == spec


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_junk_is_refused_and_never_crashes(junk: object) -> None:
    with pytest.raises(InvalidPolicy):
        parse_policy(junk)
