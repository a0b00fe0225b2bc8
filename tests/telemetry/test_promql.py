"""Expressions are put together from metrics and labels that exist, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overspill.telemetry import names, promql
from overspill.telemetry.promql import View, among, equal, none_of
from tests.telemetry.expressions import groups, strange_in, told_apart_by

if TYPE_CHECKING:
    from collections.abc import Callable

ALL = View(window="5m")
CHOSEN = View(window="1m", policies=among("policy", "$policy"))


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        pytest.param(
            ALL.rate(names.WORK_TOKENS), "sum(rate(overspill_work_tokens_total[5m]))", id="rate"
        ),
        pytest.param(
            CHOSEN.increase(names.REQUESTS, equal("tier", "small"), by=("provider",)),
            "sum by (provider) "
            '(increase(overspill_requests_total{policy=~"$policy", tier="small"}[1m]))',
            id="increase of the chosen policies",
        ),
        pytest.param(
            CHOSEN.rate(names.RECONCILES, none_of("outcome", "ok", "invalid")),
            'sum(rate(overspill_reconciles_total{outcome!~"ok|invalid"}[1m]))',
            id="what has no policy is not chosen by one",
        ),
        pytest.param(
            ALL.quantile(0.95, names.TTFT_SECONDS, by=("tier",)),
            "histogram_quantile(0.95, "
            "sum by (tier, le) (rate(overspill_ttft_seconds_bucket[5m]))) >= 0",
            id="quantile, without what is not a number",
        ),
        pytest.param(
            ALL.now(names.SMALL_SLOTS, how="sum"),
            "sum by (policy) (overspill_small_slots)",
            id="gauge",
        ),
        pytest.param(
            ALL.values(names.CONFIG_GENERATION, "generation"),
            'count_values by (policy) ("generation", overspill_config_generation)',
            id="values",
        ),
        pytest.param(promql.share("a", "b"), "a / (b > 0)", id="share"),
    ],
)
def test_an_expression_reads_as_one_would_write_it(expr: str, text: str) -> None:
    assert expr == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: ALL.now("overspill_nothing"), "is no metric", id="metric"),
        pytest.param(
            lambda: ALL.rate(names.SPEND_USD, by=("tier",)), "has no label tier", id="grouped by"
        ),
        pytest.param(
            lambda: ALL.rate(names.REQUESTS, equal("reason", "x")), "has no label", id="matched"
        ),
        pytest.param(lambda: ALL.rate(names.QUEUED), "is no counter", id="rate of a gauge"),
    ],
)
def test_what_does_not_exist_is_refused(make: Callable[[], str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_tests_themselves_find_what_does_not_exist() -> None:
    assert strange_in("rate(overspill_nothing_total[5m])") == ["overspill_nothing_total"]
    assert strange_in('overspill_queued{tier="small"}') == ["overspill_queued.tier"]
    assert strange_in("sum by (tier) (overspill_queued)") == ["overspill_queued.tier"]
    grouped = "sum by (tier, le) (rate(overspill_ttft_seconds_bucket[5m]))"
    assert (strange_in(grouped), told_apart_by(grouped)) == ([], {"tier"})
    assert groups("sum by (a, b) (f(x) + y) > 0") == [(frozenset("ab"), "f(x) + y")]
