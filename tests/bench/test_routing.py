"""What the routing benchmark says about its figures."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.routing import judge, main, rows

if TYPE_CHECKING:
    import pytest

EXCERPT = Path(__file__).parents[1] / "data" / "routing" / "mmlu_excerpt.jsonl"


def one(**changes: object) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "set": "mine",
        "n": 10,
        "apgr_seeds": [0.7, 0.6],
        "apgr_without_prior": [0.6],
        "plain_apgr": 0.6,
        "plain_apgr_same_folds": [],
        "cpt50": 0.3,
        "cpt80": 0.6,
        "achieved_quality": 0.95,
        "frontier_share": 0.4,
    }
    return {**plain, **changes}


def test_each_aim_is_judged_by_its_own_figure() -> None:
    reached = dict(judge([one(), one(set="other", apgr_seeds=[0.5])], decision_us=150.0))
    assert reached == {
        "mine: APGR 0.650 > 0.600": True,
        "other: APGR 0.500 > 0.600": False,
        "mean ahead by -0.025, aim +0.020": False,
        "a decision 150 µs < 200 µs": True,
    }


def test_a_set_without_a_gap_has_a_row_too() -> None:
    row = rows([one(apgr_seeds=[], apgr_without_prior=[], cpt50=None, cpt80=None)])[1]
    assert row[:4] == ["mine", "10", "–", "–"]


def test_a_set_that_is_not_there_is_told_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gzip.open(tmp_path / "mine.jsonl.gz", "wb") as packed:
        packed.write(EXCERPT.read_bytes())
    assert main(["--data", str(tmp_path), "--set", "yours"]) == 2
    assert "--set yours: there are mine" in capsys.readouterr().err


def test_an_empty_folder_says_what_to_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "--data FOLDER" in capsys.readouterr().err
