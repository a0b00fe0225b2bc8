"""Graded prompts, read from a file; each fault names its line and the remedy."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from overspill.learning.examples import InvalidExamples, read_examples

if TYPE_CHECKING:
    from pathlib import Path

GOOD = json.dumps({"prompt": "2+2?", "small_correct": 0.25, "frontier_correct": True})


def test_plain_and_gzipped_read_alike(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_text(f"{GOOD}\n\n{GOOD}\n")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        examples = read_examples(path)
        assert examples.prompts == ("2+2?", "2+2?")
        assert examples.gains.tolist() == [0.75, 0.75]


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_examples(tmp_path / "a.jsonl").prompts == ("2+2?",)


FAULTS = [
    pytest.param("", "has no lines; give", id="empty"),
    pytest.param(f"{GOOD}\nnot json", "line 2: .*write one JSON object", id="no JSON"),
    pytest.param("[1]", "line 1: has no text as `prompt`", id="no object"),
    pytest.param('{"a":' + "[" * 100_000, "line 1: is nested too deeply", id="nested"),
    pytest.param(GOOD.replace("small_", "big_"), "has no small_correct; give", id="a lack"),
    pytest.param(GOOD.replace("0.25", "1.5"), "small_correct is 1.5; give", id="above 1"),
    pytest.param(
        GOOD.replace("0.25", "null"), "small_correct is None; give", id="missing is not 0"
    ),
    pytest.param(GOOD.replace("0.25", "NaN"), "small_correct is nan; give", id="not a number"),
]


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_a_fault_says_where_and_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(InvalidExamples, match=said):
        read_examples(path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(InvalidExamples, match="give JSON lines"):
        read_examples(path)
