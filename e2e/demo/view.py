"""The live view: one table, drawn anew at each look; plain lines where there is no terminal."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from e2e.demo.samples import Sample

SPARKS = " ▁▂▃▄▅▆▇█"
WIDTH = 40
PLAIN_EVERY = 5


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """The last `width` values as a line of blocks, scaled to their largest."""
    shown = values[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return SPARKS[0] * len(shown)
    return "".join(SPARKS[round(value / top * (len(SPARKS) - 1))] for value in shown)


def _rates(seen: Sequence[Sample], field: str) -> list[float]:
    return [
        (getattr(b, field) - getattr(a, field)) / max(b.at_s - a.at_s, 1e-9)
        for a, b in itertools.pairwise(seen)
    ]


def table(seen: Sequence[Sample], total: int) -> Group:
    """The view of everything recorded so far."""
    now = seen[-1]
    answered = max(1, now.small_answers + now.frontier_answers)
    grid = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        grid.add_column()
    small, frontier = _rates(seen, "small_answers"), _rates(seen, "frontier_answers")
    grid.add_row(
        "[green]small tier[/]",
        f"{now.small_answers} answers, {now.small_answers / answered:.0%}",
        f"[green]{sparkline(small)}[/]",
    )
    grid.add_row(
        "[red]frontier[/]",
        f"{now.frontier_answers} answers, {now.frontier_answers / answered:.0%}",
        f"[red]{sparkline(frontier)}[/]",
    )
    grid.add_row(
        "demand",
        f"worth {now.demand_replicas:.1f} replicas",
        sparkline([s.demand_replicas for s in seen]),
    )
    grid.add_row(
        "replicas", f"{now.ready} ready of {now.desired}", sparkline([float(s.ready) for s in seen])
    )
    grid.add_row("spend", f"${now.spend_usd:.4f}", sparkline([s.spend_usd for s in seen]))
    grid.add_row("failed", str(now.failed), "")
    head = Text(f"{now.at_s:5.0f} s   {now.sent} of {total} requests sent   {now.state}", "bold")
    why = Text(f"{now.reason}: {now.message}" if now.reason else "", "dim")
    bar = Table.grid()
    bar.add_row(ProgressBar(total=total, completed=now.sent, width=72))
    return Group(head, bar, grid, why)


class View:
    """Shows samples as they come."""

    def __init__(self, total: int, console: Console | None = None) -> None:
        self._console = console or Console()
        self._total = total
        self._live = Live(console=self._console, auto_refresh=False)
        self._shown = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, seen: Sequence[Sample]) -> None:
        """Draw the table, or print a line now and then."""
        if self._console.is_terminal:
            self._live.update(table(seen, self._total), refresh=True)
        elif self._shown % PLAIN_EVERY == 0:
            now = seen[-1]
            self._console.print(
                f"{now.at_s:5.0f} s  sent {now.sent}/{self._total}  small {now.small_answers}  "
                f"frontier {now.frontier_answers}  failed {now.failed}  demand "
                f"{now.demand_replicas:.1f}  replicas {now.ready}/{now.desired}  "
                f"spend ${now.spend_usd:.4f}  {now.reason}",
                highlight=False,
                soft_wrap=True,
            )
        self._shown += 1
