"""Which prompts are the same, or nearly: such must not stand on both sides of a test.

A prompt's sketch is the lowest of its hashed words. Two that share all but a few words share it
mostly. Source: Broder (1997), doi:10.1109/SEQUEN.1997.666900.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

from overspill.routing.features import features

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from overspill.learning.design import Indices
    from overspill.learning.examples import Examples

LOWEST: Final = 8
_OPENING_WORDS: Final = 6
_COMMON: Final = 10
_COMMON_SHARE: Final = 0.05
"""A first line of so many different prompts, and of this part of all, is an instruction: it says
nothing of the question."""


def sketch(prompt: str) -> int:
    """Return a number that prompts share where nearly all of their words are the same."""
    lowest = sorted(features(prompt).words)[:LOWEST]
    return crc32(repr(lowest).encode())


def marks(prompt: str) -> set[int]:
    """Return numbers of which prompts with the same question share one.

    The same question is given with other choices and other instructions: its first line counts too,
    where it has some words.
    """
    opening = _opening(prompt)
    return {sketch(prompt)} if opening is None else {sketch(prompt), opening}


def _opening(prompt: str) -> int | None:
    first = prompt.strip().partition("\n")[0]
    return sketch(first) if len(first.split()) >= _OPENING_WORDS else None


def marks_of(prompts: Iterable[str]) -> set[int]:
    """Return the marks of all."""
    return {mark for prompt in prompts for mark in marks(prompt)}


def instructions_of(prompts: Sequence[str]) -> set[int]:
    """Return the marks of first lines that many different prompts share."""
    pairs = {(_opening(prompt), sketch(prompt)) for prompt in prompts}
    many = Counter(opening for opening, _ in pairs if opening is not None)
    least = max(_COMMON, _COMMON_SHARE * len(prompts))
    return {opening for opening, count in many.items() if count >= least}


def without(examples: Examples, unwanted: Collection[int]) -> Examples:
    """Leave out what has one of these marks."""
    kept = [marks(prompt).isdisjoint(unwanted) for prompt in examples.prompts]
    return examples.take(np.flatnonzero(kept))


def folds(prompts: Sequence[str], many: int, seed: int) -> list[tuple[Indices, Indices]]:
    """Return (rows to learn from, rows to test) `many` times; each row is tested once.

    Groups of like prompts stay together. Fewer groups than `many` give as many folds.
    """
    _, group = np.unique([sketch(prompt) for prompt in prompts], return_inverse=True)
    groups = int(group.max()) + 1
    turn = np.random.default_rng(seed).permutation(groups)
    fold = (turn % min(many, groups))[group]
    return [
        (np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(fold.max() + 1)
    ]
