"""Asking Prometheus: one query a signal for all policies, off the event loop, with a deadline."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Protocol

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from overspill.controller.snapshot import Snapshot
from overspill.telemetry import names, queries
from overspill.telemetry.session import AnsweredInPart, whole_answers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from overspill.telemetry.queries import Query

log = logging.getLogger(__name__)

QUERY_TIMEOUT_S: Final = 10
POLL_TIMEOUT_S: Final = 30.0
_FAILURES: Final = (
    requests.RequestException,
    PrometheusApiClientException,
    ValueError,
    KeyError,
    TypeError,
)


class Ask(Protocol):
    """Evaluate PromQL now: samples as Prometheus' HTTP API gives them."""

    def __call__(self, expr: str) -> list[dict[str, Any]]:
        """Block until answered. Raises what `requests` raises."""


def connect(url: str) -> Ask:
    """Return a way to ask this Prometheus.

    Only a lost connection is retried: the next poll is the better retry, and a process that ends
    waits for the query that is under way.
    """
    retry = Retry(total=1, connect=1, read=0, status=0)
    client = PrometheusConnect(
        url=url.rstrip("/"), timeout=QUERY_TIMEOUT_S, retry=retry, session=whole_answers()
    )

    def ask(expr: str) -> list[dict[str, Any]]:
        samples: list[dict[str, Any]] = client.custom_query(expr)
        return samples

    return ask


async def take_snapshot(ask: Ask, window_s: int, period_starts_s: Iterable[float]) -> Snapshot:
    """Poll every signal; a Prometheus that fails makes a snapshot that says so."""
    now_s = time.time()
    starts = sorted(set(period_starts_s))
    try:
        polling = asyncio.to_thread(poll, ask, window_s, starts, now_s)
        return await asyncio.wait_for(polling, POLL_TIMEOUT_S)
    except TimeoutError:
        return Snapshot(taken_at_s=now_s, failure="Prometheus did not answer in time")


def poll(ask: Ask, window_s: int, period_starts_s: Iterable[float], now_s: float) -> Snapshot:
    """Ask for every signal, one after the other. Blocks."""
    try:
        return Snapshot(
            taken_at_s=now_s,
            work_tokens_per_s=_values(ask, queries.work_tokens_per_s(window_s)),
            frontier_usd_per_s=_values(ask, queries.frontier_equivalent_usd_per_s(window_s)),
            frontier_asked_usd_per_s=_nested(ask, queries.frontier_asked_usd_per_s(window_s)),
            overflow_usd_per_s=_values(ask, queries.overflow_usd_per_s(window_s)),
            judges_usd_per_s=_values(ask, queries.judges_usd_per_s(window_s)),
            small_output_tokens_per_s=_values(ask, queries.small_output_tokens_per_s(window_s)),
            small_input_tokens_per_s=_values(ask, queries.small_input_tokens_per_s(window_s)),
            small_occupancy=_values(ask, queries.small_occupancy(window_s)),
            no_room_per_s=_values(ask, queries.no_room_per_s(window_s)),
            requests_per_s=_nested(ask, queries.requests_per_s(window_s)),
            generation=_values(ask, queries.config_generation()),
            sidecars=_values(ask, queries.sidecars_scraped()),
            last_scrape_s=_values(ask, queries.last_scrape_s()),
            credential_missing=_nested(ask, queries.credential_missing()),
            spend_usd=_spend(ask, period_starts_s, now_s),
        )
    except _FAILURES as error:
        log.warning("Prometheus could not be asked: %s", error)
        return Snapshot(taken_at_s=now_s, failure=f"Prometheus did not answer ({_brief(error)})")


def _spend(
    ask: Ask, period_starts_s: Iterable[float], now_s: float
) -> dict[float, Mapping[str, float]]:
    """Query spend once a distinct period; a long range that fails is unknown, not fatal."""
    spent: dict[float, Mapping[str, float]] = {}
    for start_s in period_starts_s:
        elapsed_s = max(1, math.ceil(now_s - start_s))
        try:
            spent[start_s] = _values(ask, queries.spend_usd(elapsed_s))
        except _FAILURES as error:
            log.warning("spend since %s could not be asked: %s", start_s, error)
    return spent


def _values(ask: Ask, query: Query) -> dict[str, float]:
    return {
        sample["metric"][names.POLICY]: value
        for sample in ask(query.expr)
        if names.POLICY in sample["metric"] and math.isfinite(value := float(sample["value"][1]))
    }


def _nested(ask: Ask, query: Query) -> dict[str, dict[str, float]]:
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for sample in ask(query.expr):
        policy, part = sample["metric"].get(names.POLICY), sample["metric"].get(query.by)
        value = float(sample["value"][1])
        if policy and part and math.isfinite(value):
            found[policy][part] = value
    return dict(found)


def _brief(error: Exception) -> str:
    """Name the kind of failure: addresses and bodies would make each poll's message another."""
    if isinstance(error, AnsweredInPart):
        return "only in part; the operator's log has its warning"
    if isinstance(error, PrometheusApiClientException):
        return str(error).split(" (", 1)[0]  # HTTP Status Code 503 (b'...')
    return type(error).__name__
