"""The list of models that an app may ask for, in the words of either wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overspill.wire.document import compact
from overspill.wire.errors import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""Anthropic's word for a model whose release date is not known."""


def models(wire: Wire, names: Sequence[str]) -> bytes:
    """Return the answer to GET /v1/models. There is one page, and at least one name."""
    if wire is Wire.OPENAI:
        cards: list[dict[str, Any]] = [
            {"id": name, "object": "model", "created": 0, "owned_by": "overspill"} for name in names
        ]
        return compact({"object": "list", "data": cards})
    cards = [
        {"type": "model", "id": name, "display_name": name, "created_at": UNKNOWN_DATE}
        for name in names
    ]
    return compact({"data": cards, "has_more": False, "first_id": names[0], "last_id": names[-1]})
