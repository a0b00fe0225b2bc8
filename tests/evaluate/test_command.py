"""`overspill evaluate`, as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from overspill.cli import main
from overspill.routing.score import Score

FILE = Path(__file__).parents[1] / "data" / "routing" / "mmlu_excerpt.jsonl"
KEYS = {
    "n",
    "small_quality",
    "frontier_quality",
    "apgr",
    "cpt50",
    "cpt80",
    "floor",
    "achieved_quality",
    "frontier_share",
    "cost_saving",
    "decision_us",
}


def evaluate(*more: str, data: Path = FILE) -> int:
    return main(["evaluate", "--data", str(data), *more])


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "more",
    [
        pytest.param([], id="cross-validated"),
        pytest.param(["--stream", "--sample-rate", "0.6"], id="as live traffic"),
        pytest.param(["--no-prior"], id="from nothing"),
    ],
)
def test_all_figures_are_said(capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    assert evaluate("--json", *more) == 0
    found = result(capsys)
    assert set(found) >= KEYS
    assert found["n"] == 120
    assert 0.0 <= found["frontier_share"] <= 1.0


def test_a_prior_that_saw_the_prompts_is_left_out_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate("--json") == 0
    seen = result(capsys)
    assert seen["prior"].startswith("left out: it was trained on 100%")
    assert evaluate("--json", "--no-prior") == 0
    assert result(capsys)["apgr"] == seen["apgr"]


def test_a_prior_that_did_not_see_them_is_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    lines = [
        {"prompt": f"tell {who} about our {what}", "small_correct": 0, "frontier_correct": 1}
        for who in ("alice", "bob", "carol")
        for what in ("invoices", "plumbing", "holidays")
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert evaluate("--json", data=path) == 0
    assert result(capsys)["prior"] == "shipped"


def test_live_traffic_says_what_is_known_of_the_promise(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate("--json", "--stream", "--floor", "0.8") == 0
    found = result(capsys)
    assert found["estimated_low"] <= found["estimated_quality"] <= found["estimated_high"]
    assert 0 <= found["paid_trials"] <= found["frontier_share"] * found["n"]
    assert found["trial_rate"] <= 0.5
    assert 0 < found["share_by_lot"] <= 1


def test_live_traffic_is_drawn(tmp_path: Path) -> None:
    assert evaluate("--json", "--stream", "--plot", str(tmp_path / "out.png")) == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_only_live_traffic_can_be_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--plot", "out.png") == 2
    assert "--plot draws what --stream plays" in capsys.readouterr().err


def test_what_was_learned_is_written_for_a_policy(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert evaluate("--json", "--write", str(tmp_path / "score.json")) == 0
    score = Score.load((tmp_path / "score.json").read_text())
    assert (score.examples, score.trained_on) == (120, (FILE.name,))
    assert score.gain("2 + 2 = ?") != score.gain("Prove it.")
    assert result(capsys)["n"] == 120


def test_a_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate() == 0
    said = capsys.readouterr().out
    assert all(key in said for key in KEYS)


def test_a_file_that_cannot_be_used_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert evaluate(data=tmp_path / "none.jsonl") == 2
    assert "none.jsonl" in capsys.readouterr().err
    assert evaluate("--train", str(FILE)) == 2
    assert f"--train {FILE}: each example" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--plot", "--write"])
def test_what_cannot_be_written_is_said_before_the_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    (tmp_path / "broken.jsonl").write_text("no example")
    assert evaluate("--stream", option, str(tmp_path), data=tmp_path / "broken.jsonl") == 2
    assert f"{option} {tmp_path}: is a folder" in capsys.readouterr().err


def test_names_are_told_as_they_are(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = tmp_path / "[b]$x_{$.jsonl"
    data.write_bytes(FILE.read_bytes())
    assert evaluate("--stream", "--plot", str(tmp_path / "out.png"), data=data) == 0
    assert "[b]$x_{$.jsonl" in capsys.readouterr().out


def test_no_minus_stands_before_a_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--price-ratio", "1") == 0
    assert "-0.000" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["--floor", "2"], ["--price-ratio", "x"], ["--sample-rate", "-1"], ["--seed", "-1"]],
)
def test_a_number_out_of_bounds_is_refused_with_the_remedy(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit):
        evaluate(*words)
    assert "give " in capsys.readouterr().err


def test_a_decision_loads_no_numpy() -> None:
    code = (
        "import sys; from overspill.routing.score import Score; "
        "from overspill.routing.prompt import text_of; sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
