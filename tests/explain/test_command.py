"""`overspill explain`, as it is typed."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
import yaml

from overspill.cli import main
from tests.api.policies import policy
from tests.explain.questions import CHAT, EMBEDDINGS, HOST, MESSAGES, RESPONSES, RULES, body

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    spec = policy(hosted=[HOST], routing__rules=RULES)
    whole = {"metadata": {"name": "contracts", "namespace": "legal"}, "spec": spec}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(whole))
    (tmp_path / "request.json").write_bytes(body(CHAT, max_tokens=400))
    return tmp_path


def explain(folder: Path, *more: str, request: str = "") -> int:
    asked = request or str(folder / "request.json")
    return main(["explain", asked, "--policy", str(folder / "policy.yaml"), *more])


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("more", "decision", "ladder"),
    [
        pytest.param(
            [],
            "contracts → small: SmallFits; no rule; may overflow",
            "ladder: small → host (hosted) → opus (frontier)",
            id="what fits",
        ),
        pytest.param(
            ["--header", "x-priority: high"],
            "contracts → opus (frontier): RuleMatched; rule partner",
            "ladder: opus (frontier); if none of these answers: small → host (hosted)",
            id="a rule",
        ),
        pytest.param(
            ["--small-full"],
            "contracts → host (hosted): SlotsFull (first SmallFits); no rule; may overflow",
            "ladder: small, full → host (hosted) → opus (frontier)",
            id="no room",
        ),
        pytest.param(
            ["--small-full", "--header", "x-priority: bulk"],
            "contracts → refused with 503, no room, and it may go nowhere else: SlotsFull "
            "(first RuleMatched); rule bulk; may not overflow; priority low",
            "ladder: small, full",
            id="no room, not to spill",
        ),
        pytest.param(
            ["--exhausted", "--header", "x-priority: high"],
            "contracts → small: BudgetExhausted; rule partner; may not overflow",
            "ladder: small",
            id="spent",
        ),
    ],
)
def test_the_decision_and_the_ladder_are_said_first(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], decision: str, ladder: str
) -> None:
    assert explain(folder, *more) == 0
    assert lines(capsys)[:2] == [decision, ladder]


def test_alternatives_are_told_side_by_side(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(folder, "--output-tokens", "200") == 0
    rows = {words[0]: words for line in lines(capsys) if (words := line.split())}
    assert rows["small"][1:5] == ["glm-5.1-air", "400", "0.000056", "–"]
    assert rows["host"][2:4] == ["glm-hosted", "400"]
    assert rows["opus"][2:5] == ["claude-opus-4-8", "400", "0.005130"]


def test_an_obstacle_is_named_in_the_table_and_below_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "request.json").write_bytes(body(CHAT, n=2))
    assert explain(folder) == 0
    said = lines(capsys)
    assert any(line.rstrip().endswith("no: n") for line in said)
    assert any(line.startswith("opus (frontier): n: ") for line in said)


def test_what_is_in_everybodys_way_is_said_once_and_nothing_costs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "request.json").write_bytes(body(RESPONSES, background=True))
    assert explain(folder, "--path", RESPONSES) == 0
    said = lines(capsys)
    assert said[0].startswith("contracts → refused with 400, the request is at fault")
    assert said[-1].startswith("small, host (hosted), opus (frontier): background: ")


def test_less_than_a_micro_dollar_is_not_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "request.json").write_bytes(body(EMBEDDINGS, model="glm-5.1-air"))
    assert explain(folder, "--path", EMBEDDINGS) == 0
    assert "<0.000001" in next(line for line in lines(capsys) if line.startswith(" small"))


def test_json_has_it_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(folder, "--json", "--header", "x-priority: bulk") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["decision"] == {
        "tier": "small",
        "provider": None,
        "reason": "RuleMatched",
        "rule": "bulk",
        "status": 200,
        "may_overflow": False,
        "priority": "low",
        "policy_tier": "small",
        "policy_reason": "RuleMatched",
    }
    assert told["ladder"] == [{"tier": "small", "provider": None}]
    assert [one["provider"] for one in told["alternatives"]] == [None, "host", "opus"]
    assert told["alternatives"][2]["worst_usd"] > told["alternatives"][2]["expected_usd"]
    assert (told["path"], told["max_tokens"], told["notes"]) == (CHAT, 400, [])


def test_a_request_is_read_from_standard_input(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body(MESSAGES))))
    assert explain(folder, "--path", MESSAGES, request="-") == 0
    assert lines(capsys)[0].startswith("contracts → small: SmallFits")


@pytest.mark.parametrize(
    ("request_text", "policy_text", "more", "said"),
    [
        pytest.param("{", None, [], "request.json: the body is not JSON", id="bad JSON"),
        pytest.param(None, "spec: {mode: Never}", [], "spec.mode: ", id="a bad policy"),
        pytest.param(None, "a: [", [], "is not one YAML document", id="no policy"),
        pytest.param(None, None, ["--header", "x"], "--header 'x': write NAME: VALUE", id="header"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_remedy(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    request_text: str | None,
    policy_text: str | None,
    more: list[str],
    said: str,
) -> None:
    for name, text in (("request.json", request_text), ("policy.yaml", policy_text)):
        if text is not None:
            (folder / name).write_text(text)
    assert explain(folder, *more) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("overspill explain: ")
    assert said in told.err


def test_a_missing_file_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(folder, request=str(folder / "none.json")) == 2
    assert "none.json" in capsys.readouterr().err


def test_a_policy_without_a_budget_has_none_to_spend(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy(budget=None)))
    assert explain(folder, "--exhausted") == 2
    assert "add spec.budget, or leave the option out" in capsys.readouterr().err


def test_a_score_is_for_a_policy_that_names_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "score.json").write_text("{}")
    assert explain(folder, "--score", str(folder / "score.json")) == 2
    assert "add spec.routing.complexity.score, or leave" in capsys.readouterr().err


def test_a_score_that_is_no_text_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "score.json").write_bytes(b"\xff\xfe")
    assert explain(folder, "--score", str(folder / "score.json")) == 2
    assert "score.json: is no text; give what overspill evaluate" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fields", [{"max_tokens": 10**400}, {"max_tokens": 4, "n": 10**400}], ids=["limit", "answers"]
)
def test_more_output_than_can_be_reckoned_with_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, int]
) -> None:
    (folder / "request.json").write_bytes(body(CHAT, **fields))
    assert explain(folder) == 2
    assert "lower its limit, or n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(["--output-tokens", "9" * 400], "no number of tokens", id="far too many"),
        pytest.param(["--output-tokens", "many"], "'many' is no number of tokens", id="a word"),
        pytest.param(["--output-tokens", "-5"], "no number of tokens", id="less than nothing"),
        pytest.param(["--path", "/v1/chat"], "/v1/chat/completions", id="an unknown path"),
    ],
)
def test_an_option_that_cannot_be_read_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        explain(folder, *more)
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err
