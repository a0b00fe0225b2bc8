"""The CRD in the repo is the one the models make, and is structural."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from overspill.api import crd, parse_policy
from tests.api.policies import policy

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SCHEMA = crd.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def test_crds_folder_has_not_drifted_from_the_models() -> None:
    stored = (ROOT / "crds" / "overspill.dev_routingpolicies.yaml").read_text()
    assert stored == crd.render(), "run `make crds` and commit the result"


def _nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]")


def test_every_node_is_typed_and_nothing_is_left_for_pydantic_to_resolve() -> None:
    untyped = [path for path, node in _nodes(SCHEMA) if "type" not in node]
    foreign = [
        path
        for path, node in _nodes(SCHEMA)
        if node.keys() & {"$ref", "anyOf", "oneOf", "const", "title", "$defs"}
    ]
    assert (untyped, foreign) == ([], [])


def test_each_field_that_a_user_writes_is_described() -> None:
    """The README sends people to `kubectl explain`."""
    named = re.compile(r"\.spec(\.\w+|\[\])*\.\w+")
    silent = [
        path
        for path, node in _nodes(SCHEMA)
        if named.fullmatch(path) and not node.get("description")
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("path", "default"),
    [
        (".spec.mode", "Enforce"),
        (".spec.small.capacity.inputTokenWeight", "0.1"),
        (".spec.routing.overflow.firstTokenDeadline", "2s"),
        (".spec.budget.period", "Day"),
    ],
)
def test_defaults_are_in_the_schema_as_a_user_would_write_them(path: str, default: str) -> None:
    assert dict(_nodes(SCHEMA))[path]["default"] == default


def test_defaults_in_the_schema_are_what_the_models_assume() -> None:
    bare = policy(mode=None, routing=None, budget__period=None)
    assert parse_policy(bare) == parse_policy(_with_defaults(bare, SCHEMA["properties"]["spec"]))


def _with_defaults(value: Any, schema: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """What the API server does to an object before it stores it."""
    if isinstance(value, list):
        return [_with_defaults(item, schema["items"]) for item in value]
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, child in schema.get("properties", {}).items():
        if name not in filled and "default" in child:
            filled[name] = child["default"]
        if name in filled:
            filled[name] = _with_defaults(filled[name], child)
    return filled


def test_no_default_has_a_null_which_the_api_server_refuses() -> None:
    assert ": null" not in crd.render()


def test_the_rendered_yaml_is_the_definition() -> None:
    assert yaml.safe_load(crd.render()) == crd.definition()
