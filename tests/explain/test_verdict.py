"""Ladders and notes; that verdicts are the sidecar's is tested beside a running one."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.explain.setting import setting_of
from overspill.routing.decide import Tier
from tests.explain.questions import BULK, COUNT, HIGH, OPUS, judged, policy_file, question

SMOOTH = {"budget__pacing": "Smooth"}
SHORT_WINDOW = {"small__contextWindow": 256}
LONG = {"max_tokens": 2_000_000}


@pytest.mark.parametrize(
    ("headers", "more", "changes", "exhausted", "ladder"),
    [
        pytest.param((), {}, {}, False, ["small", "host", "opus", "gpt"], id="what fits"),
        pytest.param((HIGH,), {}, {}, False, ["opus", "gpt", "small", "host"], id="the frontier's"),
        pytest.param((BULK,), {}, {}, False, ["small"], id="not to spill"),
        pytest.param((), LONG, {}, False, ["opus", "gpt"], id="too long"),
        pytest.param((HIGH,), {}, {}, True, ["small"], id="spent"),
        pytest.param((), LONG, {}, True, [], id="spent and too long"),
        pytest.param((), {}, {"mode": "Observe"}, False, ["opus", "gpt"], id="observed"),
    ],
)
def test_the_ladder_is_whom_the_sidecar_would_ask(
    headers: tuple[str, ...],
    more: dict[str, Any],
    changes: dict[str, Any],
    exhausted: bool,
    ladder: list[str],
) -> None:
    setting = setting_of(policy_file(**changes), exhausted=exhausted)
    verdict = judged(question(**more) if not headers else _with(headers, more), setting)
    assert [one.name for one in verdict.ladder] == ladder


def _with(headers: tuple[str, ...], more: dict[str, Any]) -> Any:  # noqa: ANN401 - a Question
    return question("/v1/chat/completions", *headers, **more)


@pytest.mark.parametrize(
    ("headers", "more", "changes", "exhausted", "said"),
    [
        pytest.param((), {}, {}, False, [], id="nothing to say"),
        pytest.param((HIGH,), {}, SMOOTH, False, ["BudgetPaced"], id="a budget that must last"),
        pytest.param((), {}, SMOOTH, False, [], id="pacing is for the frontier's"),
        pytest.param(
            (), {}, {"mode": "Observe"}, False, ["Enforce would ask small"], id="observed"
        ),
        pytest.param((), {}, {}, True, ["The budget is spent"], id="spent"),
        pytest.param(
            (HIGH,), {}, {"budget__limit": "0.01"}, False, ["raise the limit"], id="too dear"
        ),
        pytest.param(
            (), LONG, {"frontier": [OPUS], "budget": None}, False, ["expect a 400"], id="too long"
        ),
    ],
)
def test_what_else_matters_is_said(
    headers: tuple[str, ...],
    more: dict[str, Any],
    changes: dict[str, Any],
    exhausted: bool,
    said: list[str],
) -> None:
    setting = setting_of(policy_file(**changes), exhausted=exhausted)
    notes = judged(_with(headers, more), setting).notes
    assert len(notes) == len(said)
    assert all(words in note for words, note in zip(said, notes, strict=True))


def test_anthropics_clients_are_told_its_own_status() -> None:
    setting = setting_of(policy_file(**SHORT_WINDOW), small_full=True)
    bulk = question("/v1/messages", BULK)
    assert judged(bulk, setting).status == 529


def test_no_small_model_counts_even_where_it_is_named() -> None:
    verdict = judged(question(COUNT, model="glm-5.1-air"))
    assert [one.name for one in verdict.ladder] == ["opus", "gpt"]


@pytest.mark.parametrize(
    ("complexity", "note"),
    [
        pytest.param({"frontierShare": "0.2"}, "the 20% of the traffic", id="the shipped score"),
        pytest.param({"qualityFloor": "0.95"}, "status.quality", id="a floor of quality"),
        pytest.param(
            {"frontierShare": "0.2", "score": {"configMapName": "mine"}},
            "its score is in ConfigMap mine; give it by --score",
            id="one's own",
        ),
    ],
)
def test_what_the_score_expects_is_said_and_left_to_the_traffic(
    complexity: dict[str, object], note: str
) -> None:
    routing = {"complexity": complexity, "trials": {}}
    verdict = judged(question(), setting_of(policy_file(routing=routing)))
    assert verdict.tier is Tier.SMALL
    assert any(note in one for one in verdict.notes)


def test_no_score_is_told_of_where_a_rule_decides() -> None:
    rule = {"name": "all", "when": {"model": "gpt-4o"}, "tier": "Small"}
    routing = {"complexity": {"frontierShare": "0.2"}, "rules": [rule]}
    verdict = judged(question(model="gpt-4o"), setting_of(policy_file(routing=routing)))
    assert not any("complexity" in one for one in verdict.notes)


def test_a_conversation_that_is_too_long_is_explained_as_it_is_sent() -> None:
    setting = setting_of(policy_file(routing={"context": {"maxInputTokens": 300}}))
    turn = [{"role": "user", "content": "word " * 300}, {"role": "assistant", "content": "well"}]
    asked = question(messages=[*turn, *turn, {"role": "user", "content": "and now?"}])
    verdict = judged(asked.under(setting.runtime), setting)
    assert any("2 oldest turns" in one for one in verdict.notes)


def test_what_is_looked_at_before_the_client_gets_it_is_said() -> None:
    setting = setting_of(policy_file(routing={"cascade": {"verify": ["Refusal", "JSONSchema"]}}))
    notes = judged(question(), setting).notes
    assert any("what fails JSONSchema, Refusal is answered by the frontier" in one for one in notes)
