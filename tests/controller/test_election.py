"""Elections over one Lease in memory, with a clock for each candidate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from overspill.controller.election import DURATION_S, Election, claimed, released
from overspill.controller.errors import Conflict, Unavailable
from tests.controller.fakes import Clock

pytestmark = pytest.mark.asyncio


class FakeLease:
    """A Lease with compare-and-swap by resourceVersion."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.down = False

    async def read(self) -> dict[str, Any] | None:
        if self.down:
            raise Unavailable("no answer")
        return self.lease

    async def write(self, lease: dict[str, Any]) -> None:
        if self.down:
            raise Unavailable("no answer")
        stored = (self.lease or {}).get("metadata", {}).get("resourceVersion", 0)
        if lease.get("metadata", {}).get("resourceVersion", 0) != stored:
            raise Conflict(409, "changed")
        self.lease = lease | {"metadata": {"resourceVersion": stored + 1}}


async def test_the_first_candidate_leads_and_the_second_waits_for_the_lease_to_run_out() -> None:
    store, clock = FakeLease(), Clock(0.0)
    first, second = Election(store, "a", clock), Election(store, "b", clock)
    assert await first.attempt()
    assert not await second.attempt()
    clock.now_s = DURATION_S
    assert not await second.attempt()
    clock.now_s = DURATION_S + 0.1
    assert await second.attempt()
    assert not await first.attempt()


async def test_a_renewed_lease_does_not_run_out() -> None:
    store, clock = FakeLease(), Clock(0.0)
    first, second = Election(store, "a", clock), Election(store, "b", clock)
    for moment in range(0, 100, 10):
        clock.now_s = float(moment)
        assert await first.attempt()
        assert not await second.attempt()


async def test_a_released_lease_is_free_at_once_and_its_giver_does_not_take_it_back() -> None:
    store, clock = FakeLease(), Clock(0.0)
    first, second = Election(store, "a", clock), Election(store, "b", clock)
    await first.attempt()
    await first.release()
    assert not await first.attempt()
    assert await second.attempt()


async def test_only_the_holder_releases() -> None:
    store, clock = FakeLease(), Clock(0.0)
    await Election(store, "a", clock).attempt()
    await Election(store, "b", clock).release()
    assert store.lease is not None
    assert store.lease["spec"]["holderIdentity"] == "a"


async def test_of_two_that_write_at_once_one_leads() -> None:
    store = FakeLease()
    stale = await store.read()
    assert await Election(store, "a", Clock(0.0)).attempt()
    with pytest.raises(Conflict):
        await store.write(claimed(stale or {}, "b", datetime.now(UTC)))


async def test_a_lease_that_cannot_be_renewed_in_time_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, clock = FakeLease(), Clock(0.0)
    election = Election(store, "a", clock)
    await election.attempt()
    store.down = True

    async def pass_time(seconds: float) -> None:
        clock.now_s += seconds

    monkeypatch.setattr("overspill.controller.election.asyncio.sleep", pass_time)
    await election.hold()
    assert clock.now_s < DURATION_S


def spec(lease: dict[str, Any]) -> Any:  # noqa: ANN401
    return lease["spec"]


async def test_a_claim_counts_transitions_and_keeps_its_start() -> None:
    one = claimed({}, "a", datetime(2026, 1, 1, tzinfo=UTC))
    two = claimed(one, "a", datetime(2026, 1, 2, tzinfo=UTC))
    three = claimed(released(two), "b", datetime(2026, 1, 3, tzinfo=UTC))
    assert spec(one)["acquireTime"] == spec(two)["acquireTime"] != spec(three)["acquireTime"]
    assert [spec(lease)["leaseTransitions"] for lease in (one, two, three)] == [1, 1, 2]


async def test_a_lease_is_held_from_when_it_was_asked_for_and_not_from_a_late_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, clock = FakeLease(), Clock(0.0)
    election = Election(store, "a", clock)

    async def pass_time(seconds: float) -> None:
        clock.now_s += seconds

    async def slow(lease: dict[str, Any]) -> None:
        await FakeLease.write(store, lease)
        clock.now_s += 9.0

    monkeypatch.setattr(store, "write", slow)
    monkeypatch.setattr("overspill.controller.election.asyncio.sleep", pass_time)
    await election.attempt()
    store.down = True
    await election.hold()
    assert clock.now_s < DURATION_S
