"""Dollars as people write them, and the whole micro-dollars that are reckoned with."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

MICROS: Final = 1_000_000


def usd_micros(usd: Decimal) -> int:
    """Return whole micro-dollars, rounded down: a limit is never overstated."""
    return int(usd * MICROS)


def usd(micros: int) -> Decimal:
    """Return micro-dollars as dollars, exactly."""
    return Decimal(micros) / MICROS
