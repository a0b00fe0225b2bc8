"""The stage as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from overspill.sidecar import ladder
from tests.sidecar.stage import Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who refuses connections here goes on doing so."""
    monkeypatch.setattr(ladder, "CONNECT_AGAIN_S", (0.0, 0.0, 0.0))


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A sidecar, one small endpoint, an Anthropic and an OpenAI frontier."""
    async with staged(tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def stage_of_two(tmp_path: Path) -> AsyncIterator[Stage]:
    """The same with two small endpoints."""
    async with staged(tmp_path, small=2) as made:
        yield made
