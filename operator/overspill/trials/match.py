"""Whether two texts say the same but for how it is written.

To be wrong about two that differ is worse than to miss two that are equal: what might mean
something – the case of `mW`, the exponent of 10², the indent of code – is left as it stands.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST_TEXT: Final = 20_000
"""Characters. Longer ones are equal as they stand or not at all: nobody waits for more."""
LONGEST_CHOICE: Final = 200
"""Characters of the text that comes with the letter of a choice."""
_MEANT: Final = ("<super>", "<sub>", "<fraction>")
"""Marks of characters that NFKC would make another number of: 10² is not 102."""
_STRAIGHT: Final = str.maketrans({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})
_PAIRED: Final = (
    ("**", "**"),
    ("`", "`"),
    ('"', '"'),
    ("'", "'"),
    ("«", "»"),
    ("$", "$"),
    ("\\(", "\\)"),
    ("\\[", "\\]"),
)
_WORD: Final = r"[^\W\d_]+(?:['-][^\W\d_]+)*[,;:.!?]?"
_PROSE: Final = re.compile(rf"{_WORD}(?: {_WORD})*")
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_LAID_OUT: Final = re.compile(r"```|\n[ \t]|[{}<>=\\|]")
"""Code, markup, tables, formulas: white space and case mean something there."""
_NUMBER: Final = re.compile(
    r"([-+]?(?:[$€£¥] ?)?)([1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.(\d+))?( ?(?:%|[a-zµ°]{1,12}))?"
)
_GROUP: Final = 3
"""Digits of a group; much of the world has a point before it, not a comma."""
_LEAD: Final = re.compile(
    r"(?:(?:so|thus|therefore|hence),? )?(?:the )?(?:final |correct |right )?"
    r"answer(?: is(?: (?=\S)|:)|:)\s*",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[.!?]) +")
_CHOICE: Final = re.compile(r"\(?([A-H])(?:\)|[.:](?= ))\s*(.+)")
_BARE_CHOICE: Final = re.compile(r"\(?([A-H])\)?")
_OTHER_CHOICE: Final = re.compile(r"\b(?:[B-H]\b|A[).:])")
_BOXED: Final = re.compile(
    r"\\boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*+\})*+\})*+\})*+)\}"
)
_AFTER_BOX: Final = re.compile(r"[\s$*`\"'.,;:)\]\\]*")
"""What may follow a last box: the end of a sentence, of a formula. A unit is part of the answer."""
_BEFORE_BOX: Final = re.compile(
    r"(?:[-\u2212\u2013+\xb1^_/<>\u2264\u2265\u2260\u2248~]|\\(?:neq?|pm|mp|leq?|geq?|approx|sqrt|not)"
    r"|\bnot|n't)[\s$*(\[\\]*\Z",
    re.IGNORECASE,
)
"""What may not stand right before it: a sign, a denial."""
_JUST_BEFORE: Final = 20
"""Characters."""
_LISTED: Final = re.compile(r"(?:\d+[.)]|\(?[a-z]\)|[-*•])\s")
_ROUNDS: Final = 8
"""Of stripping; who wraps an answer more often than that is not understood."""


def matches(one: str, other: str) -> bool:
    """Whether two texts give the same answer."""
    if max(len(one), len(other)) > LONGEST_TEXT:
        return one.strip() == other.strip()
    mine, theirs = _core(one), _core(other)
    if _normal(mine) == _normal(theirs):
        return True
    my_letter, my_text = _choice(mine)
    letter, text = _choice(theirs)
    if not letter or my_letter != letter:
        return False
    return not my_text or not text or _normal(_bare(my_text)) == _normal(_bare(text))


# -- what of a text is the answer
def _core(text: str) -> str:
    """Return the answer of a text that leads up to one, else all of it."""
    text = _composed(text).strip()
    return _bare(_boxed(text) or _led_to(_bare(text)))


def _composed(text: str) -> str:
    meant = any(unicodedata.decomposition(one).startswith(_MEANT) for one in set(text))
    return unicodedata.normalize("NFC" if meant else "NFKC", text.translate(_STRAIGHT))


def _boxed(text: str) -> str:
    """Return what is boxed at the end; nothing where several things are, or more belongs to it."""
    found = list(_BOXED.finditer(text))
    inner = {box[1].strip() for box in found}
    if len(inner) != 1 or not _AFTER_BOX.fullmatch(text, found[-1].end()):
        return ""
    start = found[-1].start()
    before = text[max(0, start - _JUST_BEFORE) : start]
    return "" if _BEFORE_BOX.search(before) else inner.pop()


def _led_to(text: str) -> str:
    """Return what stands behind "the answer is", where the text does not go on after that."""
    *_, last = text.splitlines() or [""]
    if "```" in text or _LISTED.match(last):  # the last of several answers is not the answer
        return text
    *_, sentence = _SENTENCE.split(_bare(last))
    plain = sentence.replace("**", "") if sentence.count("**") == 2 else sentence
    found = _LEAD.match(plain)
    if found is None or len(re.findall(r"\banswer(?: is\b|:)", text, re.IGNORECASE)) > 1:
        return text
    return plain[found.end() :] or text


def _bare(text: str) -> str:
    """Strip what stands around a text: marks of its end, of emphasis, quotes."""
    for _ in range(_ROUNDS):
        before, text = text, text.strip()
        if text.endswith((".", ",", ";", ":")) and len(text) > 1 and text[-2] not in ".,;:":
            text = text[:-1]
        if text.endswith("!") and len(text) > 2 and text[-3:-1].isalpha():  # 5! and n! are numbers
            text = text[:-1]
        for left, right in _PAIRED:
            inner = text[len(left) : -len(right)]
            if inner.strip() and text == left + inner + right and not _any_in(inner, left, right):
                text = inner
        if text == before:
            break
    return text


def _any_in(text: str, *marks: str) -> bool:
    return any(mark in text for mark in marks)


# -- how it is written
def _normal(text: str) -> str:
    if _LAID_OUT.search(text):
        return text
    text = " ".join(text.split())
    number = _NUMBER.fullmatch(text)
    if number:
        sign, whole, part, unit = number.groups(default="")
        if len(part) != _GROUP or whole == "0":  # 1.500 may be fifteen hundred
            part = part.rstrip("0")
        return sign + whole.replace(",", "") + (f".{part}" if part else "") + unit
    if _PROSE.fullmatch(text):
        return _LETTERS.sub(lambda word: _folded(word[0]), text)
    return text


def _folded(word: str) -> str:
    """Return a word in small letters, unless its case may mean something: CO, mW, aName."""
    rest = word[1:]
    if (len(word) > 1 and rest == rest.lower()) or (len(word) > 2 and word.isupper()):
        return word.lower()
    return word


def _choice(text: str) -> tuple[str, str]:
    """Return the letter of a choice and the text that came with it; no letter where it is none."""
    bare = _BARE_CHOICE.fullmatch(text)
    if bare:
        return bare[1], ""
    found = _CHOICE.fullmatch(text)
    if not found or len(found[2]) > LONGEST_CHOICE or _OTHER_CHOICE.search(found[2]):
        return "", ""
    return found[1], found[2]
