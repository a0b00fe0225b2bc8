"""How good a small model's answer is beside the frontier's to the same request."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from overspill.trials.match import matches
from overspill.wire.document import read_json
from overspill.wire.verify import Check, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from overspill.wire.said import Said


class Grader(StrEnum):
    """Who tells how good answers are; also a label of metrics."""

    __hash__ = str.__hash__

    JSON_SCHEMA = "JSONSchema"
    JSON = "JSON"
    MATCH = "Match"
    WEBHOOK = "Webhook"
    JUDGE = "Judge"


class Verdict(NamedTuple):
    """Qualities of both answers, from 0 to 1."""

    small: float
    frontier: float


SAME: Final = Verdict(1.0, 1.0)
DIFFERENT: Final = Verdict(0.0, 1.0)
"""What is taken for so where nobody could tell: it is the small model that must prove itself."""
_UNANSWERED: Final = frozenset({Check.REFUSAL, Check.TRUNCATION})
_WRONG_SHAPE: Final = frozenset({Check.JSON_SCHEMA, Check.TOOL_CALLS})
_FENCED: Final = re.compile(r"```\w*[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)
_NO_JSON: Final = object()


def grade(
    graders: Sequence[Grader], request: Mapping[str, Any], small: Said, frontier: Said
) -> Verdict | tuple[Grader, ...]:
    """Return what the first grader says that can tell, or who is left to be asked elsewhere.

    `request` is in the words of OpenAI's chat. Of a tuple the first is a webhook or a judge; where
    that cannot tell, grade again with the rest.
    """
    if _is_none(request, small) and not _is_none(request, frontier):
        return DIFFERENT
    for at, grader in enumerate(graders):
        if grader in {Grader.WEBHOOK, Grader.JUDGE}:
            return tuple(graders[at:])
        verdict = _OWN[grader](request, small, frontier)
        if verdict is not None:
            return verdict
    return DIFFERENT


def same(one: Said, other: Said) -> bool:
    """Whether two answers say the same, as JSON, as tool calls or as text."""
    return one == other or _same_json(one, other) or _same_text(one, other)


def _is_none(request: Mapping[str, Any], said: Said) -> bool:
    return problem(_UNANSWERED, request, said, limited=True) is not None


# -- graders; each returns None where it cannot tell
def _by_shape(request: Mapping[str, Any], small: Said, frontier: Said) -> Verdict | None:
    qualities = [
        float(problem(_WRONG_SHAPE, request, said, limited=True) is None)
        for said in (small, frontier)
    ]
    return None if all(qualities) else Verdict(*qualities)


def _by_json(_: Mapping[str, Any], small: Said, frontier: Said) -> Verdict | None:
    return SAME if _same_json(small, frontier) else None


def _by_text(_: Mapping[str, Any], small: Said, frontier: Said) -> Verdict | None:
    return SAME if _same_text(small, frontier) else None


_OWN: Final[dict[Grader, Callable[[Mapping[str, Any], Said, Said], Verdict | None]]] = {
    Grader.JSON_SCHEMA: _by_shape,
    Grader.JSON: _by_json,
    Grader.MATCH: _by_text,
}


# -- when two are equal
def _same_text(one: Said, other: Said) -> bool:
    if one.calls or other.calls or bool(one.refusal) != bool(other.refusal):
        return False
    return matches(one.text, other.text) and matches(one.refusal, other.refusal)


def _same_json(one: Said, other: Said) -> bool:
    if one.refusal or other.refusal:
        return False
    if one.calls or other.calls:
        return len(one.calls) == len(other.calls) and all(map(_same_call, one.calls, other.calls))
    return _equal_json(_unfenced(one.text), _unfenced(other.text))


def _same_call(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return one[0] == other[0] and (
        one[1] == other[1] or _equal_json(one[1] or "{}", other[1] or "{}")
    )


def _unfenced(text: str) -> str:
    fenced = _FENCED.fullmatch(text.strip())
    return fenced[1] if fenced else text


def _equal_json(one: str, other: str) -> bool:
    mine, theirs = _read(one), _read(other)
    try:
        return mine is not _NO_JSON and theirs is not _NO_JSON and _equal(mine, theirs)
    except RecursionError:
        return False


def _read(text: str) -> object:
    try:
        return read_json(text)
    except ValueError:
        return _NO_JSON


def _equal(one: object, other: object) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, and `true` is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and one == other
