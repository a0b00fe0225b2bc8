"""Watching the rules being played."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from overspill.simulate.live import play_all
from tests.simulate.loads import load

RULES = ["overspill", "static", "optimal"]


def test_on_a_terminal_the_table_grows() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=110)
    results = play_all(RULES, load([100] * 5000), console)
    assert [one.rule for one in results] == RULES
    assert isinstance(console.file, StringIO)
    assert "÷ optimal" in console.file.getvalue()


def test_elsewhere_nothing_is_written() -> None:
    console = Console(file=StringIO(), force_terminal=False)
    assert [one.rule for one in play_all(RULES, load([100] * 50), console)] == RULES
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == ""
