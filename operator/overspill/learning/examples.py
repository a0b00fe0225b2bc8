"""Prompts that both tiers answered and somebody graded, read from JSON lines."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from overspill.api.errors import OverspillError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from overspill.learning.design import Floats, Indices

_GZIP: Final = b"\x1f\x8b"
_SMALL, _FRONTIER = "small_correct", "frontier_correct"


class InvalidExamples(OverspillError):
    """The file of examples cannot be used until a person corrects it; names file, line, remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Graded prompts. `small` and `frontier` are the qualities of the two answers, 0..1."""

    prompts: tuple[str, ...]
    small: Floats
    frontier: Floats

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def gains(self) -> Floats:
        """What the frontier's answer is better by, -1..1."""
        return self.frontier - self.small

    def take(self, rows: Indices) -> Examples:
        """Return these, in this order."""
        return Examples(
            prompts=tuple(self.prompts[row] for row in rows),
            small=self.small[rows],
            frontier=self.frontier[rows],
        )


def joined(parts: Sequence[Examples]) -> Examples:
    """Put sets one after the other."""
    return Examples(
        prompts=tuple(prompt for part in parts for prompt in part.prompts),
        small=np.concatenate([part.small for part in parts]),
        frontier=np.concatenate([part.frontier for part in parts]),
    )


def read_examples(path: Path) -> Examples:
    """Read lines of `prompt`, `small_correct`, `frontier_correct`, plain or gzipped.

    Raises: InvalidExamples, OSError.
    """
    raw = path.read_bytes()
    try:
        text = (gzip.decompress(raw) if raw.startswith(_GZIP) else raw).decode("utf-8-sig")
    except (UnicodeDecodeError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise InvalidExamples(f"{path}: {error}; give JSON lines, plain or gzipped") from None
    found = [
        _read(line, f"{path}, line {number}")
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    if not found:
        raise InvalidExamples(f"{path}: has no lines; give one JSON object a graded prompt")
    prompts, small, frontier = zip(*found, strict=True)
    return Examples(prompts=prompts, small=np.array(small), frontier=np.array(frontier))


def _read(line: str, where: str) -> tuple[str, float, float]:
    try:
        said = json.loads(line)
    except ValueError as error:
        raise InvalidExamples(f"{where}: {error}; write one JSON object a line") from None
    except RecursionError:
        raise InvalidExamples(f"{where}: is nested too deeply; leave that out") from None
    prompt = said.get("prompt") if isinstance(said, dict) else None
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidExamples(f"{where}: has no text as `prompt`; add it")
    return prompt, _quality(said, _SMALL, where), _quality(said, _FRONTIER, where)


def _quality(said: dict[str, Any], name: str, where: str) -> float:
    if name not in said:
        raise InvalidExamples(f"{where}: has no {name}; give a quality from 0 to 1")
    value = said[name]
    if not isinstance(value, bool | int | float) or not 0.0 <= value <= 1.0:
        raise InvalidExamples(f"{where}: {name} is {value!r:.40}; give a quality from 0 to 1")
    return float(value)
