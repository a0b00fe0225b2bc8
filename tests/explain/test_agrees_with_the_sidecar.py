"""Each verdict beside what a running sidecar does with the same bytes, under the same policy."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from overspill.api.sidecar_config import BudgetConfig, SidecarConfig
from overspill.controller.keys import PolicyKey
from overspill.controller.publication import sidecar_config
from overspill.explain.question import read_headers, read_question
from overspill.explain.setting import setting_of
from overspill.sidecar.access_log import access_log
from overspill.sidecar.lender import LocalLender
from tests.explain.questions import (
    BULK,
    CHAT,
    COMPLETIONS,
    COUNT,
    EMBEDDINGS,
    GPT,
    HIGH,
    HOST,
    MESSAGES,
    OPUS,
    RESPONSES,
    body,
    judged,
    policy_file,
    told,
)
from tests.sidecar.stage import Stage, staged

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.api.policy import RoutingPolicySpec
    from overspill.api.policy_file import PolicyFile

pytestmark = pytest.mark.asyncio
NOON_S = 1_780_000_000.0
LONG = [{"role": "user", "content": "word " * 40_000}]
PREFILLED = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "I say"}]


@dataclass(frozen=True)
class Case:
    """One request, and how things stand."""

    path: str = CHAT
    headers: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    exhausted: bool = False
    small_full: bool = False


ANTHROPIC_ONLY = {"frontier": [OPUS], "hosted": []}
OPENAI_ONLY = {"frontier": [GPT], "hosted": []}
REJECT = {"budget__onExhausted": "Reject"}
CASES = [
    pytest.param(Case(), (200, "small", "SmallFits"), id="what fits"),
    pytest.param(Case(MESSAGES), (200, "small", "SmallFits"), id="Messages that fit"),
    pytest.param(Case(RESPONSES), (200, "small", "SmallFits"), id="Responses that fit"),
    pytest.param(
        Case(headers=(HIGH,)), (200, "frontier", "RuleMatched"), id="a rule for the frontier"
    ),
    pytest.param(Case(headers=(BULK,)), (200, "small", "RuleMatched"), id="a rule for the small"),
    pytest.param(Case(more={"messages": LONG}), (200, "frontier", "ContextTooLong"), id="too long"),
    pytest.param(
        Case(headers=(BULK,), more={"messages": LONG}),
        (200, "small", "RuleMatched"),
        id="too long, and not to leave one's machines",
    ),
    pytest.param(Case(small_full=True), (200, "hosted", "SlotsFull"), id="what fits, and no room"),
    pytest.param(
        Case(small_full=True, changes={"hosted": []}),
        (200, "frontier", "SlotsFull"),
        id="no room and no host",
    ),
    pytest.param(
        Case(headers=(BULK,), small_full=True),
        (503, "none", "SlotsFull"),
        id="no room, not to spill",
    ),
    pytest.param(
        Case(more={"n": 2}, headers=(HIGH,)),
        (200, "frontier", "RuleMatched"),
        id="a field that the first of the frontier has no word for",
    ),
    pytest.param(
        Case(more={"n": 2}, headers=(HIGH,), changes=ANTHROPIC_ONLY),
        (200, "small", "FrontierFailed"),
        id="a field that no frontier has a word for",
    ),
    pytest.param(
        Case(more={"n": 2}, headers=(HIGH,), changes=ANTHROPIC_ONLY, small_full=True),
        (400, "none", "FrontierFailed"),
        id="a field that no frontier has a word for, and no room",
    ),
    pytest.param(
        Case(more={"n": 2}, changes=ANTHROPIC_ONLY, small_full=True),
        (503, "none", "SlotsFull"),
        id="a field for the small tier, which has no room",
    ),
    pytest.param(
        Case(MESSAGES, more={"messages": PREFILLED}),
        (200, "frontier", "NotTranslatable"),
        id="what only Anthropic can do",
    ),
    pytest.param(
        Case(MESSAGES, more={"messages": PREFILLED}, changes=OPENAI_ONLY),
        (400, "none", "NotTranslatable"),
        id="what only Anthropic can do, and nobody speaks its wire",
    ),
    pytest.param(
        Case(RESPONSES, more={"previous_response_id": "resp_1"}, changes=OPENAI_ONLY),
        (400, "none", "SmallFits"),
        id="what is wrong in itself",
    ),
    pytest.param(Case(COMPLETIONS), (200, "small", "SmallFits"), id="an older completion"),
    pytest.param(
        Case(COUNT), (200, "frontier", "ModelPinned"), id="a count, where Anthropic is asked"
    ),
    pytest.param(
        Case(COUNT, changes=OPENAI_ONLY), (200, "none", "Estimated"), id="a count, estimated"
    ),
    pytest.param(
        Case(EMBEDDINGS, more={"model": "glm-5.1-air"}, small_full=True),
        (503, "none", "SlotsFull"),
        id="embeddings of the small model, and no room",
    ),
    pytest.param(
        Case(EMBEDDINGS, exhausted=True), (429, "none", "BudgetExhausted"), id="embeddings, spent"
    ),
    pytest.param(
        Case(EMBEDDINGS, changes=ANTHROPIC_ONLY),
        (400, "none", "ModelPinned"),
        id="embeddings that nobody makes",
    ),
    pytest.param(
        Case(headers=(HIGH,), exhausted=True),
        (200, "small", "BudgetExhausted"),
        id="spent, and the small tier may answer",
    ),
    pytest.param(
        Case(headers=(HIGH,), exhausted=True, changes=REJECT),
        (429, "none", "BudgetExhausted"),
        id="spent, and it is refused",
    ),
    pytest.param(
        Case(more={"messages": LONG}, exhausted=True),
        (429, "none", "BudgetExhausted"),
        id="spent, and too long",
    ),
    pytest.param(
        Case(exhausted=True, small_full=True), (503, "none", "SlotsFull"), id="spent, and no room"
    ),
    pytest.param(
        Case(changes={"mode": "Observe"}), (200, "frontier", "SmallFits"), id="only observed"
    ),
    pytest.param(
        Case(exhausted=True, headers=(HIGH,), changes={"mode": "Observe", **REJECT}),
        (200, "frontier", "BudgetExhausted"),
        id="only observed, and spent",
    ),
    pytest.param(
        Case(headers=(HIGH,), changes={"budget__limit": "0.001"}),
        (200, "small", "BudgetExhausted"),
        id="dearer than the budget",
    ),
    pytest.param(
        Case(headers=(HIGH,), changes={"budget__limit": "0.001", **REJECT}),
        (429, "none", "RuleMatched"),
        id="dearer than the budget, and it is refused",
    ),
]


@pytest.mark.parametrize(("case", "expected"), CASES)
async def test_a_verdict_is_what_the_sidecar_does(
    tmp_path: Path, case: Case, expected: tuple[int, str, str]
) -> None:
    file = policy_file(**case.changes)
    sent = body(case.path, **case.more)
    asked = read_question(sent, "request.json", case.path, read_headers(case.headers))
    setting = setting_of(file, exhausted=case.exhausted, small_full=case.small_full)
    verdict = judged(asked, setting)
    done, provider = await _done(tmp_path, file, case, sent)
    assert (told(verdict), _provider(verdict.answers)) == (done, provider)
    assert done == expected


def _provider(answers: Any) -> str | None:  # noqa: ANN401 - an Alternative, or none
    return answers.name if answers is not None and answers.tier != "small" else None


async def _done(
    folder: Path, file: PolicyFile, case: Case, sent: bytes
) -> tuple[tuple[int, str, str], str | None]:
    """Send it to a sidecar under this policy; return what came, and who gave it."""
    async with staged(folder) as stage:
        (folder / "credentials" / "host").write_text("sk-provider")
        lines = io.StringIO()
        stage.proxy.access_log = access_log(lines)
        _govern(stage, file, exhausted=case.exhausted)
        if case.small_full:
            while stage.proxy.room.take((), None, 0):
                pass
        headers = dict(line.split(": ") for line in case.headers)
        async with httpx.AsyncClient(timeout=20) as client:
            url = stage.url.removesuffix("/v1") + case.path
            answer = await client.post(url, content=sent, headers=headers)
        if stage.proxy.money.purse is not None:
            await stage.proxy.money.purse.close()
        said = json.loads(lines.getvalue())
        got = answer.headers
        reason = got["x-overspill-reason"].partition(";")[0]
        who = said["provider"] if got["x-overspill-tier"] not in ("none", "small") else None
        return (answer.status_code, got["x-overspill-tier"], reason), who


def _govern(stage: Stage, file: PolicyFile, *, exhausted: bool) -> None:
    """Let the stage's sidecar obey this policy, with doubles where its providers are."""
    spec = file.spec
    config = sidecar_config(
        PolicyKey(file.namespace, file.name),
        1,
        spec,
        endpoints=[double.address for double in stage.small],
        running_sidecars=1,
        budget=None,
    )
    on_doubles = {
        "hosted": [_on(stage, one) for one in config.to_json()["hosted"]],
        "frontier": [_on(stage, one) for one in config.to_json()["frontier"]],
    }
    config = SidecarConfig.model_validate({**config.to_json(), **on_doubles})
    stage.proxy.money.local_lender = _lender(spec)
    if spec.budget is not None:
        budget = BudgetConfig(open=not exhausted, on_exhausted=spec.budget.on_exhausted)
        config = config.model_copy(update={"budget": budget})
    stage.proxy.configure(config, stage.folder)


def _lender(spec: RoutingPolicySpec) -> LocalLender | None:
    return LocalLender(spec.budget, lambda: NOON_S) if spec.budget else None


def _on(stage: Stage, provider: dict[str, Any]) -> dict[str, Any]:
    double = stage.opus if provider["api"] == OPUS["api"] else stage.gpt
    assert provider["name"] in (OPUS["name"], GPT["name"], HOST["name"])
    return {**provider, "baseURL": f"http://{double.address}"}
