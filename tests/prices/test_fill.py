"""Prices filled into policies, which otherwise stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from overspill.api.errors import InvalidPolicy
from overspill.prices.fill import fill
from overspill.prices.table import CannotPrice, bundled
from tests.api.policies import policy

TABLE = bundled()
EXAMPLE = (Path(__file__).parents[2] / "manifests" / "examples" / "contracts.yaml").read_text()
PRICE_LINE = '      price: {inputPerMTok: "5", cachedInputPerMTok: "0.5", outputPerMTok: "25"}\n'
OPUS = {"inputPerMTok": "5", "cachedInputPerMTok": "0.5", "outputPerMTok": "25"}
BARE = EXAMPLE.replace(PRICE_LINE, "")


def price_of(text: str, rung: str = "frontier", index: int = 0) -> dict[str, Any]:
    price: dict[str, Any] = yaml.safe_load(text)["spec"][rung][index]["price"]
    return price


def test_a_missing_price_goes_below_the_model_and_nothing_else_changes() -> None:
    filled = fill(BARE, TABLE)
    model = "      model: claude-opus-4-8\n"
    assert filled.text == BARE.replace(model, model + PRICE_LINE)
    assert filled.notes == ("spec.frontier[0].price: filled in, that of claude-opus-4-8",)


def test_a_whole_policy_stays_byte_for_byte() -> None:
    filled = fill(EXAMPLE, TABLE)
    assert filled.text == EXAMPLE
    assert filled.notes == ()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("opus-4-8\n", "opus-4-8   # the large one\n"), id="a comment behind"),
        pytest.param(("claude-opus-4-8\n", "'claude-opus-4-8'\n"), id="quotes"),
        pytest.param(("\n", "\r\n"), id="the line ends of Windows"),
        pytest.param(("claude-opus-4-8\n", "claude-opus-4-8\n      price:\n"), id="nothing there"),
        pytest.param(
            ("claude-opus-4-8\n", "claude-opus-4-8\n      price: null  # later\n"), id="null there"
        ),
    ],
)
def test_a_price_finds_its_place(change: tuple[str, str]) -> None:
    text = BARE.replace(*change)
    filled = fill(text, TABLE)
    assert price_of(filled.text) == OPUS
    kept = [line for line in text.splitlines() if "price:" not in line]
    assert [line for line in filled.text.splitlines() if "price:" not in line] == kept


def test_a_price_at_the_very_end_of_a_file() -> None:
    spec = policy(frontier__0__price=None, frontier__0__model=None)
    head = yaml.safe_dump(
        {"spec": {name: said for name, said in spec.items() if name != "frontier"}}
    )
    provider = yaml.safe_dump([spec["frontier"][0]], sort_keys=False)
    text = head + "  frontier:\n" + "".join(f"  {line}\n" for line in provider.splitlines())
    filled = fill(text + "    model: claude-opus-4-8", TABLE)
    assert price_of(filled.text) == OPUS


def test_one_line_of_braces_stays_one_line() -> None:
    spec = policy(frontier__0__price=None)
    line = yaml.safe_dump(spec["frontier"][0], default_flow_style=True, width=10_000).strip()
    del spec["frontier"]
    text = yaml.safe_dump({"spec": spec}) + f"  frontier:\n  - {line}\n"
    filled = fill(text, TABLE)
    assert len(filled.text.splitlines()) == len(text.splitlines())
    assert price_of(filled.text) == OPUS


def test_json_stays_json() -> None:
    text = json.dumps({"spec": policy(frontier__0__price=None)}, indent=2)
    assert json.loads(fill(text, TABLE).text)["spec"]["frontier"][0]["price"] == OPUS


def test_every_provider_gets_its_own() -> None:
    host = {
        "name": "host",
        "api": "OpenAI",
        "baseURL": "https://api.z.ai/api/paas",
        "model": "glm-5.2",
        "credentials": {"secretName": "zai"},
    }
    second = {**host, "name": "gpt", "baseURL": "https://api.openai.com", "model": "gpt-5.4"}
    spec = policy(frontier__0__price=None, hosted=[host])
    spec["frontier"].append(second)
    filled = fill(yaml.safe_dump(spec, sort_keys=False), TABLE)  # the spec alone will do
    said = yaml.safe_load(filled.text)
    assert said["hosted"][0]["price"]["inputPerMTok"] == "1.4"
    assert said["frontier"][0]["price"] == OPUS
    assert said["frontier"][1]["price"]["longContext"]["aboveInputTokens"] == 272000


def test_a_price_that_is_given_stays_and_what_differs_is_told() -> None:
    text = EXAMPLE.replace('inputPerMTok: "5"', 'inputPerMTok: "4"', 1)
    filled = fill(text, TABLE)
    assert filled.text == text
    assert [note.partition(" for ")[0] for note in filled.notes] == [
        "spec.frontier[0].price.inputPerMTok: is 4, the table has 5",
        "spec.frontier[0].price.cacheWritePerMTok: is 5, the table has 6.25",
    ]


def test_a_cache_that_costs_nothing_is_another_price_than_that_of_input() -> None:
    text = EXAMPLE.replace('cachedInputPerMTok: "0.5"', 'cachedInputPerMTok: "0"')
    (note,) = fill(text, TABLE).notes
    assert note.startswith("spec.frontier[0].price.cachedInputPerMTok: is 0, the table has 0.5")


def test_a_price_that_the_table_does_not_know_stays() -> None:
    text = EXAMPLE.replace("claude-opus-4-8", "in-house")
    filled = fill(text, TABLE)
    assert filled.text == text
    assert "has no model 'in-house'" in filled.notes[0]
    assert "stays as it is" in filled.notes[0]


def test_an_unknown_model_is_told_with_path_model_nearest_and_remedy() -> None:
    with pytest.raises(CannotPrice) as error:
        fill(BARE.replace("claude-opus-4-8", "claude-opus-4-9"), TABLE)
    told = str(error.value)
    assert told.startswith("spec.frontier[0].price: the table of 2026-11-24 has no model ")
    assert "'claude-opus-4-9' (nearest: claude-opus-4-" in told
    assert "write the price there, or give a newer table with --table" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("a: [", "is not one YAML document", id="not YAML"),
        pytest.param("a: 1\n---\nb: 2\n", "is not one YAML document", id="two documents"),
        pytest.param("a: 2026-13-01\n", "is not one YAML document", id="the 13th month"),
        pytest.param("[" * 5000, "nested too deeply", id="no end of brackets"),
        pytest.param("- a\n", "is not a RoutingPolicy", id="a list"),
        pytest.param("", "is not a RoutingPolicy", id="nothing"),
        pytest.param("spec: {frontier: 5}", "spec.frontier", id="no providers"),
        pytest.param("spec: {frontier: [{name: x}]}", "spec.frontier.0..model", id="no model"),
        pytest.param(
            BARE.replace("min: 0", "min: 99"), "min 99 exceeds max 16", id="wrong elsewhere"
        ),
    ],
)
def test_what_is_no_policy_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidPolicy, match=told):
        fill(text, TABLE)


def test_a_model_that_is_merged_in_is_known_too() -> None:
    merged = BARE.replace(
        "    - name: opus\n", "    - <<: {model: claude-opus-4-8}\n      name: opus\n"
    )
    merged = merged.replace("      model: claude-opus-4-8\n", "", 1)
    assert price_of(fill(merged, TABLE).text) == OPUS


def test_a_file_that_is_written_too_oddly_to_edit_is_left_to_a_person() -> None:
    odd = BARE.replace("      model: claude-opus-4-8\n", "      ? model\n      : claude-opus-4-8\n")
    with pytest.raises(CannotPrice, match=r'spec.frontier.0..price: {inputPerMTok: "5"'):
        fill(odd, TABLE)


names = st.sampled_from(["claude-opus-4-8", "claude-sonnet-5", "claude-haiku-5-5"])


@given(st.lists(names, min_size=1, max_size=4), st.booleans(), st.integers(1, 6))
def test_whatever_the_style_all_prices_are_the_tables(
    models: list[str], flow: bool, indent: int
) -> None:
    spec = policy()
    spec["frontier"] = [
        {
            "name": f"p{index}",
            "model": model,
            "api": "Anthropic",
            "baseURL": "https://api.anthropic.com",
            "credentials": {"secretName": "x"},
        }
        for index, model in enumerate(models)
    ]
    text = yaml.safe_dump(
        {"spec": spec}, default_flow_style=flow, indent=indent, sort_keys=False, width=60
    )
    said = yaml.safe_load(fill(text, TABLE).text)
    for provider in said["spec"]["frontier"]:
        expected = TABLE.find(provider["model"], "").price.to_json()
        assert provider.pop("price") == expected
    assert said == {"spec": spec}
