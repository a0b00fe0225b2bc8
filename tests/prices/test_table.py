"""Tables of prices, ours and LiteLLM's."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from overspill.api.policy import FrontierAPI
from overspill.prices.table import CannotPrice, Entry, Table, bundled, read_table

if TYPE_CHECKING:
    from pathlib import Path

LITELLM = {
    "sample_spec": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "gpt-4o-mini": {
        "input_cost_per_token": 1.5e-07,
        "output_cost_per_token": 6e-07,
        "cache_read_input_token_cost": 7.5e-08,
        "litellm_provider": "openai",
        "max_input_tokens": 128000,
        "max_output_tokens": 16384,
    },
    "claude-sonnet-4": {
        "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1.5e-05,
        "cache_read_input_token_cost": 3e-07,
        "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06,
        "output_cost_per_token_above_200k_tokens": 2.25e-05,
        "cache_read_input_token_cost_above_200k_tokens": 6e-07,
        "input_cost_per_token_above_200k_tokens_priority": 9e-06,
        "litellm_provider": "anthropic",
    },
    "qwen/steps": {
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
        "input_cost_per_token_above_128k_tokens": 3e-06,
        "input_cost_per_token_above_256k_tokens": 2e-06,
        "litellm_provider": "qwen",
    },
    "azure/gpt-4o-mini": {
        "input_cost_per_token": 1.65e-07,
        "output_cost_per_token": 6.6e-07,
        "litellm_provider": "azure",
    },
    "deepinfra/thinker": {
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
        "output_cost_per_reasoning_token": 4e-06,
        "litellm_provider": "deepinfra",
    },
    "noise": {"input_cost_per_token": 9.999999999999999e-06, "output_cost_per_token": 0.0},
    "dall-e-3": {"output_cost_per_image": 0.04, "litellm_provider": "openai"},
    "odd": {"input_cost_per_token": "free", "output_cost_per_token": -1},
}


@pytest.fixture
def litellm(tmp_path: Path) -> Table:
    path = tmp_path / "model_prices_and_context_window.json"
    path.write_text(json.dumps(LITELLM))
    os.utime(path, (1_790_000_000, 1_790_000_000))
    return read_table(path)


def entry(table: Table, model: str) -> Entry:
    return next(one for one in table.entries if one.model == model)


def test_the_bundled_table_has_a_date_a_source_and_its_licence() -> None:
    table = bundled()
    assert table.origin.startswith("List prices of 2026-11-24 in USD per million tokens. Source: ")
    assert "LiteLLM" in table.origin
    assert "MIT" in table.origin
    assert len(table.entries) > 50


def test_the_bundled_table_has_what_long_requests_and_cache_writes_cost() -> None:
    price = entry(bundled(), "gpt-5.6").price
    assert price.to_json() == {
        "inputPerMTok": "4",
        "cachedInputPerMTok": "0.4",
        "cacheWritePerMTok": "5",
        "outputPerMTok": "20",
        "longContext": {"aboveInputTokens": 272000, "inputPerMTok": "8", "outputPerMTok": "30"},
    }
    claude = entry(bundled(), "claude-opus-4-8").price
    assert claude.cache_write(FrontierAPI.ANTHROPIC) == Decimal("6.25")
    assert claude.cache_write(FrontierAPI.OPENAI) == Decimal(5)


def test_litellms_table_is_read_per_token_and_exactly(litellm: Table) -> None:
    assert [one.model for one in litellm.entries] == [
        "gpt-4o-mini",
        "claude-sonnet-4",
        "qwen/steps",
        "azure/gpt-4o-mini",
        "deepinfra/thinker",
        "noise",
    ]
    mini = entry(litellm, "gpt-4o-mini")
    assert mini.price.to_json() == {
        "inputPerMTok": "0.15",
        "cachedInputPerMTok": "0.075",
        "outputPerMTok": "0.6",
    }
    assert (mini.provider, mini.context_window, mini.max_output_tokens) == ("openai", 128000, 16384)
    assert entry(litellm, "claude-sonnet-4").price.to_json() == {
        "inputPerMTok": "3",
        "cachedInputPerMTok": "0.3",
        "cacheWritePerMTok": "3.75",
        "outputPerMTok": "15",
        "longContext": {
            "aboveInputTokens": 200000,
            "inputPerMTok": "6",
            "cachedInputPerMTok": "0.6",
            "outputPerMTok": "22.5",
        },
    }


def test_of_several_thresholds_the_lowest_has_the_dearest_prices(litellm: Table) -> None:
    far = entry(litellm, "qwen/steps").price.long_context
    assert far is not None
    assert far.to_json() == {
        "aboveInputTokens": 128000,
        "inputPerMTok": "3",
        "outputPerMTok": "2",
    }


def test_thoughts_that_are_dearer_than_other_output_are_its_price(litellm: Table) -> None:
    assert entry(litellm, "deepinfra/thinker").price.output_per_m_tok == Decimal(4)


@pytest.mark.parametrize(
    ("base_url", "found"),
    [
        pytest.param("https://api.openai.com", "gpt-4o-mini", id="its maker's"),
        pytest.param("https://gateway.azure.com", "azure/gpt-4o-mini", id="another host's"),
        pytest.param("https://gateway.example", "gpt-4o-mini", id="nobody's"),
    ],
)
def test_the_host_that_is_asked_goes_before_the_maker_of_the_model(
    litellm: Table, base_url: str, found: str
) -> None:
    assert litellm.find("gpt-4o-mini", base_url).model == found


def test_a_host_of_two_prices_is_asked_about(litellm: Table) -> None:
    with pytest.raises(CannotPrice, match="only as gpt-4o-mini, azure/gpt-4o-mini"):
        litellm.find("gpt-4o-mini", "https://ours.openai.azure.com")


def test_a_price_is_never_rounded_down(litellm: Table) -> None:
    assert entry(litellm, "noise").price.input_per_m_tok == Decimal(10)


def test_litellms_table_is_as_old_as_its_file(litellm: Table) -> None:
    assert litellm.date == "2026-09-21"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("{", "is not JSON", id="not JSON"),
        pytest.param("[]", "must be one JSON object", id="a list"),
        pytest.param("[" * 100_000, "is nested too deeply", id="no end of brackets"),
        pytest.param("{}", "has no prices", id="nothing in it"),
        pytest.param(
            '{"m": {"input_cost_per_token": 1e30, "output_cost_per_token": 1}}',
            "has no prices",
            id="no price of this world",
        ),
        pytest.param('{"models": [], "date": "d"}', "is not a table of prices", id="no models"),
        pytest.param('{"models": {}, "date": "d"}', "is not a table of prices", id="no source"),
    ],
)
def test_what_is_no_table_is_refused_by_its_path(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(CannotPrice, match=rf"table\.json: .*{told}|table\.json: {told}"):
        read_table(path)


@pytest.mark.parametrize(
    ("model", "base_url", "found"),
    [
        pytest.param(
            "claude-opus-5", "https://api.anthropic.com", "claude-opus-5", id="its own name"
        ),
        pytest.param(
            "gemini/gemini-2.5-pro", "https://x", "gemini/gemini-2.5-pro", id="the table's name"
        ),
        pytest.param(
            "gemini-2.5-pro",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "gemini/gemini-2.5-pro",
            id="the provider's name",
        ),
        pytest.param("glm-5.2", "https://api.z.ai/api", "zai/glm-5.2", id="a dotted host"),
        pytest.param(
            "accounts/fireworks/models/llama-v3p1-8b-instruct",
            "https://api.fireworks.ai/inference",
            "fireworks_ai/accounts/fireworks/models/llama-v3p1-8b-instruct",
            id="a path",
        ),
    ],
)
def test_a_model_is_found_by_its_name_and_the_address(
    model: str, base_url: str, found: str
) -> None:
    assert bundled().find(model, base_url).model == found


@pytest.mark.parametrize(
    ("model", "base_url", "told"),
    [
        pytest.param(
            "claude-opus-9", "https://api.anthropic.com", "nearest: claude-opus-5", id="unknown"
        ),
        pytest.param("zzz", "https://x", "has no model 'zzz'$", id="nothing near"),
        pytest.param(
            "openai/gpt-oss-20b", "http://[::1", "only as groq/", id="an address that is none"
        ),
        pytest.param(
            "openai/gpt-oss-20b",
            "https://other.example",
            "only as groq/openai/gpt-oss-20b",
            id="another host's price is no price",
        ),
    ],
)
def test_a_model_without_a_price_is_told_with_the_nearest(
    model: str, base_url: str, told: str
) -> None:
    with pytest.raises(CannotPrice, match=told):
        bundled().find(model, base_url)
