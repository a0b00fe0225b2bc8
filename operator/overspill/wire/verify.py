"""Whether a small model's answer will do: what can be told from the answer and the request alone.

Both are in the words of OpenAI's chat completions, which every small model is asked in. A check
that cannot be made passes: what is wrong holds an answer back, and never what is only odd.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from overspill.wire.document import read_json
from overspill.wire.unfolding import is_endless

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from overspill.wire.said import Said


class Check(StrEnum):
    """What is looked at; also the `check` label of metrics."""

    __hash__ = str.__hash__

    REFUSAL = "Refusal"
    TRUNCATION = "Truncation"
    JSON_SCHEMA = "JSONSchema"
    TOOL_CALLS = "ToolCalls"
    SELF_CONSISTENCY = "SelfConsistency"
    """Whether the model says so again: not told from one answer, so that it is asked elsewhere."""


LONGEST_REFUSAL: Final = 400
"""Characters. A longer text that begins so goes on to answer all the same."""
_REFUSES: Final = re.compile(
    r"\s*(?:i'?m (?:really |very )?sorry|i apologi[sz]e|sorry|unfortunately|as an ai\b|"
    r"i(?: can(?:no|')t| am unable| am not able|'?m unable|'?m not able| won'?t))",
    re.IGNORECASE,
)
_UNABLE: Final = re.compile(
    r"\b(?:can(?:no|')t|can not|unable|not able|won'?t|will not|not allowed|not comfortable|"
    r"against my|do(?:es)?n'?t have (?:access|the ability|enough))\b",
    re.IGNORECASE,
)
_CURLY: Final = "\u2019"


def problem(
    checks: Collection[Check], request: Mapping[str, Any], said: Said, *, limited: bool
) -> Check | None:
    """Return the first check that an answer fails; `limited`: the client gave a limit of output."""
    found = {
        Check.REFUSAL: _refuses,
        Check.TRUNCATION: _is_cut if not limited else _is_empty,
        Check.JSON_SCHEMA: _breaks_schema,
        Check.TOOL_CALLS: _calls_wrongly,
    }
    return next(
        (one for one, fails in found.items() if one in checks and fails(request, said)), None
    )


def prepare(checks: Collection[Check]) -> None:
    """Load what these checks take, so that no request waits for it."""
    if Check.JSON_SCHEMA in checks or Check.TOOL_CALLS in checks:
        _fits(None, True)


# -- checks; each says whether the answer fails it
def _refuses(_: Mapping[str, Any], said: Said) -> bool:
    if said.refusal or said.finish == "content_filter":
        return True
    if said.calls or len(said.text) > LONGEST_REFUSAL:
        return False
    text = said.text.replace(_CURLY, "'")
    return bool(_REFUSES.match(text) and _UNABLE.search(text))


def _is_cut(request: Mapping[str, Any], said: Said) -> bool:
    return said.finish == "length" or _is_empty(request, said)


def _is_empty(_: Mapping[str, Any], said: Said) -> bool:
    return not said.text.strip() and not said.calls and not said.refusal


def _calls_wrongly(request: Mapping[str, Any], said: Said) -> bool:
    tools = _tools(request)
    for name, arguments in said.calls:
        if name not in tools:
            return True
        value = _json(arguments or "{}")
        if not isinstance(value, dict) or not _fits(value, tools[name]):
            return True
    return bool(tools) and _demands_a_call(request.get("tool_choice")) and not said.calls


def _demands_a_call(choice: object) -> bool:
    """Whether one was to be made; tools that are only allowed may be left alone."""
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools")
        choice = allowed.get("mode") if isinstance(allowed, dict) else None
    return choice == "required" or isinstance(choice, dict)


def _tools(request: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    tools = request.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        said = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(said, dict) and isinstance(said.get("name"), str):
            found[said["name"]] = said.get("parameters")
    return found


def _breaks_schema(request: Mapping[str, Any], said: Said) -> bool:
    asked = request.get("response_format")
    kind = asked.get("type") if isinstance(asked, dict) else None
    if kind not in {"json_object", "json_schema"} or said.calls:
        return False
    value = _json(said.text)
    if kind == "json_object":
        return not isinstance(value, dict)
    told = asked.get("json_schema") if isinstance(asked, dict) else None
    return value is _NONE or not _fits(
        value, told.get("schema") if isinstance(told, dict) else None
    )


_NONE: Final = object()


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return read_json(text)
    except ValueError:
        return _NONE


def _fits(value: object, schema: object) -> bool:
    """Whether a value is as its schema wants it. A schema that is none wants nothing."""
    import jsonschema_rs  # noqa: PLC0415 - 9 MiB that only those pay who asked for it

    if not isinstance(schema, dict | bool):
        return True
    try:
        if isinstance(schema, dict) and is_endless(schema):
            return True
        validator = jsonschema_rs.validator_for(
            schema, retriever=_stay_here, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (ValueError, RecursionError):
        return True
    return validator.is_valid(value)


def _stay_here(uri: str) -> Any:  # noqa: ANN401 - as the library has it
    """Fetch nothing: a schema is a stranger's word."""
    raise ValueError(f"{uri} is not fetched")
