"""Watching the rules being played."""

from __future__ import annotations

from functools import partial
from io import StringIO

import numpy as np
from rich.console import Console

from overspill.simulate.contest import play_requests
from overspill.simulate.live import play_all
from overspill.simulate.requests import Requests, Traffic
from tests.simulate.loads import load
from tests.simulate.test_replay import TIER

RULES = ["overspill", "static", "optimal"]


def test_on_a_terminal_the_table_grows() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=110)
    results = play_all(RULES, load([100] * 5000), console)
    assert [one.rule for one in results] == RULES
    assert isinstance(console.file, StringIO)
    assert "÷ optimal" in console.file.getvalue()


def test_single_requests_are_watched_too() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=110)
    requests = Requests(
        arrival_s=np.array([0.0]), input_tokens=np.array([0.0]), output_tokens=np.array([100.0])
    )
    case = load([100, 0])
    traffic = Traffic(
        requests=requests, work_tokens=requests.output_tokens, rungs={"frontier": np.array([5.0])}
    )
    results = play_all(RULES, case, console, partial(play_requests, traffic=traffic, tier=TIER))
    assert [one.rule for one in results] == RULES
    assert isinstance(console.file, StringIO)
    assert "TTFT" in console.file.getvalue()


def test_elsewhere_nothing_is_written() -> None:
    console = Console(file=StringIO(), force_terminal=False)
    assert [one.rule for one in play_all(RULES, load([100] * 50), console)] == RULES
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == ""
