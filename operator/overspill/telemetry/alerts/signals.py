"""What several alerts look at."""

from __future__ import annotations

from typing import Final

from overspill.telemetry import names
from overspill.telemetry.promql import POLICY_ONLY, View, among, equal

RECENT: Final = View(window="10m")
HOUR: Final = View(window="1h")


def says(
    condition: str, status: str, *reasons: str, by: tuple[str, ...] = (names.POLICY, "reason")
) -> str:
    """Policies whose condition has this status, and one of these reasons where any are given."""
    wanted = [equal("type", condition), equal("status", status)]
    if reasons:
        wanted.append(among("reason", *reasons))
    return RECENT.now(names.CONDITION, *wanted, by=by)


def asked() -> str:
    """Policies that were asked for anything in the last hour."""
    return f"{HOUR.rate(names.REQUESTS, by=POLICY_ONLY)} > 0"
