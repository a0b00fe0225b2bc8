"""What each rung would send, hold and cost."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.explain.alternative import Alternative, alternatives
from overspill.explain.setting import setting_of
from overspill.wire.bound import TEMPLATE_TOKENS
from tests.explain.questions import (
    COUNT,
    EMBEDDINGS,
    GPT,
    HOST,
    MESSAGES,
    OPUS,
    policy_file,
    question,
)

LONG_TURN = [{"role": "user", "content": "word " * 40_000}]


def rungs(
    path: str = "/v1/chat/completions",
    *,
    output_tokens: int | None = None,
    changes: dict[str, object] | None = None,
    headers: tuple[str, ...] = (),
    **more: object,
) -> dict[str, Alternative]:
    setting = setting_of(policy_file(**changes or {}))
    asked = question(path, *headers, **more)
    return {one.name: one for one in alternatives(asked, setting, output_tokens)}


def test_everybody_is_there_in_the_order_of_the_ladder() -> None:
    found = rungs()
    assert [(one.tier, one.label, one.model) for one in found.values()] == [
        ("small", "small", "glm-5.1-air"),
        ("hosted", "host (hosted)", "glm-hosted"),
        ("frontier", "opus (frontier)", "claude-opus-4-8"),
        ("frontier", "gpt (frontier)", "gpt-frontier"),
    ]


@pytest.mark.parametrize(
    ("output_tokens", "max_tokens", "assumed"),
    [
        pytest.param(None, None, 256, id="nothing said: a usual answer"),
        pytest.param(None, 400, 400, id="the request's limit"),
        pytest.param(50, 400, 50, id="what is asked"),
        pytest.param(900, 400, 400, id="no more than the limit"),
        pytest.param(900, None, 900, id="what is asked, without a limit"),
    ],
)
def test_costs_are_told_for_an_output(
    output_tokens: int | None, max_tokens: int | None, assumed: int
) -> None:
    limit: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
    found = rungs(output_tokens=output_tokens, **limit)
    assert {one.output_tokens for one in found.values()} == {assumed}
    inputs = found["opus"].input_tokens
    assert found["opus"].expected_usd_micros == inputs * 5 + assumed * 25
    assert found["host"].expected_usd_micros == -(-(inputs + assumed * 4) // 10)  # rounded up


def test_the_small_tier_costs_its_share_of_the_rent() -> None:
    small = rungs(output_tokens=240)["small"]
    work_tokens = 240 + small.input_tokens / 10
    assert small.expected_usd_micros == pytest.approx(work_tokens / 2500 * 2.49 / 3600 * 1e6)
    assert small.worst_usd_micros is None


def test_the_worst_case_is_what_the_budget_reserves() -> None:
    opus = rungs(max_tokens=100)["opus"]
    assert opus.worded.call is not None
    sent = len(opus.worded.call.body) + TEMPLATE_TOKENS
    assert opus.worst_usd_micros == -(-(sent * 625 + 100 * 2500) // 100)  # written to the cache


@pytest.mark.parametrize(
    ("changes", "opus", "gpt"),
    [
        pytest.param({}, 4096, 4096, id="a budget: every provider is sent one"),
        pytest.param({"budget": None}, 4096, None, id="no budget: only Anthropic's wire needs one"),
        pytest.param({"mode": "Observe"}, 4096, None, id="observed: nothing is changed"),
    ],
)
def test_a_limit_that_the_client_did_not_give(
    changes: dict[str, object], opus: int, gpt: int | None
) -> None:
    found = rungs(changes=changes)
    assert (found["opus"].limit_tokens, found["gpt"].limit_tokens) == (opus, gpt)
    assert found["small"].limit_tokens is None
    assert (found["gpt"].worst_usd_micros is None) == (gpt is None)
    assert found["gpt"].expected_usd_micros is not None


def test_a_field_without_a_word_is_named_and_has_no_cost() -> None:
    opus = rungs(n=2)["opus"]
    assert opus.worded.call is None
    assert opus.worded.field == "n"
    assert not opus.worded.refused
    assert (opus.expected_usd_micros, opus.worst_usd_micros) == (None, None)


@pytest.mark.parametrize(
    ("path", "headers", "more", "name", "lossy"),
    [
        pytest.param("/v1/chat/completions", (), {"seed": 7}, "opus", ("seed",), id="a seed"),
        pytest.param("/v1/chat/completions", (), {"seed": 7}, "gpt", (), id="as it is"),
        pytest.param(
            MESSAGES, ("anthropic-beta: x-1",), {}, "opus", ("anthropic-beta",), id="a header"
        ),
    ],
)
def test_what_is_left_out_is_said(
    path: str, headers: tuple[str, ...], more: dict[str, Any], name: str, lossy: tuple[str, ...]
) -> None:
    assert rungs(path, headers=headers, **more)[name].lossy == lossy


def test_contexts_are_the_policys_and_the_price_tables() -> None:
    found = rungs(messages=LONG_TURN)
    assert [(one.name, one.context_window, one.holds_it) for one in found.values()] == [
        ("small", 32768, False),
        ("host", None, None),
        ("opus", 1_000_000, True),
        ("gpt", None, None),
    ]


def test_several_answers_are_bounded_together() -> None:
    for output_tokens in (None, 1000):
        gpt = rungs(max_tokens=100, n=3, output_tokens=output_tokens)["gpt"]
        assert (gpt.limit_tokens, gpt.output_tokens) == (100, 300)


def test_embeddings_have_no_output_and_keep_the_model_asked_for() -> None:
    found = rungs(EMBEDDINGS, output_tokens=500)
    assert found["gpt"].model == "text-embedding"
    assert found["gpt"].output_tokens == 0
    assert found["gpt"].worst_usd_micros is not None
    assert found["opus"].worded.field == "input"


def test_counting_is_free() -> None:
    opus = rungs(COUNT)["opus"]
    assert (opus.expected_usd_micros, opus.worst_usd_micros) == (0, 0)


def test_long_requests_cost_long_prices() -> None:
    long = {"aboveInputTokens": 1000, "inputPerMTok": "10", "outputPerMTok": "50"}
    dear = {**OPUS, "price": {**OPUS["price"], "longContext": long}}
    found = rungs(
        changes={"frontier": [dear, GPT], "hosted": [HOST]}, messages=LONG_TURN, max_tokens=10
    )
    assert found["opus"].expected_usd_micros == found["opus"].input_tokens * 10 + 10 * 50
