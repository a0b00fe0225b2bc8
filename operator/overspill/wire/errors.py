"""What can be wrong with a request, and errors in OpenAI's words."""

from __future__ import annotations

import json
from typing import Any, Final

KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
ANTHROPIC_KINDS: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class BadRequest(Exception):
    """The client sent something that no tier can answer."""

    def __init__(self, message: str, param: str | None = None) -> None:
        self.message, self.param = message, param
        super().__init__(message)


class Untranslatable(BadRequest):
    """A field that the other wire has no word for; it is refused, never dropped."""


def openai_error(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> bytes:
    """Return an error body as OpenAI words it."""
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}).encode()


def anthropic_error(status: int, message: str) -> bytes:
    """Return an error body as Anthropic words it."""
    kind = ANTHROPIC_KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": "error", "error": {"type": kind, "message": message}}
    return json.dumps(error, separators=(",", ":")).encode()


def message_in(body: bytes) -> str:
    """Return the message of a provider's error body, whichever provider it is."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace") or "no message"
