"""What can be wrong with a request, and errors in the words of either wire."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Final


class Wire(StrEnum):
    """The protocol that a client or a provider speaks."""

    OPENAI = "OpenAI"
    ANTHROPIC = "Anthropic"


OPENAI_KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
ANTHROPIC_KINDS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
STATUS_OF_OPENAI: Final = {
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "overloaded_error": 503,
    "timeout_error": 504,
}
STATUS: Final = {Wire.OPENAI: {529: 503}, Wire.ANTHROPIC: {503: 529}}
"""Overloaded is 529 at Anthropic and 503 at OpenAI; each wire's clients know their own. It is not
429, which says that this caller has had its share."""


UNREADABLE: Final = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    RecursionError,
)
"""What reading an upstream's answer raises where it is not what its protocol says."""


class BadRequest(Exception):
    """The client sent something that no tier can answer."""

    def __init__(self, message: str, param: str | None = None) -> None:
        self.message, self.param = message, param
        super().__init__(message)


class Untranslatable(BadRequest):
    """A field that the other wire has no word for: only a tier of the first wire can answer it."""


def status_for(wire: Wire, status: int) -> int:
    """Return the status that the wire has for what an upstream of any wire said."""
    return STATUS[wire].get(status, status)


def worded(
    wire: Wire, status: int, message: str, *, param: str | None = None, code: str | None = None
) -> bytes:
    """Return an error body in the words of a wire."""
    if wire is Wire.ANTHROPIC:
        return anthropic_error(status, message)
    return openai_error(status, message, param=param, code=code)


def openai_error(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> bytes:
    """Return an error body as OpenAI words it."""
    kind = OPENAI_KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}, separators=(",", ":")).encode()


def anthropic_error(status: int, message: str) -> bytes:
    """Return an error body as Anthropic words it."""
    kind = ANTHROPIC_KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": "error", "error": {"type": kind, "message": message}}
    return json.dumps(error, separators=(",", ":")).encode()


def speaks(wire: Wire, body: bytes) -> bool:
    """Whether an error body is already in the words of this wire."""
    try:
        answer = json.loads(body)
        told = answer["error"]
        return isinstance(told["message"], str) and (
            (answer.get("type") == "error") == (wire is Wire.ANTHROPIC)
        )
    except UNREADABLE:
        return False


def status_in(body: bytes) -> int:
    """Return the status that an error within an OpenAI stream stands for; 500 if it tells none."""
    try:
        error = json.loads(body)["error"]
        code = error.get("code")
        if isinstance(code, int) and 400 <= code <= 599:
            return code
        return STATUS_OF_OPENAI.get(error.get("type"), 500)
    except UNREADABLE:
        return 500


def message_in(body: bytes) -> str:
    """Return the message of a provider's error body, whichever provider it is."""
    try:
        told = json.loads(body)
        error = told if isinstance(told.get("message"), str) else told["error"]  # vLLM to 0.10
        return str(error["message"] if isinstance(error, dict) else error)
    except UNREADABLE:
        return body[:200].decode(errors="replace") or "no message"
