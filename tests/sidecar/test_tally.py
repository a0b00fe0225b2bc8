"""What one request counts: while it runs, and no less, no more and nothing twice when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from overspill.routing.decide import SMALL_FITS, TOO_COMPLEX, Route, Tier
from overspill.sidecar.meters import Meters, UpstreamMeter
from overspill.sidecar.metrics import Metrics
from overspill.sidecar.tally import EVENTS_WITHOUT_TOKEN, SHED_OUTPUT_TOKENS, Tally
from overspill.telemetry import names
from overspill.wire.errors import Wire
from overspill.wire.ingress import INGRESSES
from overspill.wire.usage import TokenPrice, Usage

if TYPE_CHECKING:
    from overspill.sidecar.runtime import Runtime, Upstream

HOSTED = TokenPrice(input=Decimal(1), cached_input=Decimal(1), output=Decimal(2))
DEAR = TokenPrice(input=Decimal(5), cached_input=Decimal(5), output=Decimal(25))
TOLD = Usage(input_tokens=100, output_tokens=30)


@dataclass
class Policy:
    """As much of a runtime as a tally asks for."""

    input_weight: float = 0.1
    frontier_price: TokenPrice = DEAR

    def spill_price(self, _: float) -> TokenPrice:
        return HOSTED


class Counted:
    """One request to a small model, and the series that it counts into."""

    def __init__(self, route: Route = SMALL_FITS, max_tokens: int | None = None) -> None:
        self.meters = Meters(Metrics("p"))
        body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
        self.ask = INGRESSES["/v1/chat/completions"].read(body)
        self.ask.max_tokens = max_tokens
        self.tally = Tally(
            self.meters, cast("Runtime", Policy()), route=route, ask=self.ask, now_s=0.0
        )
        target = SimpleNamespace(model="m", wire=Wire.OPENAI)
        upstream = SimpleNamespace(tier=Tier.SMALL, name="", target=target, price=None)
        self.meter: UpstreamMeter = self.meters.of(cast("Upstream", upstream), "chat")

    def settle(
        self, usage: Usage | None, outcome: str = "answered", charged: int | None = None
    ) -> None:
        self.tally.settle(usage, self.meter, DEAR, outcome, 1.0, charged)

    @property
    def work(self) -> float:
        return self.meters.work.value

    @property
    def offered(self) -> float:
        return self.meters.offered_usd_micros

    @property
    def rejected(self) -> float:
        labels = {"tier": Tier.NONE, "provider": "", "outcome": "rejected"}
        return self.meters.metrics.cell(names.REQUESTS, **labels).value


def test_a_stream_counts_as_it_is_delivered_and_its_end_adds_the_rest() -> None:
    one = Counted()
    for events, tokens in ((EVENTS_WITHOUT_TOKEN, 0), (16, 10), (12, 10), (17, 11)):
        one.tally.delivered(events)
        assert [one.work, one.offered] == pytest.approx([tokens, 2 * tokens])
    one.settle(TOLD)
    assert one.work == pytest.approx(30 + 0.1 * 100)
    assert one.offered == pytest.approx(100 + 2 * 30)
    assert one.meter.gen_ai_input.total == one.meter.input_tokens.value == 100
    assert one.meter.gen_ai_output.total == one.meter.output_tokens.value == 30


def test_what_has_counted_already_is_never_taken_back() -> None:
    one = Counted()
    one.tally.delivered(EVENTS_WITHOUT_TOKEN + 1_000)
    one.settle(Usage(output_tokens=3))
    assert [one.work, one.offered] == pytest.approx([1_000, 2_000])


@pytest.mark.parametrize(
    ("usage", "outcome", "output_tokens"),
    [
        pytest.param(TOLD, "answered", 30, id="whole: what was told"),
        pytest.param(TOLD, "failed", 50, id="cut: what was delivered"),
        pytest.param(Usage(output_tokens=70), "failed", 70, id="cut, and more was told"),
        pytest.param(None, "failed", 50, id="nothing was told"),
    ],
)
def test_an_answer_is_metered_by_its_usage_and_one_that_was_cut_by_what_came(
    usage: Usage | None, outcome: str, output_tokens: int
) -> None:
    one = Counted()
    one.tally.delivered(EVENTS_WITHOUT_TOKEN + 50)
    one.settle(usage, outcome)
    assert one.tally.usage.output_tokens == output_tokens


@pytest.mark.parametrize(("charged", "usd_micros"), [(None, 5 * 100 + 25 * 30), (7, 0)])
def test_what_a_budget_was_charged_for_is_not_counted_again(
    charged: int | None, usd_micros: int
) -> None:
    one = Counted()
    one.settle(TOLD, charged=charged)
    assert one.tally.cost_usd_micros == usd_micros


def test_what_is_not_for_the_small_model_is_no_work_of_its_own() -> None:
    one = Counted(TOO_COMPLEX)
    one.tally.delivered(EVENTS_WITHOUT_TOKEN + 10)
    one.settle(TOLD)
    assert [one.work, one.offered] == pytest.approx([0, 5 * 100 + 25 * 30])
    assert one.meters.asked[0].value * 1e6 == pytest.approx(5 * 100 + 25 * 30)


@pytest.mark.parametrize(
    ("max_tokens", "output_tokens"),
    [(10, 10), (2**63, SHED_OUTPUT_TOKENS), (None, SHED_OUTPUT_TOKENS)],
)
def test_what_nobody_answered_is_demand_all_the_same(
    max_tokens: int | None, output_tokens: int
) -> None:
    one = Counted(max_tokens=max_tokens)
    one.tally.shed()
    assert one.rejected == 1
    assert one.work == pytest.approx(output_tokens + 0.1 * one.ask.input_tokens)


def test_what_was_wrong_in_itself_is_no_demand() -> None:
    one = Counted()
    one.tally.refuse()
    assert (one.rejected, one.work, one.offered) == (1, 0, 0)


@pytest.mark.parametrize(("route", "asked"), [(SMALL_FITS, False), (TOO_COMPLEX, True)])
def test_what_is_paid_for_is_asked_of_the_frontier_or_overflow(route: Route, asked: bool) -> None:
    one = Counted(route)
    one.settle(TOLD)
    paid = (5 * 100 + 25 * 30) / 1e6
    assert one.meters.asked[0].value == pytest.approx(paid if asked else 0)
    assert one.meters.overflow.value == pytest.approx(0 if asked else paid)
    assert (one.meter.answered.value, one.meter.duration_s.total) == (1, 1.0)
