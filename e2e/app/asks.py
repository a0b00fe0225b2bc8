"""The calls an app makes: when, how long, how important. Pure."""

from __future__ import annotations

import csv
import gzip
import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One call to the model, `at_s` seconds after the schedule starts."""

    at_s: float
    input_tokens: int
    output_tokens: int
    high_priority: bool = False
    stream: bool = True
    says: str = ""
    """The word that any model begins its answer with; each with its own name where it is empty."""

    def prompt(self) -> str:
        """Text of the right size; the hints tell the model doubles how much to count and answer."""
        say = f"[[say={self.says}]]" if self.says else ""
        hints = f"[[in={self.input_tokens}]][[out={self.output_tokens}]]{say} "
        return (hints + "word " * (self.input_tokens * BYTES_PER_TOKEN // 5))[
            : max(len(hints), self.input_tokens * BYTES_PER_TOKEN)
        ]


def dump(asks: Iterable[Ask]) -> list[dict[str, Any]]:
    """Return the schedule as JSON values."""
    return [asdict(ask) for ask in asks]


def load(values: Iterable[dict[str, Any]]) -> list[Ask]:
    """Read a schedule from JSON values."""
    return [Ask(**value) for value in values]


def steady(
    *,
    per_s: float,
    seconds: float,
    input_tokens: int = 200,
    output_tokens: int = 100,
    every_nth_high: int = 0,
) -> list[Ask]:
    """Evenly spaced equal calls, alternately streaming and not."""
    return [
        Ask(
            at_s=n / per_s,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            high_priority=bool(every_nth_high) and n % every_nth_high == 0,
            stream=n % 2 == 0,
        )
        for n in range(int(per_s * seconds))
    ]


def replay(
    trace: Path,
    *,
    seconds: float,
    share_at: Callable[[float], float],
    high_share: float,
    seed: int = 1,
) -> list[Ask]:
    """Squeeze a recorded trace into `seconds`, keeping a share of its calls.

    `share_at(0..1)` is the share of calls kept at that part of the trace; token counts and order
    stay as recorded. The same arguments always give the same schedule.
    """
    chance = random.Random(seed)
    with gzip.open(trace, "rt", newline="") as file:
        rows = [
            (float(row["arrival_s"]), int(row["input_tokens"]), int(row["output_tokens"]))
            for row in csv.DictReader(file)
        ]
    last_s = rows[-1][0]
    return [
        Ask(
            at_s=arrival_s / last_s * seconds,
            input_tokens=max(1, input_tokens),
            output_tokens=max(1, output_tokens),
            high_priority=chance.random() < high_share,
            stream=chance.random() < 0.5,
        )
        for arrival_s, input_tokens, output_tokens in rows
        if chance.random() < share_at(arrival_s / last_s)
    ]
