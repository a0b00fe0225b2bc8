"""What Prometheus says, and what its silence means."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from prometheus_api_client.exceptions import PrometheusApiClientException

from overspill.controller.prometheus import poll
from overspill.controller.snapshot import (
    Snapshot,
    demand_of,
    frontier_share,
    load_of,
    providers_without_key,
)
from overspill.scaling import Demand, Load, Unknown

NOW_S = 1000.0
FRESH: dict[str, Any] = {
    "taken_at_s": NOW_S,
    "work_tokens_per_s": {"p": 100.0},
    "frontier_usd_per_s": {"p": 0.5},
    "last_scrape_s": {"p": 990.0},
}

DEMANDS = [
    pytest.param({}, 2, None, id="fresh"),
    pytest.param({"failure": "down"}, 2, "PrometheusUnavailable", id="down"),
    pytest.param({"failure": "down"}, 0, None, id="down, but nobody is there to ask for anything"),
    pytest.param({"work_tokens_per_s": {}}, 2, "NoSamples", id="no work yet"),
    pytest.param({"work_tokens_per_s": {"q": 1.0}}, 2, "NoSamples", id="another policy's"),
    pytest.param({"last_scrape_s": {}}, 2, "NoSamples", id="never scraped"),
    pytest.param({"frontier_usd_per_s": {}}, 2, "NoSamples", id="work without a price"),
    pytest.param(
        {"frontier_usd_per_s": {}, "work_tokens_per_s": {"p": 0.0}},
        2,
        None,
        id="no work needs no price",
    ),
    pytest.param({"last_scrape_s": {"p": 900.0}}, 2, "StaleSamples", id="old"),
    pytest.param({"last_scrape_s": {"p": 970.0}}, 2, None, id="two scrapes old"),
    pytest.param({"last_scrape_s": {"p": 969.0}}, 2, "StaleSamples", id="older than two scrapes"),
    pytest.param(
        {"taken_at_s": 975.0, "last_scrape_s": {"p": 960.0}}, 2, None, id="aged since the poll"
    ),
    pytest.param(
        {"taken_at_s": 945.0, "last_scrape_s": {"p": 939.0}}, 2, "StaleSamples", id="old poll"
    ),
]


@pytest.mark.parametrize(("facts", "running", "reason"), DEMANDS)
def test_missing_is_not_zero(facts: dict[str, Any], running: int, reason: str | None) -> None:
    demand = demand_of(
        Snapshot(**FRESH | facts),
        "p",
        running_sidecars=running,
        settled_sidecars=0,
        now_s=NOW_S,
        stale_after_s=30.0,
    )
    assert (demand.reason if isinstance(demand, Unknown) else None) == reason


def test_no_running_sidecar_means_no_demand_whatever_prometheus_remembers() -> None:
    demand = demand_of(
        Snapshot(**FRESH),
        "p",
        running_sidecars=0,
        settled_sidecars=3,
        now_s=NOW_S,
        stale_after_s=30.0,
    )
    assert demand == Demand(work_tokens_per_s=0.0, frontier_usd_per_s=0.0)


@pytest.mark.parametrize(
    ("seen", "settled", "known"),
    [(1, 10, False), (4, 10, False), (5, 10, True), (9, 10, True), (1, 0, True), (1, 2, True)],
)
def test_demand_of_less_than_half_of_the_sidecars_is_not_known(
    seen: int, settled: int, known: bool
) -> None:
    demand = demand_of(
        Snapshot(**FRESH | {"sidecars": {"p": float(seen)}}),
        "p",
        running_sidecars=10,
        settled_sidecars=settled,
        now_s=NOW_S,
        stale_after_s=30.0,
    )
    assert isinstance(demand, Demand) == known
    if isinstance(demand, Unknown):
        assert demand.reason == "FewSamples"
        assert f"samples of {seen} sidecars of p, and {settled} have run" in demand.message


WORKED: dict[str, Any] = {
    "small_output_tokens_per_s": {"p": 900.0},
    "small_input_tokens_per_s": {"p": 1000.0},
    "small_occupancy": {"p": 0.95},
    "no_room_per_s": {"p": 0.5},
}


def test_the_small_tiers_load_is_what_it_did_and_how_full_it_was() -> None:
    assert load_of(Snapshot(taken_at_s=0.0, **WORKED), "p", 0.1) == Load(
        served_tokens_per_s=1000.0, occupancy=0.95, no_room_per_s=0.5
    )


@pytest.mark.parametrize("part", WORKED)
def test_a_load_of_which_a_part_is_missing_is_none(part: str) -> None:
    assert load_of(Snapshot(taken_at_s=0.0, **WORKED | {part: {"q": 1.0}}), "p", 0.1) is None


SHARES = [
    pytest.param({"small": 8.2, "frontier": 1.8}, "18%", id="both"),
    pytest.param({"frontier": 3.0}, "100%", id="frontier only"),
    pytest.param({"small": 3.0, "none": 9.0}, "0%", id="refused requests do not count"),
    pytest.param({}, None, id="unknown"),
    pytest.param({"small": 0.0, "frontier": 0.0}, None, id="idle"),
]


@pytest.mark.parametrize(("tiers", "share"), SHARES)
def test_the_frontier_share_is_of_answered_requests(
    tiers: dict[str, float], share: str | None
) -> None:
    assert frontier_share(Snapshot(taken_at_s=0.0, requests_per_s={"p": tiers}), "p") == share


def sample(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [NOW_S, value]}


def test_one_poll_reads_every_signal_for_all_policies() -> None:
    asked: list[str] = []

    def ask(expr: str) -> list[dict[str, Any]]:
        asked.append(expr)
        if "credential_missing" in expr:
            return [sample("1", policy="p", provider="opus"), sample("0", policy="p", provider="x")]
        if "spend" in expr:
            return [sample("3.5", policy="p")] if "[400s]" in expr else []
        return [sample("7", policy="p", tier="small"), sample("NaN", policy="q", tier="small")]

    snapshot = poll(ask, 60, [600.0, 0.0], NOW_S)
    assert snapshot.work_tokens_per_s == {"p": 7.0}
    assert snapshot.requests_per_s == {"p": {"small": 7.0}}
    assert snapshot.spend_usd == {600.0: {"p": 3.5}, 0.0: {}}
    assert providers_without_key(snapshot, "p") == ["opus"]
    assert len(asked) == 14 + 2


FAILURES = [
    pytest.param(requests.ConnectionError("10.0.0.1"), "ConnectionError", id="refused"),
    pytest.param(
        PrometheusApiClientException("HTTP Status Code 503 (b'x')"), "Code 503)", id="503"
    ),
]


@pytest.mark.parametrize(("error", "said"), FAILURES)
def test_a_prometheus_that_fails_makes_a_snapshot_that_says_so(error: Exception, said: str) -> None:
    def ask(expr: str) -> list[dict[str, Any]]:
        raise error

    assert said in poll(ask, 60, [], NOW_S).failure


def test_a_spend_query_that_fails_is_unknown_spend_and_nothing_else() -> None:
    def ask(expr: str) -> list[dict[str, Any]]:
        if "spend" in expr:
            raise requests.Timeout
        return [sample("7", policy="p", tier="small")]

    snapshot = poll(ask, 60, [0.0], NOW_S)
    assert (snapshot.failure, snapshot.spend_usd) == ("", {})
