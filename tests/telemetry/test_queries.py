"""Every query asks for all policies at once, by names that exist."""

from __future__ import annotations

import re

import pytest

from overspill.routing.decide import Reason
from overspill.telemetry import names, queries

NAMES = {value for value in vars(names).values() if isinstance(value, str)}
NAMES |= {f"{histogram}_count" for histogram in names.BUCKETS}
QUERIES = [
    pytest.param(queries.work_tokens_per_s(60), None, id="work"),
    pytest.param(queries.frontier_equivalent_usd_per_s(60), None, id="equivalent"),
    pytest.param(queries.small_output_tokens_per_s(60), None, id="small output"),
    pytest.param(queries.small_input_tokens_per_s(60), None, id="small input"),
    pytest.param(queries.small_occupancy(60), None, id="occupancy"),
    pytest.param(queries.no_room_per_s(60), None, id="no room"),
    pytest.param(queries.requests_per_s(60), "tier", id="requests"),
    pytest.param(queries.spend_usd(3600), None, id="spend"),
    pytest.param(queries.config_generation(), None, id="generation"),
    pytest.param(queries.sidecars_scraped(), None, id="sidecars"),
    pytest.param(queries.last_scrape_s(), None, id="last scrape"),
    pytest.param(queries.credential_missing(), "provider", id="credentials"),
]


@pytest.mark.parametrize(("query", "by"), QUERIES)
def test_a_query_covers_all_policies_in_one_answer(query: queries.Query, by: str | None) -> None:
    assert query.by == by
    grouped = re.search(r"by \(([^)]*)\)", query.expr)
    assert grouped
    assert grouped.group(1).split(", ") == ["policy"] + ([by] if by else [])
    used = set(re.findall(r"overspill_\w+", query.expr))
    assert used
    assert used <= NAMES
    assert "policy=" not in query.expr


@pytest.mark.parametrize(
    "expr",
    [
        pytest.param(queries.work_tokens_per_s_of("legal/contracts", 60), id="work"),
        pytest.param(queries.frontier_equivalent_usd_per_s_of("legal/contracts", 60), id="usd"),
    ],
)
def test_a_query_over_a_range_is_for_one_policy(expr: str) -> None:
    assert set(re.findall(r"overspill_\w+", expr)) < NAMES
    assert '{policy="legal/contracts"' in expr


def test_names_are_unique_and_counters_say_so() -> None:
    found = [
        value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)
    ]
    assert len(found) == len(set(found))
    assert {names.REQUESTS, names.GEN_AI_DURATION} <= set(found)


def test_want_of_room_is_told_by_reasons_that_exist() -> None:
    assert set(queries.NO_ROOM) == {Reason.SLOTS_FULL, Reason.FIRST_TOKEN_DEADLINE}


def test_parts_of_a_query_are_matched_by_policy_alone() -> None:
    for query in (queries.small_occupancy(60), queries.no_room_per_s(60)):
        assert set(re.findall(r"by \(([^)]*)\)", query.expr)) == {"policy"}
    assert queries.small_occupancy(10).expr.endswith("[10s:2s])")
