"""Playing one rule after another, watched on a terminal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from overspill.simulate.contest import Result, play
from overspill.simulate.table import as_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.simulate.engine import Progress as Tell
    from overspill.simulate.load import Load


class Play(Protocol):
    """`contest.play`, or what plays single requests."""

    def __call__(self, rule: str, load: Load, progress: Tell | None = None, /) -> Result:
        """Play one rule from a cold start."""


def play_all(rules: Sequence[str], load: Load, console: Console, play: Play = play) -> list[Result]:
    """Play the rules in turn; on a terminal the table grows meanwhile and is then taken away."""
    if not console.is_terminal:
        return [play(rule, load) for rule in rules]
    results: list[Result] = []
    bars = Progress(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Live(console=console, transient=True) as live:
        for rule in rules:
            bar = bars.add_task(rule, total=load.steps)
            live.update(Group(as_table(rules, results), bars))
            results.append(play(rule, load, partial(_move, bars, bar)))
            bars.remove_task(bar)
    return results


def _move(bars: Progress, bar: TaskID, steps: int) -> None:
    bars.update(bar, completed=steps)
