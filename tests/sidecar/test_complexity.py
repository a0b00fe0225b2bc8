"""With `routing.complexity` the requests that gain most go to the frontier."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from overspill.routing.score import InvalidScore
from overspill.sidecar.runtime import compile_runtime
from overspill.telemetry import names
from tests.clock import play
from tests.sidecar.faulty import Got, client, post
from tests.sidecar.stage import Stage, staged

if TYPE_CHECKING:
    from pathlib import Path

ASKED = [f"What is {n} plus {n}?" for n in range(10)] + [
    f"Prove that for every prime p > {n} the group of units of Z/pZ is cyclic. Answer A, B, C or D."
    for n in range(10)
]


async def ask(stage: Stage, words: str, path: str = "/v1/chat/completions", **more: Any) -> Got:  # noqa: ANN401
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": words}]}
    async with client(stage.port) as app:
        await app.say(post(path, json.dumps(body | more).encode()))
        return await app.answer()


def route(got: Got) -> tuple[str, str]:
    return got.headers["x-overspill-tier"], got.headers["x-overspill-reason"]


def test_those_with_the_most_to_gain_go_to_the_frontier(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage:
            stage.configure(complexity={"frontierShare": 0.3})
            score = stage.proxy.runtime.score if stage.proxy.runtime else None
            assert score
            for _ in range(2):
                routes = {words: route(await ask(stage, words)) for words in ASKED}
            up = [words for words, found in routes.items() if found == ("frontier", "TooComplex")]
            assert 4 <= len(up) <= 8
            low = [words for words, found in routes.items() if found == ("small", "SmallFits")]
            assert len(up) + len(low) == len(ASKED)
            assert min(map(score.gain, up)) >= max(map(score.gain, low))
            assert stage.metric(names.FRONTIER_ASKED_USD, priority="normal") > 0

    play(story())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"budget": {"open": False}}, id="the budget is spent"),
        pytest.param({"complexity": None}, id="nobody asks for it"),
        pytest.param({"complexity": {"frontierShare": 0.0}}, id="for a share of nothing"),
    ],
)
def test_otherwise_the_small_tier_answers(tmp_path: Path, changes: dict[str, Any]) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage:
            stage.configure(**{"complexity": {"frontierShare": 1.0}} | changes)
            assert route(await ask(stage, ASKED[-1])) == ("small", "SmallFits")

    play(story())


def test_a_conversation_that_went_up_stays_there_while_tools_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage:
            turns: list[dict[str, Any]] = [{"role": "user", "content": ASKED[0]}]
            stage.configure(complexity={"frontierShare": 1.0})
            assert route(await ask(stage, "", messages=turns))[0] == "frontier"
            call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            turns += [
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "1", "content": "42"},
            ]
            stage.configure(complexity={"frontierShare": 0.001})
            await ask(stage, ASKED[-1])  # it has more to gain
            assert route(await ask(stage, ASKED[0]))[0] == "small"
            assert route(await ask(stage, "", messages=turns)) == ("frontier", "TooComplex")

    play(story())


def test_a_rule_comes_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage:
            rule = {"name": "bulk", "when": {"model": "m"}, "tier": "Small"}
            stage.configure(complexity={"frontierShare": 1.0}, rules=[rule])
            assert route(await ask(stage, ASKED[-1]))[0] == "small"

    play(story())


def test_where_the_frontier_fails_the_small_tier_answers_after_all(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage:
            gone = [{**one, "baseURL": "http://127.0.0.1:9"} for one in stage.base["frontier"]]
            stage.configure(complexity={"frontierShare": 1.0}, frontier=gone)
            assert route(await ask(stage, ASKED[-1])) == ("small", "FrontierFailed")

    play(story())


def test_what_is_asked_in_any_protocol_is_judged(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage:
            stage.configure(complexity={"frontierShare": 1.0})
            messages = await ask(stage, ASKED[-1], "/v1/messages")
            responses = await ask(stage, "", "/v1/responses", input=ASKED[-1], messages=None)
            assert route(messages)[1] == "TooComplex"
            assert responses.status != 200 or route(responses)[1] == "TooComplex"

    play(story())


def test_the_score_is_loaded_only_where_it_is_asked_for(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage:
            runtime = stage.proxy.runtime
            assert runtime
            assert compile_runtime(runtime.config, tmp_path).score is None

    play(story())


def test_a_score_of_ones_own_is_used_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as stage:
            stage.configure(complexity={"frontierShare": 0.3})
            shipped = stage.proxy.runtime.score if stage.proxy.runtime else None
            assert shipped
            mine = replace(shipped, base=0.7).dump()
            stage.configure(complexity={"frontierShare": 0.3, "score": mine})
            own = stage.proxy.runtime.score if stage.proxy.runtime else None
            assert own
            assert own.base == 0.7
            stage.configure(generation=9)
            assert stage.proxy.runtime
            assert stage.proxy.runtime.score is own  # it is not loaded anew
            with pytest.raises(InvalidScore, match="sha256"):
                stage.configure(
                    complexity={"frontierShare": 0.3, "score": mine.replace("0.7", "0.8")}
                )
            assert stage.proxy.runtime.score is own

    play(story())
