"""What the documents show is accepted, what they name exists, and what exists is named."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from overspill.api import crd, parse_policy
from overspill.controller import conditions
from overspill.routing.decide import Reason as RoutingReason
from overspill.scaling import Reason as ScalingReason
from overspill.telemetry.alerts import GROUPS
from tests.charts.helm import CHART, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = ROOT / "manifests" / "examples" / "contracts.yaml"
SCHEMA = crd.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def _blocks() -> Iterator[tuple[str, str]]:
    for path in DOCUMENTS:
        for block in re.findall(r"^```yaml\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
            yield path.name, textwrap.dedent(block)


@pytest.mark.parametrize(("document", "block"), list(_blocks()))
def test_yaml_in_the_documents_is_accepted_as_a_policy_or_as_a_part_of_the_example(
    document: str, block: str
) -> None:
    shown = yaml.safe_load(block)
    if "kind" not in shown:
        inside = shown if shown.keys() <= _fields("spec") else {"routing": shown}
        shown = {"spec": _merged(yaml.safe_load(EXAMPLE.read_text())["spec"], inside)}
    parse_policy(shown["spec"])


def _fields(*path: str) -> set[str]:
    node = SCHEMA
    for name in path:
        node = node["properties"][name]
    return set(node["properties"])


def _merged(under: Any, over: Any) -> Any:  # noqa: ANN401 - any YAML
    """`over` on `under`: maps key by key, lists entry by entry."""
    if isinstance(under, dict) and isinstance(over, dict):
        return under | {key: _merged(under.get(key), value) for key, value in over.items()}
    if isinstance(under, list) and isinstance(over, list):
        return [_merged(a, b) for a, b in zip(under, over, strict=False)]
    return over


def test_the_policy_of_the_readme_says_the_same_as_the_example() -> None:
    (shown,) = [yaml.safe_load(block) for name, block in _blocks() if name == "README.md"]
    example = yaml.safe_load(EXAMPLE.read_text())
    assert shown["metadata"] == example["metadata"]
    for part in ("workload", "budget"):
        assert _merged(example["spec"][part], shown["spec"][part]) == example["spec"][part]


def test_each_field_of_a_policy_is_named_in_its_document() -> None:
    text = (ROOT / "docs" / "policy.md").read_text()
    missing = [path for path in _paths(SCHEMA["properties"]["spec"]) if not _named(path, text)]
    assert missing == []


def _paths(node: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, child in node.get("properties", {}).items():
        yield f"{path}{name}"
        yield from _paths(child, f"{path}{name}.")
        yield from _paths(child.get("items", {}), f"{path}{name}[].")


def _named(path: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(path.rpartition('.')[2])}\b", text) is not None


CONDITIONS = [
    conditions.READY,
    conditions.SIDECARS_CURRENT,
    conditions.METRICS_AVAILABLE,
    conditions.SCALING_ACTIVE,
    conditions.BUDGET_AVAILABLE,
    *conditions.ASKED_FOR,
]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        pytest.param("routing.md", list(RoutingReason), id="reasons of routes"),
        pytest.param("policy.md", list(ScalingReason), id="reasons of scaling"),
        pytest.param("policy.md", CONDITIONS, id="conditions"),
        pytest.param(
            "watching.md", [alert.name for group in GROUPS for alert in group.alerts], id="alerts"
        ),
    ],
)
def test_each_word_that_a_person_may_look_up_is_in_its_document(
    document: str, words: list[str]
) -> None:
    text = (ROOT / "docs" / document).read_text()
    assert [word for word in words if f"`{word}`" not in text] == []


def test_each_value_of_the_chart_is_named_in_the_documents() -> None:
    text = "".join((ROOT / "docs" / name).read_text() for name in ("install.md", "watching.md"))
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    missing = [
        path
        for path in _leaves(values)
        if f"`{path}`" not in text and f"`.{path.rpartition('.')[2]}`" not in text
    ]
    assert missing == []


def _leaves(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in {"labels", "resources"}:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_each_link_to_a_heading_leads_to_one() -> None:
    broken = [
        (path.name, link)
        for path in DOCUMENTS
        for link in re.findall(r"\]\((?!https?:)([^)\s]*#[^)\s]+)\)", path.read_text())
        if link.partition("#")[2] not in _anchors(_target(path, link))
    ]
    assert broken == []


def _target(path: Path, link: str) -> Path:
    return path.parent / link.partition("#")[0] if not link.startswith("#") else path


def _anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings, and those written out."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    return made | set(re.findall(r'<a id="([^"]+)"', text))
