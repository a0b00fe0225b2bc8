"""Errors that name whose turn it is.

OverspillError
├── InvalidPolicy    a person edits the resource; becomes a condition, never retried
├── InvalidConfig    the sidecar keeps its last good configuration and says so
├── InvalidTrace     a person corrects the file that was to be simulated
├── NoDemand         a person looks why Prometheus has nothing to simulate
├── CannotSimulate   a person asks for something else
├── CannotExplain    a person corrects the request, or asks about another
├── CannotWrite      a person names another file to write
├── CannotPrice      a person gives another table, or writes the price
├── InvalidExamples  a person corrects the file of graded prompts
├── Unproven         a sidecar's token vouches for no pod; a person restarts the pod
├── Foreign          a pod asks for another policy's money; a person restarts or selects it
├── NotLent          there is no such policy, or it has no budget
└── NotAnswered      the sidecar asks its lender again
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


MOST_FAULTS: Final = 200
"""That are told one by one: a million would be written for as long as nothing else is done."""
SHOWN_CHARS: Final = 200
"""Of a value that is wrong."""


class OverspillError(Exception):
    """Root of every error this package raises on purpose."""


def told(error: OverspillError | OSError) -> str:
    """Say what is wrong as commands do: `path: what; remedy`. Python's words have no remedy."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}; name a file that can be opened"
    return str(error)


class InvalidPolicy(OverspillError):
    """The policy cannot be obeyed until a person edits it.

    `problems` holds one sentence a fault, each with path, value and remedy.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class InvalidConfig(OverspillError):
    """The sidecar's configuration file cannot be used; the last good one stays."""


def sentences(error: ValidationError, root: str) -> list[str]:
    """Say each fault of a pydantic error as `path: what is wrong (got VALUE); what to do`.

    Where there are too many, only how many.
    """
    if error.error_count() > MOST_FAULTS:
        return [f"{root}: {error.error_count()} faults; correct its structure first"]
    found = error.errors(include_url=False)
    return [_sentence(detail, root) for detail in found if not _follows(detail, found)]


_REMEDIES = {
    "missing": "required field is missing; add it",
    "extra_forbidden": "unknown field; remove it or correct its spelling",
}
_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "enum": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "model_type": "must be a mapping; write its fields below it",
    "string_too_short": "is too short; characters needed: {min_length}",
    "string_type": "must be a string; put it in quotation marks",
    "too_long": "has too many items; at most {max_length} are taken",
    "too_short": "has too few items; items needed: {min_length}",
    "tuple_type": "must be a list; begin each item with a dash",
}
"""Instead of pydantic's, which are about Python."""


def _follows(detail: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """Whether it counts items, and an item is missing for a fault that is told by itself."""
    loc = detail["loc"]
    within = (one["loc"] for one in found if len(one["loc"]) > len(loc))
    return detail["type"] == "too_short" and any(one[: len(loc)] == loc for one in within)


def _sentence(detail: ErrorDetails, root: str) -> str:
    path = root
    for part in detail["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    if remedy := _REMEDIES.get(detail["type"]):
        return f"{path}: {remedy}"
    words = _WORDS.get(detail["type"])
    said = detail["msg"].removeprefix("Value error, ")
    message = words.format(**detail.get("ctx", {})) if words else said
    value = detail["input"]
    if isinstance(value, dict | list):  # a whole object says nothing; the message names the fields
        return f"{path}: {message}"
    return f"{path}: {message} (got {_shown(value)})"


def _shown(value: object) -> str:
    if isinstance(value, str) and len(value) > SHOWN_CHARS:
        return f"{value[:SHOWN_CHARS]!r}… of {len(value)} characters"
    return repr(value)
