"""`make bench-debit`: what a budget adds to each request: its bound, the reservation, the bill."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from decimal import Decimal

from bench import report
from overspill.budget.lease import LIFE_S, Grant
from overspill.budget.wallet import Wallet
from overspill.sidecar.link import NotAnswered
from overspill.sidecar.purse import Purse, Reservation
from overspill.wire.ask import Target
from overspill.wire.errors import Wire
from overspill.wire.ingress import INGRESSES
from overspill.wire.usage import TokenPrice, Usage, cost_usd_micros, worst_cost_usd_micros

REQUESTS = 20_000
RUNS = 9
BODY_BYTES = 2048
PRICE = TokenPrice(input=Decimal("2.5"), cached_input=Decimal("0.25"), output=Decimal(15))
USAGE = Usage(input_tokens=500, cached_tokens=100, output_tokens=120)
AIM_US = 5.0


async def _nobody(reports: object) -> tuple[Grant, ...]:
    raise NotAnswered("nobody lends here")


def _body() -> bytes:
    """A chat of a few turns, without media."""
    turns = [{"role": "user", "content": "x" * 180}, {"role": "assistant", "content": "y" * 180}]
    body = {"model": "m", "max_tokens": 256, "messages": turns * 4}
    missing = BODY_BYTES - len(json.dumps(body))
    body["messages"] = [*turns * 4, {"role": "user", "content": "z" * (missing - 34)}]
    return json.dumps(body).encode()


def _rich() -> Purse:
    wallet = Wallet("", lambda: "lease-1", 0.0)
    now_s = asyncio.get_running_loop().time()
    (asked,) = wallet.reports(now_s)
    ceiling = 10**15
    told = Grant(lease=asked.lease, seq=asked.seq, ceiling_usd_micros=ceiling, life_s=LIFE_S)
    wallet.apply([told], now_s)
    return Purse(wallet, _nobody)


async def microseconds() -> list[float]:
    """Return what one request pays, in µs, once a run."""
    ingress, purse = INGRESSES["/v1/chat/completions"], _rich()
    target = Target(wire=Wire.OPENAI, model="m", capped=True)
    ask = ingress.read(_body())
    call = ingress.call(ask, target)
    taken = []
    for _ in range(RUNS):
        start_s = time.perf_counter()
        for _ in range(REQUESTS):
            worst = worst_cost_usd_micros(ingress.bound(ask, target, call), PRICE)
            reserved = await purse.reserve(worst, float("inf"))
            assert isinstance(reserved, Reservation)
            reserved.settle(cost_usd_micros(USAGE, PRICE))
        taken.append((time.perf_counter() - start_s) / REQUESTS * 1e6)
    return taken


def main() -> None:
    """Measure, print, write."""
    taken = asyncio.run(microseconds())
    median = statistics.median(taken)
    rows = [
        ["body, bytes", "median µs", "min µs", "max µs", "aim µs"],
        [str(len(_body())), *(f"{one:.2f}" for one in (median, min(taken), max(taken), AIM_US))],
    ]
    report.write(
        "debit",
        {"body_bytes": len(_body()), "median_us": median, "runs_us": taken, "aim_us": AIM_US},
        rows,
        packages=["overspill"],
    )


if __name__ == "__main__":
    main()
