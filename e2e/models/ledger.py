"""What a double counted and what it was told to do wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any

from aiohttp import web


@dataclass(slots=True, kw_only=True)
class Prices:
    """USD per million tokens."""

    input: float = 0.0
    cached: float = 0.0
    output: float = 0.0


@dataclass(slots=True)
class Fault:
    """A way to fail, for the next `times` requests (-1: until deleted)."""

    times: int = 0
    status: int | None = None
    die_after_bytes: int | None = None
    stall_s: float = 0.0
    refuse: bool = False


@dataclass(slots=True)
class Ledger:
    """Counts of one double."""

    prices: Prices
    requests: int = 0
    answered: int = 0
    cancelled: int = 0
    in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    usd_micros: Fraction = Fraction(0)
    """The same, exactly."""
    last_headers: list[str] = field(default_factory=list)
    fault: Fault = field(default_factory=Fault)

    def take_fault(self) -> Fault | None:
        """The fault for this request, if one is left."""
        if self.fault.times == 0:
            return None
        if self.fault.times > 0:
            self.fault.times -= 1
        return self.fault

    def charge(self, input_tokens: int, output_tokens: int) -> None:
        """Count the tokens of a finished answer, and bill them."""
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.bill(input_tokens, output_tokens)

    def bill(self, input_tokens: int, output_tokens: int) -> None:
        """Take money for tokens, whether or not anybody got them."""
        prices = self.prices
        paid = input_tokens * Fraction(prices.input) + output_tokens * Fraction(prices.output)
        self.usd_micros += paid
        self.usd = float(self.usd_micros) / 1e6

    def stats(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        names = ("requests", "answered", "cancelled", "in_flight", "input_tokens")
        more = ("output_tokens", "usd", "last_headers")
        seen = {name: getattr(self, name) for name in (*names, *more)}
        return seen | {"usd_micros": ceil(self.usd_micros)}


def admin_routes(ledger: Ledger) -> list[web.RouteDef]:
    """`/__double/…`: look and break."""

    async def stats(request: web.Request) -> web.Response:
        return web.json_response(ledger.stats())

    async def break_it(request: web.Request) -> web.Response:
        ledger.fault = Fault(**{"times": -1, **await request.json()})
        return web.json_response({})

    async def mend(request: web.Request) -> web.Response:
        ledger.fault = Fault()
        return web.json_response({})

    return [
        web.get("/__double/stats", stats),
        web.post("/__double/fault", break_it),
        web.delete("/__double/fault", mend),
    ]
