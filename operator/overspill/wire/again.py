"""A chat completion asked once more, so that it may come out otherwise."""

from __future__ import annotations

from typing import Any, Final

from overspill.wire.document import Document

TEMPERATURE: Final = 0.7
"""Without chance in it a second answer says nothing: it is the first one."""


def asked_again(body: bytes) -> bytes:
    """Return the body of a second request: whole, by chance, and with a seed of its own."""
    document = Document.read(body)
    changes: dict[str, Any] = {"stream": None, "stream_options": None}
    if not document.get("temperature"):
        changes["temperature"] = TEMPERATURE
    seed = document.get("seed")
    if isinstance(seed, int):
        changes["seed"] = seed ^ 1
    return document.with_fields(changes)
