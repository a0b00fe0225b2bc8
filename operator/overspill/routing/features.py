"""What a prompt looks like to the score: hashed word n-grams, and measures of its shape.

All is done by calls that loop in C (`map`, `bytes.count`, `bytes.translate`, `re`), because a
sidecar cannot afford numpy: its import takes 20 MiB. Looking at 1.25 KB of a longer prompt bounds
the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION: Final = 1
"""Of the features: weights learned on others are useless. Raise it with every change here."""
BITS: Final = 17
WORDS: Final = 1 << BITS
"""Places of the hashed n-grams."""
HEAD_BYTES: Final = 1024
TAIL_BYTES: Final = 256
"""Of a longer prompt only these are read; what is asked stands first or last."""

_MASK: Final = WORDS - 1
_DIGITS: Final = b"0123456789"
_LETTERS: Final = bytes(range(ord("a"), ord("z") + 1)) + bytes(range(128, 256))
_KEPT: Final = _LETTERS + b".,?:="
_TO_WORDS: Final = bytes(
    ord("0") if one in _DIGITS else one if one in _KEPT else ord(" ") for one in range(256)
)
"""Any number of as many digits is the same word. Some punctuation stays with the word it follows:
measured better than words of their own, and faster; the rest only parts words."""
_TO_NUMBERS: Final = bytes(one if one in _DIGITS else ord(" ") for one in range(256))
_CHOICE: Final = re.compile(rb"\n\(?[a-j1-9][.):]\s")
_NUMBER_CHOICE: Final = re.compile(rb"\n\(?[a-j][.):]\s[^a-z\n]*(?=\n|$)")
_CAPITALS: Final = bytes(range(ord("A"), ord("Z") + 1))
_NOT_ASCII: Final = bytes(range(128, 256))
_OPERATORS: Final = b"=+-*/^<>\\|~"
_BRACKETS: Final = b"{}[]()"

KNOTS: Final = 12
"""Places of one measure: it is spread over the two whole numbers beside it, so that a linear score
can bend at each."""
SHAPE: Final = (
    "bytes", "tokens", "token_bytes", "distinct", "numbers", "number_bytes", "digits", "capitals",
    "not_ascii", "operators", "brackets", "spaces", "lines", "longest_line", "first_line",
    "last_line", "choices", "number_choices", "questions", "quotes", "commas", "periods", "dollars",
    "percents", "blanks", "code", "tools", "required", "tool_bytes", "enums", "typed", "nested",
    "turns",
)  # fmt: skip
"""Names of the measures, in the order of their places."""
MEASURES: Final = len(SHAPE)


@dataclass(frozen=True, slots=True)
class Features:
    """One prompt. `words` are places in 0..WORDS-1, each once; `shape` has MEASURES values, each in
    0..KNOTS-1.
    """

    words: set[int]
    shape: list[float]


def features(prompt: str) -> Features:
    """Look at a prompt as `prompt.text_of` writes it."""
    raw = prompt.encode("utf-8", "replace")
    window = raw
    if len(raw) > HEAD_BYTES + TAIL_BYTES:
        window = raw[:HEAD_BYTES] + b"\n" + raw[-TAIL_BYTES:]
    lower = window.lower()
    tokens = lower.translate(_TO_WORDS).split()
    words = _words(tokens)
    return Features(words, _shape(len(raw), window, lower, len(tokens), len(words)))


def _words(tokens: list[bytes]) -> set[int]:
    """Hash tokens and neighbours: a checksum goes on from the last one's, so nothing is joined."""
    one = list(map(crc32, tokens))
    places = set(map(_MASK.__and__, one))
    places.update(map(_MASK.__and__, map(crc32, tokens[1:], one)))
    return places


def _shape(size: int, window: bytes, lower: bytes, tokens: int, distinct: int) -> list[float]:
    count = lower.count
    read = len(window) or 1
    numbers = lower.translate(_TO_NUMBERS).split()
    lines = lower.split(b"\n")
    many = tokens or 1
    _, _, tools = lower.partition(b"[functions]")
    measures = (
        log2(1 + size) - 3,
        log2(1 + many) - 1,
        2.0 * (read / many) - 4,
        5.5 * distinct / many,
        2 * log2(1 + len(numbers)),
        2.0 * sum(map(len, numbers)) / (len(numbers) or 1),
        _share(lower, _DIGITS, 33),
        _share(window, _CAPITALS, 44),
        _share(lower, _NOT_ASCII, 33),
        _share(lower, _OPERATORS, 99),
        _share(lower, _BRACKETS, 99),
        33.0 * count(b" ") / read,
        2 * log2(len(lines)),
        1.2 * log2(1 + max(map(len, lines))),
        1.2 * log2(1 + len(lines[0])),
        1.2 * log2(1 + len(lines[-1])),
        float(len(_CHOICE.findall(lower))),
        float(len(_NUMBER_CHOICE.findall(lower))),
        2.0 * count(b"?"),
        2 * log2(1 + count(b'"') + count(b"'")),
        2 * log2(1 + count(b",")),
        2 * log2(1 + count(b".")),
        2 * log2(1 + count(b"$")),
        2 * log2(1 + count(b"%")),
        2.0 * count(b"__"),
        2.0 * (count(b"def ") + count(b"```") + count(b"import ") + count(b"return ")),
        2.0 * tools.count(b'"parameters"'),
        2 * log2(1 + tools.count(b'"required"')),
        log2(1 + len(tools)),
        2 * log2(1 + tools.count(b'"enum"')),
        2 * log2(1 + tools.count(b'"type"')),
        2 * log2(1 + tools.count(b'"properties"')),
        2.0 * count(b"[turn "),
    )
    return [0.0 if one < 0.0 else min(one, _TOP) for one in measures]


_TOP: Final = KNOTS - 1.0


def _share(text: bytes, letters: bytes, scale: float) -> float:
    """Return how much of the text is these letters, from 0 to `scale`."""
    size = len(text)
    return scale * (size - len(text.translate(None, letters))) / size if size else 0.0


def spread(shape: list[float]) -> Iterator[tuple[int, float]]:
    """Yield (place, value) of the measures: two places each, values that sum to 1."""
    base = 0
    for one in shape:
        low = int(one)
        rest = one - low
        yield base + low, 1.0 - rest
        if rest:
            yield base + low + 1, rest
        base += KNOTS
