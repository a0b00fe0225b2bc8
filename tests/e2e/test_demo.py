"""The demo's sums, its live view and its picture, on made-up samples."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from e2e.app.asks import Ask
from e2e.demo import picture
from e2e.demo.samples import Prices, Sample, summarize
from e2e.demo.view import View, sparkline, table

if TYPE_CHECKING:
    from pathlib import Path

PRICES = Prices(input_per_mtok=5.0, output_per_mtok=25.0, replica_hourly=3.6)
ASKS = [Ask(at_s=float(n), input_tokens=1000, output_tokens=100) for n in range(10)]
SEEN = [
    Sample(at_s=0.0),
    Sample(at_s=2.0, sent=4, small_answers=1, frontier_answers=2, desired=2, ready=0),
    Sample(at_s=4.0, sent=10, small_answers=6, frontier_answers=3, failed=1, desired=2, ready=2),
    Sample(at_s=6.0, sent=10, small_answers=6, frontier_answers=3, failed=1, reason="StopPays"),
]


def test_the_summary_counts_requests_replicas_and_dollars() -> None:
    summary = summarize(SEEN, ASKS, PRICES, charged_usd=0.0225)
    assert summary.to_json() == {
        "requests": 10,
        "small_answers": 6,
        "frontier_answers": 3,
        "failed": 1,
        "spend_usd": 0.0225,
        "frontier_only_usd": pytest.approx(0.075),
        "gpu_usd": pytest.approx(0.008),
        "peak_replicas": 2,
        "final_replicas": 0,
        "seconds": 6.0,
    }


@pytest.mark.parametrize(
    ("values", "line"),
    [([], ""), ([0.0, 0.0], "  "), ([0.0, 1.0, 2.0], " ▄█"), ([1.0] * 50, "█" * 40)],
)
def test_a_sparkline_is_scaled_to_its_largest(values: list[float], line: str) -> None:
    assert sparkline(values) == line


def test_the_live_table_shows_tiers_replicas_and_spend() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(table(SEEN[:3], 10))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert [line for line in shown.splitlines() if line.startswith("small tier")]
    for part in ("10 of 10 requests", "6 answers, 67%", "3 answers, 33%", "2 ready of 2"):
        assert part in shown


def test_without_a_terminal_plain_lines_are_printed() -> None:
    console = Console(file=io.StringIO(), width=80)
    with View(10, console) as view:
        view.show(SEEN[:3])
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().startswith("    4 s  sent 10/10  small 6  frontier 3  failed 1")


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    picture.draw(tmp_path / "demo.png", SEEN, ASKS, PRICES)
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
