"""The peers' own tables, as their projects publish them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).parents[2] / "data" / "conformance"
Case = dict[str, Any]


def table(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text())
    return loaded


def cases(name: str, group: str, count: int) -> list[Any]:
    """Return a group as parameters; so many that none can get lost."""
    found = table(name)[group]
    assert len(found) == count, f"{name}.json, {group}: {len(found)} cases"
    return [pytest.param(case, id=_label(case, i)) for i, case in enumerate(found)]


def _label(case: Any, place: int) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(case, dict):
        return str(case.get("id", place))
    return str(case[0])
