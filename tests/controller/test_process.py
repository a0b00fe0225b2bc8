"""One process: what it does when the Lease can no longer be held."""

from __future__ import annotations

import asyncio

import pytest

from overspill.controller.process import _hold

pytestmark = pytest.mark.asyncio


class FakeElection:
    """Ends, one way or the other."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def hold(self) -> None:
        if self.error:
            raise self.error


class FakeLeadership:
    """Notes that it was told to stop acting."""

    abandoned = False

    def abandon(self) -> None:
        self.abandoned = True


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(None, id="somebody else leads"),
        pytest.param(ValueError("no JSON"), id="a defect"),
    ],
)
async def test_who_no_longer_renews_no_longer_leads(error: Exception | None) -> None:
    leadership, stop = FakeLeadership(), asyncio.Event()
    await _hold(FakeElection(error), leadership, stop)  # type: ignore[arg-type]
    assert leadership.abandoned
    assert stop.is_set()
