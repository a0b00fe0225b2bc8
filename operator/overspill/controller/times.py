"""Unix seconds as the API server writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def unix_s(text: str) -> float:
    """Read what the API server wrote. Raises: ValueError."""
    return datetime.fromisoformat(text).timestamp()


def timestamp(at_s: float) -> str:
    """RFC 3339 in UTC, whole seconds, such as `2026-11-24T11:28:37Z`."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
