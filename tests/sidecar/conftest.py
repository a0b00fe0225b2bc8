"""The stage as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.sidecar.stage import Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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
